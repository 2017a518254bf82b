"""How the key is sent."""

from __future__ import annotations

from typing import Any

import pytest

from mutt_appliance.config import ConfigError, Settings
from mutt_appliance.forwarder.auth import auth_headers

URL = "https://moogsoft.example/events"


def with_url(**fields: Any) -> Settings:
    return Settings.model_validate({"moog_webhook_url": URL, **fields})


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({}, {"X-API-KEY": "k3y"}),
        ({"moog_format": "cloud"}, {"apiKey": "k3y"}),
        ({"moog_auth_header": "X-Token"}, {"X-Token": "k3y"}),
        ({"moog_auth_scheme": "bearer"}, {"Authorization": "Bearer k3y"}),
        ({"moog_auth_scheme": "basic", "moog_auth_user": "mutt"}, {"Authorization": "Basic bXV0dDprM3k="}),
        ({"moog_auth_scheme": "none"}, {}),
    ],
)
def test_each_scheme_sends_the_key_in_its_way(fields: dict[str, Any], headers: dict[str, str]) -> None:
    assert auth_headers(with_url(**fields), "k3y") == headers


@pytest.mark.parametrize("key", ["", "two\nlines", "bell\x07"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="MOOG_API_KEY") as caught:
        auth_headers(with_url(), key)
    assert not key or key not in str(caught.value)
