"""What reads bytes and disks: models, audio, and the extraction of voiceprints; knows no service."""
