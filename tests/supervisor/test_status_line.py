"""The line of `systemctl status`."""

from __future__ import annotations

from mutt_appliance.supervisor.states import State
from mutt_appliance.supervisor.status_line import Standing, status_line

PIPELINE = {"events_per_second": 411.7, "ingest": 0, "alert": 3, "retrying": 0, "dead": 2}


def serving(name: str) -> Standing:
    return Standing(name, State.RUNNING, "serves", serves=True)


def test_flow_depths_and_processes_are_told_in_words() -> None:
    line = status_line([serving("webui:0"), serving("alerter:0")], PIPELINE)
    assert line == "412 events/s; queues: ingest 0, alert 3, dead letters 2; 2 of 2 processes serve"


def test_what_is_down_is_named_with_its_reason() -> None:
    down = Standing("forwarder:1", State.BACKOFF, "exit code 1; next try in 2 s", serves=False)
    line = status_line([serving("forwarder:0"), down], {**PIPELINE, "retrying": 7})
    assert "alert 3, retrying 7, dead letters 2; 1 of 2 processes serve; " in line
    assert line.endswith("down: forwarder:1 (BACKOFF: exit code 1; next try in 2 s)")


def test_what_an_operator_stopped_is_no_trouble() -> None:
    held = Standing("alerter:0", State.STOPPED, "stop wanted", serves=False, held=True)
    assert status_line([held], None) == "0 of 1 processes serve; stopped by an operator: alerter:0"


def test_many_troubles_are_counted() -> None:
    down = [Standing(f"alerter:{n}", State.FATAL, "exit code 1", serves=False) for n in range(5)]
    assert status_line(down, None).endswith("alerter:2 (FATAL: exit code 1) and 2 more")


def test_before_the_web_ui_has_spoken_and_without_redis() -> None:
    assert status_line([serving("webui:0")], None) == "1 of 1 processes serve"
    assert status_line([serving("webui:0")], {"away": True}).startswith("Redis does not answer; 1 of 1")
