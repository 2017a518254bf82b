"""Configuration: one settings object, its sources, its checks and its reference page."""

from mutt_appliance.config.faults import EXIT_CONFIG, ConfigError, Fault
from mutt_appliance.config.loading import Loaded, load
from mutt_appliance.config.settings import Settings

__all__ = ["EXIT_CONFIG", "ConfigError", "Fault", "Loaded", "Settings", "load"]
