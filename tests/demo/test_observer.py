"""What is read out of metrics and of the appliance's log."""

from __future__ import annotations

import json
from pathlib import Path

from mutt_appliance.demo.appliance import LogFollower
from mutt_appliance.demo.observer import Depths, counters_of, parse_metrics, total
from mutt_appliance.demo.places import PORTS, Places

EXPOSITION = """
# HELP mutt_ingest_events_total Events by outcome
# TYPE mutt_ingest_events_total counter
mutt_ingest_events_total{outcome="queued"} 12.0
mutt_ingest_events_total{outcome="refused"} 2.0
mutt_ingest_events_total{outcome="duplicate"} 3.0
# HELP mutt_alerter_events_processed_total Events by status
# TYPE mutt_alerter_events_processed_total counter
mutt_alerter_events_processed_total{status="handled"} 7.0
mutt_alerter_events_processed_total{status="unhandled"} 5.0
# HELP mutt_moog_alerts_processed_total Alerts processed
# TYPE mutt_moog_alerts_processed_total counter
mutt_moog_alerts_processed_total{status="success"} 4.0
mutt_moog_alerts_processed_total{status="error"} 2.0
mutt_moog_alerts_processed_total{status="dlq"} 1.0
"""


def places(folder: Path) -> Places:
    return Places(folder, dict.fromkeys(PORTS, 1), 2, ())


def test_counters_come_from_the_metrics_of_all_roles() -> None:
    counters = counters_of(parse_metrics(EXPOSITION), Depths(dead_ingest=2, dead_moog=1))
    assert (counters.ingested, counters.refused, counters.duplicates) == (12, 2, 3)
    assert (counters.matched, counters.unhandled) == (7, 5)
    assert (counters.forwarded, counters.retried, counters.dead) == (4, 2, 3)


def test_without_redis_the_dead_are_those_that_the_metrics_know() -> None:
    assert counters_of(parse_metrics(EXPOSITION), None).dead == 3


def test_a_sum_takes_the_samples_with_these_labels() -> None:
    samples = parse_metrics(EXPOSITION)
    assert total(samples, "mutt_ingest_events_total") == 17
    assert total(samples, "mutt_ingest_events_total", outcome="queued") == 12
    assert total(samples, "mutt_no_such_metric") == 0


def test_what_is_on_the_way_leaves_out_the_dead() -> None:
    depths = Depths(1, 2, 4, 8, 16, 32, 64, 128)
    assert (depths.events, depths.alerts, depths.dead) == (3, 28, 224)


def test_the_log_is_followed_line_by_line_even_when_one_is_half_written(tmp_path: Path) -> None:
    follower = LogFollower(places(tmp_path))
    follower.read()
    assert follower.states == {}
    first = json.dumps({"event": "process state", "child": "redis:0", "state": "STARTING"})
    second = json.dumps({"event": "process state", "child": "redis:0", "state": "RUNNING"})
    with (tmp_path / "mutt.log").open("w") as log:
        log.write(f"{first}\n{second[:20]}")
        log.flush()
        follower.read()
        assert follower.states == {"redis:0": "STARTING"}
        log.write(f"{second[20:]}\n" + json.dumps({"event": "every process serves"}) + "\n")
        log.flush()
        follower.read()
    assert follower.states == {"redis:0": "RUNNING"}
    assert follower.all_serve


def test_what_the_appliance_says_about_its_troubles_is_kept(tmp_path: Path) -> None:
    follower = LogFollower(places(tmp_path))
    (tmp_path / "mutt.log").write_text(
        json.dumps({"event": "all is well", "level": "info"})
        + "\nerror: SERVER_PORT_INGESTOR=8080: is in use\n"
        + json.dumps({"event": "broken", "level": "error"})
        + "\n"
    )
    follower.read()
    assert "SERVER_PORT_INGESTOR=8080" in follower.troubles()
    assert "broken" in follower.troubles()
    assert "all is well" not in follower.troubles()
