"""Efficiency: simulated particles through the whole chain, cell by cell of energy, angle and vertex."""
