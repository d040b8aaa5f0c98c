"""The embedded experiment: traces with their truth."""
