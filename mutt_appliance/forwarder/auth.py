"""How MOOG_API_KEY is sent. Nothing here ends up in a log, an error text or a dead letter."""

from __future__ import annotations

import base64

from yarl import URL

from mutt_appliance.config import Settings
from mutt_appliance.config.faults import ConfigError, Fault


def auth_headers(settings: Settings, api_key: str) -> dict[str, str]:
    """Headers that prove who we are, by MOOG_AUTH_SCHEME.

    User and password inside MOOG_WEBHOOK_URL are sent as Basic authentication unless the scheme
    itself needs that header. Raises ConfigError for a missing key, or one that no header can carry.
    """
    if settings.moog_auth_scheme != "none" and not (api_key and api_key.isprintable()):
        problem = "has characters that a header cannot carry" if api_key else "is empty"
        remedy = "put the key that Moogsoft gave you there, or set MOOG_AUTH_SCHEME=none"
        raise ConfigError([Fault("MOOG_API_KEY", "", problem, remedy)])
    headers = _credentials_of_url(settings.moog_webhook_url or "")
    match settings.moog_auth_scheme:
        case "header":
            headers[settings.moog_header_name] = api_key
        case "bearer":
            headers["Authorization"] = f"Bearer {api_key}"
        case "basic":
            headers["Authorization"] = _basic(settings.moog_auth_user or "", api_key)
        case "none":
            pass
    return headers


def bare_url(settings: Settings) -> URL:
    """MOOG_WEBHOOK_URL without user and password."""
    return URL(settings.moog_webhook_url or "").with_user(None)


def _credentials_of_url(text: str) -> dict[str, str]:
    url = URL(text)
    return {"Authorization": _basic(url.user or "", url.password or "")} if url.user else {}


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
