"""The laboratory: labelled speech in, trained and calibrated heads and their figures out. Needs the extra ``train``."""
