"""Trace files of every layout to one type of event."""
