"""Reconstruction of active-target time-projection-chamber data, from traces to fitted tracks."""

__version__ = "0.1.0"
