"""Which secrets the settings ask for (pure)."""

from __future__ import annotations

from mutt_appliance.config import Settings
from mutt_appliance.secrets.bundle import Secrets


def needed(settings: Settings) -> list[str]:
    """Names of the secrets without which the settings make no sense."""
    names = ["INGEST_API_KEY", "WEBUI_API_KEY"]
    if settings.forwarder_workers and settings.moog_auth_scheme != "none":
        names.append("MOOG_API_KEY")
    return names


def missing(settings: Settings, secrets: Secrets) -> list[str]:
    """Those of them that are not there."""
    return [name for name in needed(settings) if not getattr(secrets, name.lower())]
