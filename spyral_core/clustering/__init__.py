"""Point clouds to clusters."""
