"""Faults that happen to an analysis, tried out: `full.py` runs the full counts, the tests a few of each kind."""
