"""Nuclei, gas, kinematics, motion of a charged particle."""
