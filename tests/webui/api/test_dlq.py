"""/dlq, on real stores."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.keys import KeySpace
from tests.support.waiting import wait_until
from tests.webui.conftest import Api

EVENT = {"timestamp": "2026-11-24T12:00:00Z", "hostname": "r1", "message": "m <b>"}


@pytest.fixture
def keys(settings: Settings) -> KeySpace:
    return KeySpace(settings)


def refused(client: redis.Redis, keys: KeySpace, payload: Any, reason: str = "timestamp is missing") -> None:
    client.lpush(keys.ingest_dead, dead_letter(json.dumps(payload), reason, 0, "ingest"))


def undelivered(client: redis.Redis, keys: KeySpace, *names: str, reason: str = "http_404") -> None:
    for name in names:
        alert = {"alert_id": name, "hostname": "r1", "delivery": {"attempts": 6}}
        client.lpush(keys.alerts.dead, dead_letter(json.dumps(alert), reason, 6, "forwarder"))


def test_the_queues_are_summed_up_with_their_reasons(api: Api, client: redis.Redis, keys: KeySpace) -> None:
    undelivered(client, keys, "a1", "a2")
    undelivered(client, keys, "a3", reason="http_503")
    ingest, alerter, moog = api("GET", "/dlq").json()["items"]
    assert (ingest["queue"], ingest["depth"], ingest["newest_at"]) == ("ingest", 0, None)
    assert (alerter["queue"], moog["queue"], moog["depth"]) == ("alerter", "moog", 3)
    assert moog["reasons"] == [{"reason": "http_404", "count": 2}, {"reason": "http_503", "count": 1}]
    assert moog["oldest_at"] <= moog["newest_at"]


def test_letters_are_paged_and_filtered(api: Api, client: redis.Redis, keys: KeySpace) -> None:
    undelivered(client, keys, *(f"a{n}" for n in range(5)))
    undelivered(client, keys, "b", reason="http_503")
    page = api("GET", "/dlq/moog?offset=1&limit=2").json()
    assert (page["depth"], page["matching"]) == (6, 6)
    assert [each["payload"]["alert_id"] for each in page["items"]] == ["a4", "a3"]
    found = api("GET", "/dlq/moog?reason=503").json()
    assert (found["depth"], found["matching"], found["items"][0]["payload"]["alert_id"]) == (6, 1, "b")
    assert api("GET", "/dlq/moog?q=a4&hostname=r1").json()["matching"] == 1
    assert api("GET", "/dlq/nothing").status_code == 422


def test_a_letter_is_corrected_and_replayed(
    api: Api, client: redis.Redis, keys: KeySpace, history: Any
) -> None:
    refused(client, keys, {"hostname": "r1", "message": "m"})
    (one,) = api("GET", "/dlq/ingest").json()["items"]
    assert api("GET", f"/dlq/ingest/{one['id']}").json() == one
    as_it_is = api("POST", f"/dlq/ingest/{one['id']}/replay", {})
    assert as_it_is.status_code == 422
    assert as_it_is.json()["errors"] == [{"field": "body.payload", "message": "timestamp is missing"}]
    assert api("POST", f"/dlq/ingest/{one['id']}/replay", {"payload": EVENT}).json() == {"count": 1}
    (item,) = client.lrange(keys.ingest_queue, 0, -1)
    assert json.loads(item)["message"] == "m <b>"
    assert api("GET", f"/dlq/ingest/{one['id']}").status_code == 404
    assert api("POST", f"/dlq/ingest/{one['id']}/replay", {"payload": EVENT}).status_code == 404
    assert history()[-1] == ("administrator", "replay", "dead_letters", "ingest")


def test_all_letters_are_replayed_in_the_background(
    api: Api, client: redis.Redis, keys: KeySpace, history: Any
) -> None:
    assert api("GET", "/dlq/moog/replay").json()["state"] == "idle"
    undelivered(client, keys, *(f"a{n}" for n in range(1500)))
    client.lpush(keys.alerts.dead, dead_letter("text", "http_404", 1, "forwarder"))
    begun = api("POST", "/dlq/moog/replay", {"reason": "http_404"})
    assert (begun.status_code, begun.json()["total"], begun.json()["started_by"]) == (
        202,
        1501,
        "administrator",
    )
    wait_until(lambda: api("GET", "/dlq/moog/replay").json()["state"] == "done", message="the replay is done")
    done = api("GET", "/dlq/moog/replay").json()
    assert (done["replayed"], done["failed"]) == (1500, 1)
    assert (client.llen(keys.alert_queue), client.llen(keys.alerts.dead)) == (1500, 1)
    assert history()[-1] == ("administrator", "replay", "dead_letters", "moog")
    assert api("POST", "/dlq/moog/replay", {}).status_code == 202


def test_two_do_not_replay_a_queue_at_once(api: Api, client: redis.Redis, keys: KeySpace) -> None:
    client.set(keys.replay("moog") + ":lock", "somebody", ex=30)
    answer = api("POST", "/dlq/moog/replay", {})
    assert answer.status_code == 409
    assert "a replay is under way" in answer.json()["detail"]


def test_a_replay_whose_process_ended_has_failed(api: Api, client: redis.Redis, keys: KeySpace) -> None:
    fields = {"state": "running", "total": 9, "looked_at": 1, "replayed": 1, "failed": 0, "told_at": 1.0,
              "started_at": "2026-11-24T12:00:00Z", "started_by": "ada"}  # fmt: skip
    client.hset(keys.replay("moog"), mapping=fields)  # type: ignore[arg-type]
    assert api("GET", "/dlq/moog/replay").json()["state"] == "failed"


def test_letters_are_discarded_one_by_one_or_by_a_filter(
    api: Api, client: redis.Redis, keys: KeySpace, history: Any
) -> None:
    refused(client, keys, {"hostname": "r1"})
    refused(client, keys, {"hostname": "r2"})
    refused(client, keys, {"hostname": "r2", "n": 2})
    (one,) = api("GET", "/dlq/ingest?hostname=r1").json()["items"]
    assert api("DELETE", f"/dlq/ingest/{one['id']}").status_code == 204
    assert api("DELETE", f"/dlq/ingest/{one['id']}").status_code == 404
    assert api("DELETE", "/dlq/ingest?hostname=r3").json() == {"count": 0}
    assert api("DELETE", "/dlq/ingest?hostname=r2").json() == {"count": 2}
    assert client.llen(keys.ingest_dead) == 0
    assert {entry[1:] for entry in history()} == {("discard", "dead_letters", "ingest")}


def test_a_viewer_looks_and_touches_nothing(api: Api, client: redis.Redis, keys: KeySpace) -> None:
    undelivered(client, keys, "a1")
    viewer = api.named("vera", "viewer")
    (one,) = viewer("GET", "/dlq/moog").json()["items"]
    assert viewer("POST", f"/dlq/moog/{one['id']}/replay", {}).status_code == 403
    assert viewer("DELETE", f"/dlq/moog/{one['id']}").status_code == 403
    assert viewer("DELETE", "/dlq/moog").status_code == 403
    assert viewer("POST", "/dlq/moog/replay", {}).status_code == 403
    assert client.llen(keys.alerts.dead) == 1


def test_letters_are_found_by_the_time_they_failed(
    api: Api, client: redis.Redis, keys: KeySpace, history: Any
) -> None:
    for hour in (10, 11, 12):
        alert = json.dumps({"alert_id": f"a{hour}", "hostname": "r1"})
        client.lpush(
            keys.alerts.dead, dead_letter(alert, "http_503", 6, "moog", f"2026-11-24T{hour}:00:00.000000Z")
        )
    client.lpush(keys.alerts.dead, b"none of ours")
    found = api("GET", "/dlq/moog?since=2026-11-24T11:00&until=2026-11-24T13:00:00%2B01:00").json()
    assert [each["payload"]["alert_id"] for each in found["items"]] == ["a11"]
    assert api("GET", "/dlq/moog?since=yesterday").status_code == 422
    body = {"since": "2026-11-24T11:30:00Z", "rate": 5}
    assert api("POST", "/dlq/moog/replay", body).status_code == 202
    wait_until(lambda: api("GET", "/dlq/moog/replay").json()["state"] == "done", message="the replay is done")
    assert client.llen(keys.alert_queue) == 1
    assert history()[-1] == ("administrator", "replay", "dead_letters", "moog")
    assert api("POST", "/dlq/moog/replay", {"rate": 0}).status_code == 422


def test_a_replay_goes_no_faster_than_it_is_told(api: Api, client: redis.Redis, keys: KeySpace) -> None:
    undelivered(client, keys, *(f"a{n}" for n in range(30)))
    began = time.monotonic()
    assert api("POST", "/dlq/moog/replay", {"rate": 20}).status_code == 202
    wait_until(lambda: api("GET", "/dlq/moog/replay").json()["state"] == "done", message="the replay is done")
    assert 1.4 < time.monotonic() - began < 5
    assert client.llen(keys.alert_queue) == 30
