"""The live view of a demonstration, for wide and for narrow terminals (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mutt_appliance.demo.observer import Depths, Snapshot
from mutt_appliance.demo.places import Places
from mutt_appliance.demo.report import addresses, clock, send_command

WIDE_COLUMNS: Final = 110
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

    def __init__(self, snapshot: Snapshot, places: Places, headline: str) -> None:
        self._snapshot = snapshot
        self._places = places
        self._headline = headline

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Two columns where there is room, else one below the other."""
        wide = options.max_width >= WIDE_COLUMNS
        left = [way_of_an_event(self._snapshot)]
        right = [processes(self._snapshot), webhook(self._snapshot)]
        yield headline(self._snapshot, self._headline)
        if wide:
            yield side_by_side(Group(*left), Group(*right))
        else:
            yield from (*left, *right)
        yield last_alerts(self._snapshot.recent, rows=6 if wide else 4)
        yield footer(self._places)


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
    """The stages in order, with what passed them and what lies between them."""
    c, d = snapshot.counters, snapshot.depths
    table = _table("the way of an event")
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", style="dim", no_wrap=True, overflow="ellipsis")
    rows: list[tuple[str, int | None, str, str]] = [
        ("ingested", c.ingested, f"{c.refused} refused, {c.duplicates} duplicates", "bold"),
        ("  ingest queue", _of(d, "events"), "waiting or in hand", "blue"),
        ("matched", c.matched, "audited, one row each", "bold"),
        ("unhandled", c.unhandled, "counted by host and pattern", "bold"),
        ("  alert queue", _of(d, "alert_queue", "alerts_in_hand"), "waiting or in hand", "blue"),
        ("forwarded", c.forwarded, "the webhook said 2xx", "bold green"),
        ("  retry set", _of(d, "retrying"), "their next attempt has a time", "blue"),
        ("retried", c.retried, "503, 429, timeouts", "yellow"),
        ("dead", c.dead, _dead_words(d), "red"),
    ]
    for name, count, words, style in rows:
        table.add_row(
            Text(name, style=style), Text("?" if count is None else f"{count:,}", style=style), words
        )
    return table


def _of(depths: Depths | None, *names: str) -> int | None:
    return None if depths is None else sum(getattr(depths, name) for name in names)


def _dead_words(depths: Depths | None) -> str:
    if depths is None:
        return "Redis does not answer"
    return f"ingest {depths.dead_ingest}, alerter {depths.dead_alerter}, moog {depths.dead_moog}"


def processes(snapshot: Snapshot) -> RenderableType:
    """Each process and its state, as the supervisor says."""
    table = _table("processes")
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    cells: list[Text] = []
    for name, state in sorted(snapshot.states.items()):
        cells += [Text(name), Text(state, style=STATE_STYLES.get(state, ""))]
    for at in range(0, len(cells), 4):
        table.add_row(*cells[at : at + 4])
    return table


def webhook(snapshot: Snapshot) -> RenderableType:
    """What the stand-in answered."""
    words = ", ".join(f"{answer} × {count:,}" for answer, count in sorted(snapshot.answers.items()))
    return Panel(
        Text(words or "no request yet"), title="the webhook answered", title_align="left", box=box.SIMPLE
    )


def last_alerts(recent: Sequence[Mapping[str, Any]], rows: int) -> RenderableType:
    """The newest alerts, as Moogsoft would show them."""
    table = _table("last alerts delivered")
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis", max_width=26)
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    for event in list(reversed(recent))[:rows]:
        words, style = SEVERITIES.get(int(event.get("severity", 1)), ("?", ""))
        description = " ".join(str(event.get("description", "")).split())
        table.add_row(Text(words, style=style), Text(str(event.get("source"))), Text(description))
    return table


def footer(places: Places) -> RenderableType:
    """Addresses, where the keys are, and how to take part."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for what, where in addresses(places):
        grid.add_row(what, Text(where))
    grid.add_row("send an event", Text(send_command(places)))
    grid.add_row("", Text("Ctrl-C: stop, count, clean up", style="bold"))
    return grid


def side_by_side(left: RenderableType, right: RenderableType) -> RenderableType:
    """Two columns of the same width."""
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(left, right)
    return grid


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="dim",
        box=box.SIMPLE,
        show_header=False,
        expand=True,
        pad_edge=False,
    )
