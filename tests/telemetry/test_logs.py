"""Log lines, as JSON and for people."""

from __future__ import annotations

import io
import json
import logging
import threading

import pytest
import structlog

from mutt_appliance.telemetry.logs import (
    configure_logging,
    debug_is_shown,
    finish_logging,
    get_logger,
    set_log_level,
)
from mutt_appliance.telemetry.repeats import SUMMARY, Repeats
from tests.support.waiting import wait_until


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_each_line_is_json_with_its_context() -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, process="alerter:0")
    get_logger("test").warning("something", correlation_id="c1", path=object)
    (line,) = lines(stream)
    assert (line["event"], line["correlation_id"], line["process"]) == ("something", "c1", "alerter:0")
    assert line["level"] == "warning"
    assert str(line["time"]).endswith("Z")


def test_every_thread_has_the_context() -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, process="alerter:0")
    thread = threading.Thread(target=lambda: get_logger("test").info("hello"))
    thread.start()
    thread.join()
    assert lines(stream)[0]["process"] == "alerter:0"


def test_on_a_terminal_lines_are_for_people() -> None:
    stream = Terminal()
    configure_logging("INFO", stream=stream)
    get_logger("test").info("readable")
    assert "readable" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    configure_logging("ERROR", stream=stream)
    get_logger("test").warning("not this")
    get_logger("test").error("this")
    assert [line["event"] for line in lines(stream)] == ["this"]


def test_an_exception_is_in_the_line_and_libraries_warnings_too() -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, process="p")
    try:
        raise ValueError("inner")
    except ValueError:
        get_logger("test").exception("failed")
    logging.getLogger("aiohttp").warning("from a library")
    failed, library = lines(stream)
    assert "ValueError: inner" in str(failed["exception"])
    assert (library["event"], library["process"]) == ("from a library", "p")


def test_the_level_changes_for_loggers_that_exist_and_for_every_thread() -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream)
    log = get_logger("test")
    log.debug("not yet")
    set_log_level("DEBUG")
    assert debug_is_shown()
    thread = threading.Thread(target=lambda: log.debug("now"))
    thread.start()
    thread.join()
    set_log_level("ERROR")
    assert not debug_is_shown()
    log.warning("not any more")
    logging.getLogger("aiohttp").warning("nor this")
    assert [line["event"] for line in lines(stream)] == ["now"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_for_the_journal_each_line_begins_with_its_priority(log_format: str) -> None:
    stream = io.StringIO()
    configure_logging("DEBUG", log_format, stream, priorities=True)
    get_logger("test").warning("something")
    try:
        raise ValueError("inner")
    except ValueError:
        get_logger("test").exception("failed")
    logging.getLogger("aiohttp").error("from a library")
    get_logger("test").debug("detail")
    marks = [line[:3] for line in stream.getvalue().splitlines()]
    assert marks[0] == "<4>"
    assert set(marks[1:-1]) == {"<3>"}
    assert marks[-1] == "<7>"


def test_a_storm_of_one_warning_is_some_lines_and_a_number() -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, repeat_limit=3)
    log = get_logger("test")
    for number in range(50):
        log.warning("attempt failed", reason="http_503", alert=number)
        log.info("not a warning")
    log.warning("attempt failed", reason="timeout")
    log.error("attempt failed", reason="http_503")
    finish_logging()
    written = [line for line in lines(stream) if line["level"] != "info"]
    assert [line.get("alert", line["event"]) for line in written[:3]] == [0, 1, 2]
    assert [(line["level"], line["reason"]) for line in written[3:-1]] == [
        ("warning", "timeout"),
        ("error", "http_503"),
    ]
    summary = written[-1]
    assert (summary["event"], summary["like"], summary["lines"]) == (SUMMARY, "attempt failed", 47)
    assert (summary["module"], summary["level"]) == ("test", "warning")
    assert len(lines(stream)) == len(written) + 50


def test_what_libraries_log_is_counted_in_the_same_way() -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, repeat_limit=2)
    for _ in range(10):
        logging.getLogger("opentelemetry").warning("Transient error %s", "refused")
    finish_logging()
    assert [line["event"] for line in lines(stream)] == ["Transient error refused"] * 2 + [SUMMARY]
    assert lines(stream)[-1]["lines"] == 8


def test_when_the_storm_is_over_the_number_comes_by_itself() -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream)
    repeats = Repeats(1, period_secs=0.2)
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, repeats, structlog.processors.JSONRenderer()]
    )
    for _ in range(4):
        get_logger("test").warning("again")
    summary = wait_until(lambda: [line for line in lines(stream) if line["event"] == SUMMARY], 5)
    assert [line["lines"] for line in summary] == [3]
