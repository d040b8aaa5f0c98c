"""Traces to pulses."""
