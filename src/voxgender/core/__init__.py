"""Voiceprints, scores and their meaning: NumPy only, no files, clocks, threads or frameworks."""
