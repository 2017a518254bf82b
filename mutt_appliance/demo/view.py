"""The live view of a demonstration, for wide and narrow, high and low terminals (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mutt_appliance.demo.observer import Depths, Snapshot
from mutt_appliance.demo.places import LOOPBACK, PORTS, Places
from mutt_appliance.demo.report import clock, key_command, send_command

WIDE_COLUMNS: Final = 110
ALERTS_SHOWN_MAX: Final = 12
BARS: Final = " ▁▂▃▄▅▆▇█"
STATE_STYLES: Final = {
    "RUNNING": "green",
    "EXITED": "dim",
    "STARTING": "yellow",
    "STOPPING": "yellow",
    "BACKOFF": "bold red",
    "FATAL": "bold red",
}
# Moogsoft's severities, as the stand-in got them.
SEVERITIES: Final = {
    1: ("indeterminate", "dim"),
    2: ("warning", "cyan"),
    3: ("minor", "yellow"),
    4: ("major", "red"),
    5: ("critical", "bold red"),
}


class View:
    """One frame; it takes the form that the terminal has room for."""

    def __init__(self, snapshot: Snapshot, places: Places, words: str) -> None:
        self._snapshot = snapshot
        self._places = places
        self._words = words

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Two columns where there is room, else one below the other; alerts fill the lines that are left."""
        snapshot = self._snapshot
        blocks: list[RenderableType] = [headline(snapshot, self._words), ""]
        stages = way_of_an_event(snapshot)
        around = Group(processes(snapshot), "", webhook(snapshot))
        if options.max_width >= WIDE_COLUMNS:
            blocks.append(side_by_side(stages, around))
        else:
            blocks += [stages, around]
        end = footer(self._places)
        used = sum(len(console.render_lines(block, options)) for block in (*blocks, end))
        left = min(console.height - used - 3, ALERTS_SHOWN_MAX)
        yield from blocks
        if left > 0:
            yield ""
            yield last_alerts(snapshot.recent, left)
        yield ""
        yield end


def headline(snapshot: Snapshot, words: str) -> RenderableType:
    """What runs, for how long, and how fast."""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(" MUTT demo ", style="bold reverse")
    line.append(f"  {clock(snapshot.elapsed_secs)}  {words}  ")
    if snapshot.rates:
        line.append(f"{snapshot.rates[-1]:.0f} events/s ", style="bold")
        line.append(sparkline(snapshot.rates[-30:]), style="green")
    return line


def sparkline(values: Sequence[float]) -> str:
    """Values as a row of bars, the largest one full."""
    top = max(values, default=0.0)
    if top <= 0:
        return ""
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in values)


def way_of_an_event(snapshot: Snapshot) -> RenderableType:
    """The stages in order, with what passed them and, indented, what lies between them."""
    c, d = snapshot.counters, snapshot.depths
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(no_wrap=True, min_width=14)
    grid.add_column(justify="right", no_wrap=True, min_width=7)
    grid.add_column(style="dim", no_wrap=True, overflow="ellipsis", ratio=1)
    rows: list[tuple[str, int | None, str, str]] = [
        ("ingested", c.ingested, f"{c.refused} refused, {c.duplicates} duplicates", "bold"),
        ("  ingest queue", _sum(d, "ingest_queue", "events_in_hand"), "waiting or in hand", "blue"),
        ("matched", c.matched, "audited, one row each", "bold"),
        ("unhandled", c.unhandled, "counted by host and pattern", "bold"),
        ("  alert queue", _sum(d, "alert_queue", "alerts_in_hand"), "waiting or in hand", "blue"),
        ("forwarded", c.forwarded, "the webhook said 2xx", "bold green"),
        ("  retry set", _sum(d, "retrying"), "their next attempt has its time", "blue"),
        ("retried", c.retried, "503, 429, timeouts", "yellow"),
        ("dead", c.dead, _dead_words(d), "red"),
    ]
    for name, count, words, style in rows:
        shown = "?" if count is None else f"{count:,}"
        grid.add_row(Text(name, style=style), Text(shown, style=style), words)
    return grid


def _sum(depths: Depths | None, *names: str) -> int | None:
    return None if depths is None else sum(getattr(depths, name) for name in names)


def _dead_words(depths: Depths | None) -> str:
    if depths is None:
        return "Redis does not answer"
    return f"ingest {depths.dead_ingest}, alerter {depths.dead_alerter}, moog {depths.dead_moog}"


class Flow:
    """Pieces one after the other, as many on a line as there is room for; none is torn apart."""

    def __init__(self, pieces: Sequence[Text]) -> None:
        self._pieces = pieces

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lines of pieces."""
        line = Text()
        for piece in self._pieces:
            if line and line.cell_len + 2 + piece.cell_len > options.max_width:
                yield line
                line = Text()
            if line:
                line.append("  ")
            line.append_text(piece)
        yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """From the longest piece to whatever there is."""
        longest = max((piece.cell_len for piece in self._pieces), default=1)
        return Measurement(min(longest, options.max_width), options.max_width)


def processes(snapshot: Snapshot) -> RenderableType:
    """Each process and its state, in the supervisor's words."""
    pieces = [
        Text.assemble(f"{name} ", (state, STATE_STYLES.get(state, "")))
        for name, state in sorted(snapshot.states.items())
    ]
    return Flow([Text("processes", style="dim"), *pieces])


def webhook(snapshot: Snapshot) -> RenderableType:
    """What the stand-in answered."""
    pieces = [Text(f"{answer} × {count:,}") for answer, count in sorted(snapshot.answers.items())]
    return Flow([Text("webhook", style="dim"), *(pieces or [Text("no request yet")])])


def last_alerts(recent: Sequence[Mapping[str, Any]], rows: int) -> RenderableType:
    """The newest alerts, as Moogsoft would show them."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=26)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for event in list(reversed(recent))[:rows]:
        words, style = SEVERITIES.get(int(event.get("severity", 1)), ("?", ""))
        description = " ".join(str(event.get("description", "")).split())
        grid.add_row(Text(words, style=style), Text(str(event.get("source"))), Text(description))
    return grid


def footer(places: Places) -> RenderableType:
    """Addresses, where the keys are, and how to take part."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    ports = [(places.ports[field], what) for field, what in PORTS.items()]
    ports.append((places.receiver_port, "Moogsoft stand-in"))
    grid.add_row("Ctrl-C", Text("stop, count, clean up", style="bold"))
    grid.add_row("web UI", Text(f"{places.url('server_port_webui', '/')}  its key: {key_command(places)}"))
    grid.add_row("settings", Text(str(places.env_file)))
    grid.add_row("log", Text(str(places.log_file)))
    grid.add_row(LOOPBACK, Flow([Text(f"{port} {what}") for port, what in ports]))
    grid.add_row("send one", Text(send_command(places)))
    return grid


def side_by_side(left: RenderableType, right: RenderableType) -> RenderableType:
    """Two columns of the same width."""
    grid = Table.grid(expand=True, padding=(0, 2))
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(left, right)
    return grid
