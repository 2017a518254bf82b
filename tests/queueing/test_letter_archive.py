"""Dead letters that are too many go to files, on a real Redis and a real disk."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from mutt_appliance import whole_files
from mutt_appliance.config import Settings
from mutt_appliance.queueing import letter_archive
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.letter_archive import archive, excess, file_name
from mutt_appliance.queueing.letter_files import read_letters
from mutt_appliance.queueing.shards import async_shards, close_all
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings

NAMES = ("ingest", "alerter", "moog")


@pytest.fixture
def settings(make_settings: MakeSettings, tmp_path: Path) -> Settings:
    return make_settings(
        dlq_archive_dir=tmp_path / "archive",
        moog_dlq_max_size=100,
        alerter_dlq_max_size=100,
        ingest_dlq_max_size=100,
    )


def letters(count: int, first: int = 0) -> list[bytes]:
    return [
        dead_letter(json.dumps({"alert_id": f"a{n}"}), "http_503", 6, "moog")
        for n in range(first, first + count)
    ]


def lists(settings: Settings) -> dict[str, str]:
    keys = KeySpace(settings)
    return {"ingest": keys.ingest_dead, "alerter": keys.events.dead, "moog": keys.alerts.dead}


def archived(settings: Settings) -> list[tuple[str, int, Path]]:
    files: list[tuple[str, int, Path]] = []

    async def go() -> None:
        shards = async_shards(settings, Secrets, "test")
        try:
            await archive(shards.home, shards, settings, lambda *told: files.append(told))
        finally:
            await close_all(shards)

    asyncio.run(go())
    return files


def test_how_many_are_to_go() -> None:
    assert [excess(depth, 100) for depth in (0, 99, 100, 101, 250)] == [0, 0, 0, 11, 160]
    assert excess(2, 1) == 2
    at = datetime(2026, 11, 25, 20, 15, 30, 123456, UTC)
    assert file_name("moog", 0, at) == "moog-0-20261125T201530.123456Z.ndjson.gz"


@pytest.mark.parametrize("queue", NAMES)
def test_the_oldest_go_to_a_file_and_the_file_has_every_byte(
    settings: Settings, client: redis.Redis, queue: str
) -> None:
    every = letters(150)
    client.lpush(lists(settings)[queue], *every)
    ((told, count, path),) = archived(settings)
    assert (told, count) == (queue, 60)
    assert list(read_letters(path)) == every[:60]
    assert client.lrange(lists(settings)[queue], 0, -1) == every[60:][::-1]
    assert archived(settings) == []
    assert [each.name for each in settings.dead_letter_archive.iterdir()] == [path.name]


def test_the_limit_is_that_of_all_shards_together(
    make_settings: MakeSettings, client: redis.Redis, tmp_path: Path
) -> None:
    settings = make_settings(redis_shards=2, moog_dlq_max_size=100, dlq_archive_dir=tmp_path)
    client.lpush(KeySpace(settings, 1).alerts.dead, *letters(51))
    client.lpush(KeySpace(settings, 0).alerts.dead, *letters(50))
    ((_, count, path),) = archived(settings)
    assert (count, path.name[:7]) == (6, "moog-1-")


def test_what_cannot_be_written_stays(settings: Settings, client: redis.Redis) -> None:
    settings.dead_letter_archive.write_text("no folder")
    client.lpush(lists(settings)["moog"], *letters(150))
    with pytest.raises(OSError, match="archive"):
        archived(settings)
    assert client.llen(lists(settings)["moog"]) == 150
    assert client.exists(KeySpace(settings).archive_lock) == 0


def test_a_disk_is_not_filled_up(
    settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_files, "RESERVE_SHARE", 1.0)
    client.lpush(lists(settings)["moog"], *letters(150))
    with pytest.raises(OSError, match=r"of the disk is free: .*archive"):
        archived(settings)
    assert client.llen(lists(settings)["moog"]) == 150
    assert list(settings.dead_letter_archive.iterdir()) == []


def test_large_letters_are_not_all_in_memory_at_once(
    settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letter_archive, "FILE_BYTES", 300_000)
    every = [dead_letter(json.dumps({"n": n, "text": "x" * 1000}), "bad", 0, "ingest") for n in range(1000)]
    client.lpush(lists(settings)["ingest"], *every)
    files = archived(settings)
    assert [count for _, count, _ in files] == [400, 400, 110]
    assert [raw for _, _, path in files for raw in read_letters(path)] == every[:910]
    assert client.lrange(lists(settings)["ingest"], 0, -1) == every[910:][::-1]


def test_a_redis_that_is_full_gets_room(settings: Settings, client: redis.Redis) -> None:
    client.lpush(lists(settings)["moog"], *letters(150))
    client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
    try:
        ((_, count, _),) = archived(settings)
    finally:
        client.config_set("maxmemory", 0)
    assert count == 60
    assert client.llen(lists(settings)["moog"]) == 90
    assert client.exists(KeySpace(settings).archive_lock) == 0


def test_one_appliance_at_a_time_does_it(settings: Settings, client: redis.Redis) -> None:
    client.lpush(lists(settings)["moog"], *letters(150))
    client.set(KeySpace(settings).archive_lock, "another")
    assert archived(settings) == []
    client.delete(KeySpace(settings).archive_lock)
    assert len(archived(settings)) == 1


def test_without_a_folder_of_its_own_it_is_in_the_data_folder(make_settings: MakeSettings) -> None:
    settings = make_settings()
    assert settings.dead_letter_archive == settings.mutt_data_dir / "dlq-archive"
