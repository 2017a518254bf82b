"""Log lines, as JSON and for people."""

from __future__ import annotations

import io
import json
import logging
import threading

import pytest

from mutt_appliance.telemetry.logs import configure_logging, get_logger


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
