"""The pad plane, and time to z."""
