"""Every parameter, typed, with unit and bounds: the only place that knows defaults."""

from spyral_core.config.analysis import Configuration
from spyral_core.config.load import canonical, load, validate

__all__ = ["Configuration", "canonical", "load", "validate"]
