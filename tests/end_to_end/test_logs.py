"""What the processes of an appliance write, and how much of it."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.appliance import Appliance
from tests.support.line import Line, event, new_id
from tests.support.moogsoft import Answer
from tests.support.waiting import wait_until

WITHIN = timedelta(seconds=1)
IN_FORCE = "dynamic settings in force"
LIVE = {"ingestor:0", "alerter:0", "forwarder:0", "webui:0"}


def ask(line: Line, method: str, path: str, document: object = None) -> dict[str, Any]:
    """A call of the management API as administrator."""
    request = urllib.request.Request(  # noqa: S310
        line.appliance.url(f"/api/v1{path}", "SERVER_PORT_WEBUI"),
        data=None if document is None else json.dumps(document).encode(),
        method=method,
        headers={"X-API-KEY": line.appliance.secret("WEBUI_API_KEY"), "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return dict(json.loads(answer.read() or b"{}"))


def test_one_correlation_id_is_in_every_line_of_the_way_in_the_audit_row_and_in_the_webhook(
    start_line: Callable[..., Line],
) -> None:
    line = start_line(LOG_LEVEL="DEBUG")
    event_id, correlation_id = new_id("followed"), new_id("correlation")
    # One attempt fails, and one event of the request has a correlation id of its own.
    answers = iter([Answer(503)])
    line.moogsoft.answer = lambda _: next(answers, Answer(200))
    own = event(event_id=new_id("other"), correlation_id=new_id("own"), message="unmatched")
    line.post([event(event_id=event_id), own], {"X-Correlation-ID": correlation_id})
    delivered = line.wait_delivered(event_id)
    line.appliance.wait_for_log("alert delivered", correlation_id=correlation_id)
    of_event = [each for each in line.appliance.log_lines() if each.get("event_id") == event_id]
    assert [(each["process"], each["event"]) for each in of_event] == [
        ("ingestor:0", "event queued"),
        ("alerter:0", "event processed"),
        ("forwarder:0", "attempt failed"),
        ("forwarder:0", "alert delivered"),
    ]
    assert {each["correlation_id"] for each in of_event} == {correlation_id}
    assert line.rows(event_id)[0]["correlation_id"] == correlation_id
    assert delivered["custom_info"]["correlation_id"] == correlation_id
    of_other = [each for each in line.appliance.log_lines() if each.get("event_id") == own["event_id"]]
    assert [(each["event"], each.get("outcome")) for each in of_other] == [
        ("event queued", None),
        ("event processed", "unmatched"),
    ]
    assert {each["correlation_id"] for each in of_other} == {own["correlation_id"]}


def test_a_changed_log_level_is_in_force_in_every_process_within_a_second_and_stays(
    start_line: Callable[..., Line],
) -> None:
    line = start_line()
    appliance = line.appliance
    ask(line, "PUT", "/config/log_level", {"value": "debug"})
    (changed,) = ask(line, "GET", "/config/history?limit=1")["items"]
    changed_at = datetime.fromisoformat(changed["changed_at"])
    wait_until(
        lambda: len(appliance.logged(IN_FORCE, log_level="DEBUG")) == len(LIVE), 5, appliance.log_tail()
    )
    told = appliance.logged(IN_FORCE, log_level="DEBUG")
    (supervisor,) = appliance.wait_for_log("log level in force", log_level="DEBUG", process="supervisor")
    assert {each["process"] for each in told} == LIVE
    for each in (*told, supervisor):
        assert datetime.fromisoformat(each["time"]) - changed_at < WITHIN, each
    # An event is told of by every process that it passes; the change in the file of the environment is not taken.
    line.good_event_passes()
    appliance.wait_for_log("alert delivered", level="debug")

    appliance.signal(1)
    appliance.wait_for_log("reload: done")
    line.good_event_passes()
    wait_until(lambda: len(appliance.logged("alert delivered", level="debug")) == 2, 5, "still at DEBUG")

    ask(line, "DELETE", "/config/log_level")
    wait_until(
        lambda: len(appliance.logged(IN_FORCE, log_level="INFO")) == len(LIVE), 5, appliance.log_tail()
    )
    appliance.wait_for_log("log level in force", log_level="INFO", process="supervisor")
    line.good_event_passes()
    assert len(appliance.logged("event queued")) == 2
    assert len(appliance.logged("alert delivered")) == 2


def test_under_the_journal_each_line_has_the_priority_of_its_level_and_the_log_files_have_none(
    tmp_path: Path,
) -> None:
    log = tmp_path / "mutt.log"
    log.touch()
    tmp_path.chmod(0o755)
    status = log.stat()
    # For the process its own stderr, a file, is what JOURNAL_STREAM says it is.
    stream = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}", "LOG_LEVEL": "DEBUG"}
    away = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", "REDIS_TLS_ENABLED": "false"}
    with Appliance({**stream, **away, "DB_HOST": "127.0.0.1", "DB_PORT": "1"}, folder=tmp_path) as appliance:
        appliance.start()
        form = re.compile(r"<([0-7])>(\{.*\})")

        def marked() -> dict[tuple[str, str], str]:
            found = [form.fullmatch(each) for each in log.read_text().splitlines()]
            documents = [(json.loads(each[2]), each[1]) for each in found if each]
            assert len(documents) == len(found)
            return {(str(d["process"]), str(d["level"])): mark for d, mark in documents}

        wanted = {("supervisor", "info"): "6", ("supervisor", "warning"): "4", ("ingestor:0", "error"): "3"}
        wait_until(lambda: wanted.items() <= marked().items(), 30, appliance.log_tail())
        kept = [path for path in (tmp_path / "run" / "logs").iterdir() if path.read_text()]
        assert {"supervisor.log", "ingestor-0.log"} <= {path.name for path in kept}
        for path in kept:
            assert all(each.startswith("{") for each in path.read_text().splitlines()), path


def test_a_storm_of_failures_is_a_few_lines(start_line: Callable[..., Line]) -> None:
    line = start_line(LOG_REPEAT_LIMIT="3", MOOG_RETRY_BASE_DELAY="60", MOOG_CIRCUIT_FAILURES="0")
    line.moogsoft.answer = lambda _: Answer(503)
    line.post([event() for _ in range(200)])
    wait_until(lambda: len(line.moogsoft.answered) >= 200, 20, "200 attempts")
    line.moogsoft.answer = lambda _: Answer(404)
    line.post([event() for _ in range(50)])
    wait_until(lambda: len(line.moogsoft.answered) >= 250, 20, "50 attempts more")
    line.appliance.terminate()
    assert len(line.appliance.logged("attempt failed")) == 3
    assert len(line.appliance.logged("attempt failed, the alert is a dead letter")) == 3
    left_out = line.appliance.logged("more like this were left out", process="forwarder:0")
    assert {(each["like"], each["lines"]) for each in left_out} == {
        ("attempt failed", 197),
        ("attempt failed, the alert is a dead letter", 47),
    }
    assert line.appliance.logged("moogsoft does not accept alerts")
    line.appliance.start_and_wait()
