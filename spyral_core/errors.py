"""The three ways in which something can be wrong, each with its own consequence."""

from __future__ import annotations


class ConfigurationError(Exception):
    """The configuration or an argument is wrong: the command stops before any work, exit code 2."""


class DataError(Exception):
    """A file cannot be used: the command stops, exit code 1. The text names the file, what was found, what to do."""


class RejectedEventError(Exception):
    """One event (or cluster) cannot be analysed: it becomes a row of the rejected table; the rest go on."""
