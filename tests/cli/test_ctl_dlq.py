"""mutt-ctl dlq on real stores."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.shards import shard_of
from tests.conftest import MakeSettings, Stores
from tests.support.ctl import Ctl, ctl_on
from tests.webui.conftest import prepared

EVENT = {"timestamp": "2026-11-24T12:00:00Z", "hostname": "r1", "message": "m"}


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return prepared(make_settings())


@pytest.fixture
def keys(settings: Settings) -> KeySpace:
    return KeySpace(settings)


@pytest.fixture
def ctl(settings: Settings) -> Ctl:
    return ctl_on(settings)


def letter(number: int, reason: str = "http_503", host: str = "r1", minute: int = 0) -> bytes:
    alert = {"alert_id": f"a{number}", "hostname": host, "delivery": {"attempts": 6}}
    return dead_letter(json.dumps(alert), reason, 6, "moog", f"2026-11-24T12:{minute:02}:00.000000Z")


def fill(client: redis.Redis, keys: KeySpace, *letters: bytes) -> None:
    client.lpush(keys.alerts.dead, *letters)


def alerts(client: redis.Redis, keys: KeySpace) -> list[Any]:
    return [json.loads(item) for item in reversed(client.lrange(keys.alert_queue, 0, -1))]


def test_letters_are_listed_by_what_is_asked_for(ctl: Ctl, client: redis.Redis, keys: KeySpace) -> None:
    fill(client, keys, letter(1), letter(2, "http_404", "R2", 5), letter(3, minute=10))

    def ids(*filters: str) -> list[str]:
        found = json.loads(ctl("dlq", "list", "moog", "--json", *filters).stdout)
        return [each["payload"]["alert_id"] for each in found["items"]]

    assert ids() == ["a3", "a2", "a1"]
    assert ids("--reason", "HTTP_503") == ["a3", "a1"]
    assert ids("--host", "r2") == ["a2"]
    assert ids("--text", '"A3"') == ["a3"]
    assert ids("--since", "2026-11-24T12:05") == ["a3", "a2"]
    assert ids("--until", "2026-11-24T13:05:00+01:00") == ["a1"]
    assert ids("--limit", "1") == ["a3"]
    assert "  2026-11-24T12:10:00Z  " in ctl("dlq", "list", "moog").stdout
    queues = json.loads(ctl("dlq", "list", "--json").stdout)
    assert [(each["queue"], each["depth"]) for each in queues] == [("ingest", 0), ("alerter", 0), ("moog", 3)]
    assert "1 of 3 shown" in ctl("dlq", "list", "moog", "--limit", "1").output
    assert ctl("dlq", "list", "moog", "--since", "yesterday", code=2)


def test_text_of_a_device_does_not_steer_the_terminal(ctl: Ctl, client: redis.Redis, keys: KeySpace) -> None:
    fill(client, keys, letter(1, "title \x1b]0;mine\x07", "r1\x1b[2J\x9b2J\u202e"))
    outputs = [ctl("dlq", "list").stdout, ctl("dlq", "list", "moog").stdout]
    (one,) = json.loads(ctl("dlq", "list", "moog", "--json").stdout)["items"]
    outputs.append(ctl("dlq", "show", "moog", one["id"]).stdout)
    for output in outputs:
        assert "\u241b" in output
        assert not set(output) & set("\x1b\x07\x9b\u202e")


def test_one_is_shown_by_the_beginning_of_its_name(ctl: Ctl, client: redis.Redis, keys: KeySpace) -> None:
    fill(client, keys, letter(1))
    (one,) = json.loads(ctl("dlq", "list", "moog", "--json").stdout)["items"]
    shown = json.loads(ctl("dlq", "show", "moog", one["id"][:8], "--json").stdout)
    assert shown == one
    assert "http_503" in ctl("dlq", "show", "moog", one["id"]).stdout
    assert "there is no dead letter beef" in ctl("dlq", "show", "moog", "beef", code=1).output


def test_a_replay_keeps_its_rate_and_the_order_and_is_noted(
    ctl: Ctl, client: redis.Redis, keys: KeySpace
) -> None:
    fill(client, keys, *(letter(n) for n in range(30)), letter(99, "http_404"))
    began = time.monotonic()
    done = json.loads(ctl("dlq", "replay", "moog", "--reason", "503", "--rate", "20", "--json").stdout)
    took = time.monotonic() - began
    assert done == {"replayed": 30, "failed": 0}
    assert 1.4 < took < 4
    assert [each["alert_id"] for each in alerts(client, keys)] == [f"a{n}" for n in range(30)]
    assert client.llen(keys.alerts.dead) == 1
    assert ctl("dlq", "replay", "moog", "--all").stdout == "1 replayed\n"


def test_what_cannot_go_on_stays_and_the_exit_code_says_so(
    ctl: Ctl, client: redis.Redis, keys: KeySpace
) -> None:
    client.lpush(keys.ingest_dead, dead_letter(json.dumps(EVENT), "too many", 0, "ingest"))
    client.lpush(keys.ingest_dead, dead_letter("text", "no JSON", 0, "ingest"))
    assert "1 replayed, 1 could not be, and stay" in ctl("dlq", "replay", "ingest", "--all", code=1).stdout
    (left,) = json.loads(ctl("dlq", "list", "ingest", "--json").stdout)["items"]
    assert "not valid JSON" in ctl("dlq", "replay", "ingest", left["id"], code=1).output
    assert (client.llen(keys.ingest_queue), client.llen(keys.ingest_dead)) == (1, 1)


def test_two_do_not_replay_a_queue_at_once(ctl: Ctl, client: redis.Redis, keys: KeySpace) -> None:
    client.set(keys.replay("moog") + ":lock", "somebody", ex=30)
    assert "a replay is under way" in ctl("dlq", "replay", "moog", "--all", code=1).output


def test_discarding_asks_first(ctl: Ctl, client: redis.Redis, keys: KeySpace) -> None:
    fill(client, keys, letter(1), letter(2), letter(3, "http_404"))
    assert (
        "Discard 2 dead letters of moog?"
        in ctl("dlq", "discard", "moog", "--reason", "503", input="n\n", code=1).output
    )
    assert client.llen(keys.alerts.dead) == 3
    assert ctl("dlq", "discard", "moog", "--reason", "503", "--yes").stdout == "2 discarded\n"
    (left,) = json.loads(ctl("dlq", "list", "moog", "--json").stdout)["items"]
    ctl("dlq", "discard", "moog", left["id"], "--yes")
    assert client.llen(keys.alerts.dead) == 0


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_what_is_meant_must_be_said(ctl: Ctl, verb: str) -> None:
    assert "say --all" in ctl("dlq", verb, "moog", code=2).output
    assert "say --all" in ctl("dlq", verb, "moog", "abc", "--all", code=2).output


def test_an_export_comes_back_the_same_byte_for_byte(
    ctl: Ctl, client: redis.Redis, keys: KeySpace, tmp_path: Path
) -> None:
    fill(client, keys, b"no JSON \xff\n", letter(1), letter(2), b'{"base64": "x"}')
    before = client.lrange(keys.alerts.dead, 0, -1)
    file = tmp_path / "moog.ndjson.gz"
    ctl("dlq", "export", "moog", file)
    assert len(gzip.decompress(file.read_bytes()).splitlines()) == 4
    assert (file.stat().st_mode & 0o777) == 0o600
    assert "is there already" in ctl("dlq", "export", "moog", file, code=1).output
    client.delete(keys.alerts.dead)
    ctl("dlq", "import", "moog", file)
    assert client.lrange(keys.alerts.dead, 0, -1) == before


def test_a_file_that_is_none_is_named_with_its_line(ctl: Ctl, tmp_path: Path) -> None:
    bad = tmp_path / "bad.ndjson"
    bad.write_text("{}\n[1]\n")
    assert f"{bad}: line 2 is no dead letter" in ctl("dlq", "import", "moog", bad, code=1).output


def test_a_file_that_is_damaged_is_named(ctl: Ctl, tmp_path: Path) -> None:
    bad = tmp_path / "bad.ndjson.gz"
    whole = gzip.compress(b"".join(letter(n) + b"\n" for n in range(200)))
    bad.write_bytes(whole[:12] + bytes(40) + whole[52:])
    assert f"{bad}: " in ctl("dlq", "import", "moog", bad, code=1).output


def test_a_replay_that_ends_early_is_in_the_history(
    ctl: Ctl, client: redis.Redis, keys: KeySpace, settings: Settings, stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    fill(client, keys, *(letter(n) for n in range(30)))
    monkeypatch.setattr("mutt_appliance.cli.ctl_dlq._show_progress", interrupted)
    assert "ended early: 20 replayed" in ctl("dlq", "replay", "moog", "--all", "--rate", "20", code=1).output
    assert len(alerts(client, keys)) == 20
    noted = "SELECT action, after->>'replayed' FROM config_audit_log WHERE entity = 'dead_letters'"
    assert stores.postgres.execute(noted, settings.db_name) == [("replay", "20")]


def test_more_than_fits_is_not_imported(
    settings: Settings, client: redis.Redis, keys: KeySpace, tmp_path: Path
) -> None:
    fill(client, keys, letter(1), letter(2))
    ctl = ctl_on(settings, MOOG_DLQ_MAX_SIZE="3")
    file = tmp_path / "moog.ndjson.gz"
    ctl("dlq", "export", "moog", file)
    assert "room for 1 of 2" in ctl("dlq", "import", "moog", file, code=1).output


def test_with_shards_every_letter_stays_in_the_shard_of_its_host(
    make_settings: MakeSettings, client: redis.Redis, tmp_path: Path
) -> None:
    settings = prepared(make_settings(redis_shards=2))
    ctl = ctl_on(settings)
    hosts = ["r1", "r2", "r3", "r4"]
    piles = [KeySpace(settings, number) for number in range(2)]
    for number, host in enumerate(hosts):
        fill(client, piles[shard_of(host, 2)], letter(number, host=host, minute=number))
    before = [client.lrange(pile.alerts.dead, 0, -1) for pile in piles]
    assert all(before)
    file = tmp_path / "moog.ndjson.gz"
    ctl("dlq", "export", "moog", file)
    ctl("dlq", "discard", "moog", "--all", "--yes")
    ctl("dlq", "import", "moog", file)
    assert [client.lrange(pile.alerts.dead, 0, -1) for pile in piles] == before
    ctl("dlq", "replay", "moog", "--all")
    assert [client.llen(pile.alert_queue) for pile in piles] == [len(each) for each in before]
