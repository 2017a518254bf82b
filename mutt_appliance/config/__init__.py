"""Configuration: one settings object, its sources, its checks and its reference page."""

from mutt_appliance.config.loading import ConfigError, Fault, load
from mutt_appliance.config.settings import Settings

__all__ = ["ConfigError", "Fault", "Settings", "load"]
