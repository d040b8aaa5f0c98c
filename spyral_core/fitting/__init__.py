"""Circles, first estimates, gates, track fits."""
