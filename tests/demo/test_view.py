"""The live view in terminals of any size, the lines of progress, and the summary."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from mutt_appliance.demo import report
from mutt_appliance.demo.ledger import Account, Audited, DeadLetters
from mutt_appliance.demo.observer import Counters, Depths, Snapshot
from mutt_appliance.demo.places import PORTS, Places
from mutt_appliance.demo.traffic import Sent
from mutt_appliance.demo.view import View, sparkline

PLACES = Places(Path("/tmp/mutt-demo-x"), {field: 20_000 + n for n, field in enumerate(PORTS)}, 20_100, ())
SNAPSHOT = Snapshot(
    75.0,
    Counters(12_345_678, 9, 8, 7_001, 6_001, 5_001, 401, 31),
    Depths(1, 2, 3, 4, 5, 6, 7, 8),
    {"alerter:0": "RUNNING", "forwarder:0": "BACKOFF", "ingestor:0": "FATAL", "redis:0": "STARTING"},
    (10.0, 100.0, 50.0),
    {"200": 5_001, "404": 8},
    tuple(
        {"severity": n % 6, "source": f"host-{n}", "description": f"[bold]down[/]\n{'x' * 300}"}
        for n in range(20)
    ),
)


def frame(width: int, height: int, snapshot: Snapshot = SNAPSHOT) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(View(snapshot, PLACES, "Ctrl-C stops"))
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue()).splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 109, 110, 200])
@pytest.mark.parametrize("height", [24, 60])
def test_no_line_is_wider_than_the_terminal(width: int, height: int) -> None:
    assert max(map(len, frame(width, height))) <= width


@pytest.mark.parametrize("width", [40, 80, 120])
def test_counters_states_and_depths_are_shown_at_any_width(width: int) -> None:
    text = "\n".join(frame(width, 60))
    for shown in ("12,345,678", "7,001", "6,001", "5,001", "401", "31", "01:15"):
        assert shown in text
    for state in ("alerter:0 RUNNING", "forwarder:0 BACKOFF", "ingestor:0 FATAL", "redis:0 STARTING"):
        assert state in text
    for depth in (3, 7, 5):
        assert re.search(rf"(queue|set) +{depth}\b", text)


def test_the_last_alerts_fill_the_lines_that_are_left() -> None:
    lines = frame(120, 45)
    assert len(lines) <= 45
    shown = [line for line in lines if "host-" in line]
    assert len(shown) == 12
    assert "host-19" in shown[0]
    assert "[bold]down[/] xxx" in shown[0]
    assert not any("host-" in line for line in frame(120, 20))


def test_addresses_and_the_place_of_the_keys_are_shown() -> None:
    text = "\n".join(frame(160, 50))
    assert "20000 events in" in text
    assert "/tmp/mutt-demo-x/mutt.secrets" in text
    assert "curl" in text


def test_without_redis_the_depths_are_unknown() -> None:
    text = "\n".join(frame(100, 40, Snapshot(1.0, Counters(), None, {})))
    assert re.search(r"ingest queue +\?", text)
    assert "Redis does not answer" in text


def test_a_sparkline_is_full_at_its_highest_value() -> None:
    assert sparkline([0, 50, 100]) == " ▄█"
    assert sparkline([]) == sparkline([0.0, 0.0]) == ""


def test_a_line_of_progress_has_every_counter() -> None:
    line = report.progress(SNAPSHOT)
    assert "ingested 12345678  matched 7001  unhandled 6001  forwarded 5001  retried 401  dead 31" in line
    assert line.startswith("01:15")
    assert "\n" not in line


@pytest.mark.parametrize(("seconds", "shown"), [(0, "00:00"), (61.9, "01:01"), (3_723, "1:02:03")])
def test_the_clock_shows_hours_only_when_there_are_some(seconds: float, shown: str) -> None:
    assert report.clock(seconds) == shown


def test_the_command_reads_the_key_from_its_file_and_into_no_argument() -> None:
    places = Places(Path("/tmp/with space"), PLACES.ports, 1, ())
    words = shlex.split(report.send_command(places))
    assert "/tmp/with space/mutt.secrets" in words
    assert words[words.index("-H") + 1] == "@-"
    assert not any("KEY:" in word for word in words[words.index("curl") :])


def account(**changes: object) -> Account:
    values: dict[str, object] = {
        "sent": Sent(offered=1_000, accepted=990, refused=10, duplicates=4),
        "audited": Audited(rows=600, events=600, meta_events=2, forwarded=frozenset({"a", "b", "c"})),
        "unhandled": 390,
        "patterns": 7,
        "dead": DeadLetters({"c"}, 0),
        "delivered": frozenset({"a", "b"}),
        "deliveries": 3,
        "retried": 5,
    }
    made = Account(**(values | changes))  # type: ignore[arg-type]
    made.dead.reasons["http_404"] += 1
    return made


def lines_of(text: str) -> dict[str, str]:
    return {line.split()[0]: line for line in text.splitlines()[1:]}


def test_the_summary_has_a_line_for_each_fate() -> None:
    lines = lines_of(report.summary(account(), 20.0))
    assert list(lines) == [
        *("offered", "answered", "refused", "duplicates", "audited", "unhandled", "meta-alerts", "forwarded"),
        *("delivered", "retried", "dead", "lost"),
    ]
    assert "1,000" in lines["offered"]
    assert "http_404: 1" in lines["dead"]
    assert "(1 more than once)" in lines["delivered"]
    assert " 0 " in lines["lost"]


def test_the_summary_says_what_is_lost() -> None:
    lines = lines_of(report.summary(account(unhandled=380, delivered=frozenset({"a"})), 20.0))
    assert "10 events answered with 2xx are nowhere" in lines["lost"]
    assert "1 alerts were neither delivered nor kept" in lines["lost"]


def test_the_summary_says_what_still_waits_and_what_was_never_answered() -> None:
    sent = Sent(offered=1_003, accepted=990, refused=10)
    lines = lines_of(report.summary(account(sent=sent, unhandled=388, waiting_events=2), 20.0))
    assert "3" in lines["unanswered"]
    assert "2 events, 0 alerts" in lines["waiting"]
