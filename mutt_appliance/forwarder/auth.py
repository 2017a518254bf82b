"""How MOOG_API_KEY is sent. Nothing here ends up in a log, an error text or a dead letter."""

from __future__ import annotations

import base64

from mutt_appliance.config import Settings
from mutt_appliance.config.faults import ConfigError, Fault


def auth_headers(settings: Settings, api_key: str) -> dict[str, str]:
    """Headers that prove who we are, by MOOG_AUTH_SCHEME.

    Raises ConfigError for a missing key, or one that no header can carry.
    """
    if settings.moog_auth_scheme != "none" and not (api_key and api_key.isprintable()):
        problem = "has characters that a header cannot carry" if api_key else "is empty"
        remedy = "put the key that Moogsoft gave you there, or set MOOG_AUTH_SCHEME=none"
        raise ConfigError([Fault("MOOG_API_KEY", "", problem, remedy)])
    match settings.moog_auth_scheme:
        case "header":
            return {settings.moog_header_name: api_key}
        case "bearer":
            return {"Authorization": f"Bearer {api_key}"}
        case "basic":
            credentials = f"{settings.moog_auth_user or ''}:{api_key}"
            return {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}
        case "none":
            return {}
