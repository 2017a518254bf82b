"""mutt-ctl queues: what waits moves from one appliance to another, and every event of it arrives."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from mutt_appliance.cli.ctl import cli
from mutt_appliance.config import Settings
from mutt_appliance.queueing.events import EventQueue
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.lease import Lease
from tests.conftest import MakeSettings, Stores
from tests.support.line import event, new_id, running_line
from tests.support.waiting import wait_until

Ctl = Callable[..., Result]


def ctl_of(env: dict[str, str]) -> Ctl:
    def run(*words: object, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, ["queues", *map(str, words)], env=dict(env))
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings()


@pytest.fixture
def keys(settings: Settings) -> KeySpace:
    return KeySpace(settings)


@pytest.fixture
def ctl(settings: Settings) -> Ctl:
    names = ("redis_host", "db_host", "mutt_runtime_dir", "mutt_secrets_file")
    env = {name.upper(): str(getattr(settings, name)) for name in names}
    return ctl_of({**env, "FORWARDER_WORKERS": "0", "MUTT_ENV_FILE": "/dev/null"})


def test_what_waits_on_one_appliance_goes_its_way_on_another(stores: Stores, tmp_path: Path) -> None:
    """Events, a failed alert and a dead letter; the second appliance makes of them what the first would have."""
    file = tmp_path / "queues.ndjson.gz"
    with running_line(stores) as old:
        control = ["--runtime-dir", old.appliance.env["MUTT_RUNTIME_DIR"]]
        stop = CliRunner().invoke(cli, [*control, "stop", "alerter", "forwarder"])
        assert stop.exit_code == 0, stop.output
        ids = [new_id("moved") for _ in range(300)]
        assert old.post([event(event_id=each) for each in ids]).status == 200
        assert old.post({"hostname": "no message"}).status == 400
        assert CliRunner().invoke(cli, [*control, "stop", "ingestor"]).exit_code == 0
        output = ctl_of(old.appliance.env)("dump", file).output
        assert "300 ingest_queue" in output
        assert "301 in all" in output
        old.redis.flushall()
        # The appliance must come to rest as it began.
        assert CliRunner().invoke(cli, [*control, "start", "alerter", "forwarder", "ingestor"]).exit_code == 0
    with running_line(stores) as new:
        load = ctl_of(new.appliance.env)
        assert f"loaded from {file}" in load("load", file).output
        assert "--again loads it twice" in load("load", file, code=1).output
        wait_until(
            lambda: (
                len({e["custom_info"]["event_id"] for r in new.moogsoft.accepted() for e in r.events}) >= 300
            ),
            30,
            "every alert is delivered",
        )
        delivered = [e["custom_info"]["event_id"] for r in new.moogsoft.accepted() for e in r.events]
        assert sorted(delivered) == sorted(ids)
        assert [letter["payload"]["hostname"] for letter in new.dead("ingest")] == ["no message"]


def test_workers_at_work_are_named_and_stop_it(
    ctl: Ctl, client: redis.Redis, keys: KeySpace, tmp_path: Path
) -> None:
    EventQueue(client, keys, Lease(keys.events, "w1", "run", 30_000)).register()
    output = ctl("dump", tmp_path / "q", code=1).output
    assert "workers are at work (w1): mutt-ctl stop ingestor alerter forwarder" in output
    assert list(tmp_path.glob("*q*")) == []
    assert "0 in all" in ctl("dump", tmp_path / "q", "--force").output


def test_a_queue_that_grows_meanwhile_stops_it(
    ctl: Ctl, client: redis.Redis, keys: KeySpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.lpush(keys.ingest_queue, "e1")
    whole = "mutt_appliance.cli.ctl_queues.items_of"

    def growing(*arguments: object) -> object:
        client.lpush(keys.ingest_queue, "e2")
        from mutt_appliance.queueing.dump_shards import items_of

        yield from items_of(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(whole, growing)
    assert "the queues changed meanwhile" in ctl("dump", tmp_path / "q", code=1).output
    assert list(tmp_path.glob("*q*")) == []


def test_a_damaged_file_loads_nothing(ctl: Ctl, client: redis.Redis, keys: KeySpace, tmp_path: Path) -> None:
    client.lpush(keys.ingest_queue, *(f"e{n}" for n in range(1500)))
    file = tmp_path / "q.gz"
    ctl("dump", file)
    client.flushall()
    whole = file.read_bytes()
    lines = gzip.decompress(whole).splitlines(keepends=True)
    for damaged, words in (
        (whole[:-10], "Compressed file ended"),
        (gzip.compress(b"".join(lines[:-1])), "cut off"),
        (gzip.compress(b"".join([*lines[:700], *lines[701:]])), "damaged"),
        (b"something", "ot a gzipped file"),
        (whole[:12] + bytes(40) + whole[52:], "rror"),
    ):
        file.write_bytes(damaged)
        output = ctl("load", file, code=1).output
        assert words in output
        assert str(file) in output
        assert client.dbsize() == 0


def test_zcat_and_jq_would_read_it(ctl: Ctl, client: redis.Redis, keys: KeySpace, tmp_path: Path) -> None:
    client.lpush(keys.ingest_queue, "e1")
    file = tmp_path / "q.gz"
    ctl("dump", file)
    head, item, end = map(json.loads, gzip.decompress(file.read_bytes()).splitlines())
    assert (head["format"], item["place"], item["item"], end["counts"]) == (
        *("mutt-queues", "ingest_queue", "ZTE="),
        {"ingest_queue": 1},
    )
    assert f"{file}: is there already" in ctl("dump", file, code=1).output


def test_without_redis_there_is_a_message(ctl: Ctl, stores: Stores, tmp_path: Path) -> None:
    stores.redis.stop()
    try:
        output = ctl("dump", tmp_path / "q", code=1).output
    finally:
        stores.redis.start()
    assert "Error: Redis at" in output
