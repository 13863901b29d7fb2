"""How fast one core makes voiceprints of recordings; ``python -m benchmarks.extraction`` prints it."""
