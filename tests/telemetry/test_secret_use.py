"""What a process tells of the keys it sees, in the files that the supervisor reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mutt_appliance.secrets import Secrets
from mutt_appliance.telemetry.metrics import enable_pool_metrics, secrets_in_use
from mutt_appliance.telemetry.secret_use import KeyUse, recorded

Read = Callable[[], dict[tuple[str, str], float]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Values by (metric without its prefix, which)."""
    enable_pool_metrics(tmp_path, "ingestor", 0)
    secrets_in_use.cache_clear()

    def values() -> dict[tuple[str, str], float]:
        return {
            (entry["metric"].removeprefix("mutt_secrets_"), entry["which"]): entry["value"]
            for entry in recorded(tmp_path, ["ingestor:0", "ingestor:7"])
            if entry["secret"] == "ingest_api_key"
        }

    return values


def keys(current: str, following: str = "") -> Secrets:
    return Secrets(ingest_api_key=current, ingest_api_key_next=following)


def test_uses_are_counted_by_value_and_go_with_it_when_it_is_promoted(read: Read) -> None:
    now = 1000.0
    use = KeyUse("ingest_api_key", keys("old", "new"), clock=lambda: now)
    assert read()["last_used_timestamp_seconds", "current"] == 0
    use.used("current", 3)
    now = 2000.0
    use.used("next", 4)
    found = read()
    assert (found["used_total", "current"], found["used_total", "next"]) == (3, 4)
    assert ("in_use", "current") not in found
    use.renew(keys("new"))
    found = read()
    assert found["last_used_timestamp_seconds", "current"] == 2000
    assert found["last_used_timestamp_seconds", "next"] == 0
    use.renew(keys("new", "newer"))
    assert read()["last_used_timestamp_seconds", "next"] == 0


def test_of_keys_that_we_send_the_last_one_is_in_use(read: Read) -> None:
    times = iter(range(1000, 2000))
    use = KeyUse("ingest_api_key", keys("old", "new"), ours=True, clock=lambda: next(times))
    use.used("current")
    use.used("next")
    assert (read()["in_use", "current"], read()["in_use", "next"]) == (0, 1)
