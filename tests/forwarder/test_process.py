"""The forwarder as a process of its own: signals, a crash, what it serves."""

from __future__ import annotations

import os
import signal
import urllib.request

import redis

from tests.conftest import MakeSettings
from tests.forwarder.conftest import NOWHERE, alert, places, push
from tests.support.forwarder_process import END_SECS, forwarder_process
from tests.support.moogsoft import OK, Answer, Moogsoft
from tests.support.waiting import wait_until


def metrics_of(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    return {
        name: float(value) for name, value in (ln.rsplit(" ", 1) for ln in lines if not ln.startswith("#"))
    }


def test_sighup_and_sigterm_and_every_metric_of_the_specification(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis
) -> None:
    turns = iter([Answer(503), Answer(404)])
    moogsoft.answer = lambda _: next(turns, OK)
    settings = settings_for(moog_rate_limit=3, moog_rate_period=0.5)
    push(store, *(alert(n) for n in range(8)))
    with forwarder_process(settings) as process:
        wait_until(lambda: len(moogsoft.accepted_ids()) == 7, 15, "seven arrive, one is refused")
        os.kill(process.pid or 0, signal.SIGHUP)
        push(store, alert(8))
        wait_until(lambda: "alert-8" in moogsoft.accepted_ids(), 15, "it goes on after SIGHUP")
        wait_until(lambda: places(store) == {**NOWHERE, "dead": 1}, 15, "all is settled")
        found = metrics_of(settings.metrics_port_moog)
        os.kill(process.pid or 0, signal.SIGTERM)
        process.join(END_SECS)
        assert process.exitcode == 0
    assert found['mutt_moog_requests_total{reason="",status="success"}'] == 8
    assert found['mutt_moog_requests_total{reason="http_503",status="fail"}'] == 1
    assert found['mutt_moog_requests_total{reason="http_404",status="fail"}'] == 1
    assert found['mutt_moog_alerts_processed_total{status="success"}'] == 8
    assert found['mutt_moog_alerts_processed_total{status="dlq"}'] == 1
    assert found['mutt_moog_alerts_processed_total{status="error"}'] == 1
    assert found["mutt_moog_request_latency_seconds_count"] == 10
    assert found["mutt_moog_rate_limit_hits_total"] >= 1
    assert found["mutt_moog_dlq_depth"] == 1
    assert found["mutt_moog_processing_list_depth"] == 0
    assert found["mutt_moog_retry_depth"] == 0


def test_sigkill_in_the_middle_loses_no_alert(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis
) -> None:
    moogsoft.answer = lambda _: Answer(200, delay_secs=0.05)
    settings = settings_for(moog_max_concurrency=10)
    push(store, *(alert(n) for n in range(400)))
    for kills_at in (50, 150, 250):
        with forwarder_process(settings) as process:
            wait_until(lambda at=kills_at: len(set(moogsoft.accepted_ids())) > at, 20, "some arrive")  # type: ignore[misc]
            process.kill()
            process.join(END_SECS)
    with forwarder_process(settings):
        wait_until(lambda: len(set(moogsoft.accepted_ids())) == 400, 20, "all arrive")
        wait_until(lambda: places(store) == NOWHERE, 15, "nothing is left")
    # What was under way when it was killed comes twice, and nothing else.
    assert len(moogsoft.accepted_ids()) <= 400 + 3 * settings.moog_max_concurrency


def test_a_process_that_was_frozen_past_its_lease_goes_on(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis
) -> None:
    moogsoft.answer = lambda _: Answer(200, delay_secs=0.05)
    settings = settings_for(moog_max_concurrency=10)
    push(store, *(alert(n) for n in range(200)))
    with forwarder_process(settings, index=0) as frozen, forwarder_process(settings, index=1):
        heartbeat = "mutt:heartbeat:moog:forwarder-test-0"
        wait_until(lambda: store.llen("mutt:processing:moog:forwarder-test-0"), 15, "it holds alerts")
        os.kill(frozen.pid or 0, signal.SIGSTOP)
        wait_until(lambda: not store.exists(heartbeat), 15, "its lease runs out")
        wait_until(lambda: places(store) == NOWHERE, 20, "the other does its work")
        os.kill(frozen.pid or 0, signal.SIGCONT)
        wait_until(lambda: store.exists(heartbeat), 15, "it registers anew")
        os.kill(frozen.pid or 0, signal.SIGTERM)
        frozen.join(END_SECS)
        assert frozen.exitcode == 0
    assert len(set(moogsoft.accepted_ids())) == 200


def test_alerts_do_not_wait_for_one_another(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis
) -> None:
    count = 2000
    moogsoft.answer = lambda _: Answer(200, delay_secs=0.02)
    push(store, *(alert(n) for n in range(count)))
    with forwarder_process(settings_for(log_level="INFO")):
        wait_until(lambda: len(moogsoft.requests) >= count, 60, "all arrive")
    seconds = moogsoft.requests[count - 1].at - moogsoft.requests[0].at
    # One after the other they would take count * 20 ms = 40 s.
    assert seconds < 10
