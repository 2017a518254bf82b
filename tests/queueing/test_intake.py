"""Taking events in, on a real Redis."""

from __future__ import annotations

import asyncio
import json

import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import async_client
from mutt_appliance.queueing.dead_letter import around_payload, dead_letter
from mutt_appliance.queueing.intake import CLOCK_LEEWAY_SECS, DIGEST_BYTES, IngestQueue, Intake, IntakeResult
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.scripts import text
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings


def digest(event_id: str) -> bytes:
    """Stands for the digest of an id."""
    return event_id.encode().ljust(DIGEST_BYTES, b".")


def put(settings: Settings, *intakes: Intake) -> IntakeResult:
    """One call with all intakes."""

    async def main() -> IntakeResult:
        client = async_client(settings, Secrets(), "test")
        try:
            return await IngestQueue(client, KeySpace(settings), settings).put(list(intakes))
        finally:
            await client.aclose()

    return asyncio.run(main())


def test_events_and_dead_letters_of_many_requests_go_in_one_call(
    settings: Settings, client: redis.Redis, keys: KeySpace
) -> None:
    first = Intake([(b"", b"%d" % number) for number in range(2500)], [b"bad"])
    result = put(settings, first, Intake([(b"", b"last")], []))
    assert result == IntakeResult(True, 2501, 1, frozenset())
    assert client.lindex(keys.ingest_queue, -1) == b"0"
    assert client.lindex(keys.ingest_queue, 0) == b"last"


def test_an_id_seen_before_is_acknowledged_but_not_queued(
    settings: Settings, client: redis.Redis, keys: KeySpace
) -> None:
    assert put(
        settings, Intake([(digest("id1"), b"a"), (digest("id2"), b"b"), (digest("id1"), b"a")], [])
    ).duplicates == {2}
    again = put(settings, Intake([(digest("id2"), b"b"), (digest("id3"), b"c")], []))
    assert (again.duplicates, again.queue_depth) == (frozenset({0}), 3)


def test_an_id_of_the_window_before_still_counts(
    settings: Settings, client: redis.Redis, keys: KeySpace
) -> None:
    put(settings, Intake([(digest("id1"), b"a")], []))
    seen_in = text(client.keys("mutt:dedup:*")[0])
    window = int(seen_in.rsplit(":", 1)[1])
    client.rename(seen_in, keys.dedup(window - 1))
    assert put(settings, Intake([(digest("id1"), b"a")], [])).duplicates == {0}
    kept_secs = int(client.ttl(keys.dedup(window - 1)))
    assert 0 < kept_secs - settings.ingest_dedup_window_seconds <= CLOCK_LEEWAY_SECS


def test_a_full_queue_takes_all_or_nothing(
    make_settings: MakeSettings, client: redis.Redis, keys: KeySpace
) -> None:
    settings = make_settings(max_ingest_queue_size=3)
    assert put(settings, Intake([(b"", b"a"), (digest("x"), b"b")], [])).accepted
    refused = put(settings, Intake([(digest("y"), b"c"), (b"", b"d")], [b"bad"]))
    assert (refused.accepted, refused.queue_depth) == (False, 2)
    assert client.llen(keys.ingest_dead) == 0
    # The id of what was refused is not taken for seen.
    assert put(settings, Intake([(digest("y"), b"c")], [])).duplicates == frozenset()


def test_a_flood_of_dead_letters_that_nobody_archives_has_a_limit_and_the_newest_stay(
    make_settings: MakeSettings, client: redis.Redis, keys: KeySpace
) -> None:
    put(make_settings(ingest_dlq_max_size=2), Intake([], [b"1", b"2", b"3", b"4", b"5"]))
    assert client.lrange(keys.ingest_dead, 0, -1) == [b"5", b"4", b"3", b"2"]


def test_a_dead_letter_keeps_json_as_json_and_anything_else_as_text() -> None:
    letter = json.loads(dead_letter(b'{"a":1}', "why", 2, "moog"))
    assert (letter["payload"], letter["reason"], letter["attempts"], letter["source"]) == (
        {"a": 1},
        "why",
        2,
        "moog",
    )
    assert (
        json.loads(dead_letter(b"\xff not json", "why", 0, "ingest"))["payload"]
        == "\N{REPLACEMENT CHARACTER} not json"
    )
    deep = b"[" * 500 + b"]" * 500
    assert json.loads(dead_letter(deep, "why", 0, "ingest"))["payload"] == deep.decode()


def test_the_text_around_a_payload_makes_the_same_letter() -> None:
    before, after = around_payload('a "quoted" reason', 0, "alerter-shed")
    assert json.loads(before + '{"a":1}' + after)["payload"] == {"a": 1}
