"""The web UI keeps the dead letters within their size, and says when it cannot."""

from __future__ import annotations

import json

import pytest
import redis
import requests

from mutt_appliance.config import Settings
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.webui import archiving
from tests.conftest import MakeSettings
from tests.support.children import ChildFactory
from tests.support.waiting import wait_until
from tests.webui.conftest import prepared, serving


def test_too_many_go_to_a_file_as_soon_as_it_can_be_written(
    make_settings: MakeSettings,
    child_for: ChildFactory,
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archiving, "LOOK_SECS", 0.2)
    settings: Settings = prepared(make_settings(moog_dlq_max_size=10))
    folder, dead = settings.dead_letter_archive, KeySpace(settings).alerts.dead
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    client.lpush(dead, *(dead_letter(json.dumps({"n": n}), "http_404", 1, "moog") for n in range(12)))
    with serving(settings, child_for) as url:

        def health() -> tuple[bool, str]:
            document = requests.get(f"{url}/health", timeout=5).json()["processes"]["webui:0"]
            found = document["components"].get("dlq_archive", {"ok": True, "detail": ""})
            return found["ok"], found["detail"]

        wait_until(lambda: not health()[0], 10, "health says that it cannot be written")
        assert str(folder) in health()[1]
        assert client.llen(dead) == 12
        folder.unlink()
        wait_until(lambda: client.llen(dead) == 9, 10, "the oldest are archived")
        wait_until(lambda: health()[0], 10, "health is good again")
        assert (
            'mutt_dlq_archived_letters_total{queue="moog"} 3.0'
            in requests.get(f"{url}/metrics", timeout=5).text
        )
    assert len(list(folder.glob("moog-0-*.ndjson.gz"))) == 1
