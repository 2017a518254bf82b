"""Draws way-of-an-event.svg: `python docs/pictures/way_of_an_event.py`.

The picture is data: boxes by place and size, arrows between points. tests/test_documents.py checks that
the file is what this script draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

TARGET = Path(__file__).with_name("way-of-an-event.svg")
WIDTH, HEIGHT = 1000, 470
LINE_PX = 17


@dataclass(frozen=True)
class Kind:
    """How boxes of a kind look: fill, border, corner radius, dashes."""

    fill: str
    border: str
    corner: int
    dashes: str = ""


OUTSIDE = Kind("#f4f4f5", "#71717a", 6)
PROCESS = Kind("#dbeafe", "#1d4ed8", 6)
QUEUE = Kind("#fef3c7", "#b45309", 14)
DEAD = Kind("#fee2e2", "#b91c1c", 14)
STORE = Kind("#dcfce7", "#15803d", 14)
FRAME = Kind("none", "#94a3b8", 10, "6 4")


@dataclass(frozen=True)
class Box:
    """A box with a title and smaller lines below it."""

    x: int
    y: int
    width: int
    height: int
    kind: Kind
    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrow:
    """A line through points, with a head at its end and words beside its middle."""

    points: tuple[tuple[int, int], ...]
    words: str = ""
    words_at: tuple[int, int] = (0, 0)
    anchor: str = "middle"
    dashed: bool = False


BOXES = (
    Box(15, 90, 115, 60, OUTSIDE, "rsyslog", ("syslog, UDP/TCP",)),
    Box(15, 180, 115, 60, OUTSIDE, "snmptrapd", ("traps, as lines",)),
    Box(150, 30, 690, 400, FRAME, ""),
    Box(170, 95, 125, 90, PROCESS, "ingestor:N", ("checks, completes", "2xx when Redis", "has it")),
    Box(345, 105, 120, 70, QUEUE, "ingest queue", ("a list in Redis",)),
    Box(515, 95, 125, 90, PROCESS, "alerter:N", ("rules, one pass", "audit, then settle")),
    Box(515, 250, 125, 60, STORE, "PostgreSQL", ("rules, audit log",)),
    Box(340, 250, 130, 60, STORE, "counters", ("by host and pattern",)),
    Box(690, 105, 120, 70, QUEUE, "alert queue", ("a list in Redis",)),
    Box(690, 250, 120, 60, PROCESS, "forwarder:N", ("shared rate limit",)),
    Box(690, 350, 120, 55, QUEUE, "retry set", ("by time due",)),
    Box(170, 350, 125, 55, DEAD, "dlq:ingest", ("refused events",)),
    Box(345, 350, 120, 55, DEAD, "dlq:alerter", ("poison, shed",)),
    Box(515, 350, 125, 55, DEAD, "dlq:moog", ("alerts given up",)),
    Box(870, 250, 115, 60, OUTSIDE, "Moogsoft", ("webhook",)),
)
ARROWS = (
    Arrow(((130, 120), (170, 130))),
    Arrow(((72, 180), (72, 150))),
    Arrow(((295, 140), (345, 140))),
    Arrow(((465, 140), (515, 140)), "claim", (488, 132)),
    Arrow(((640, 140), (690, 140)), "match", (663, 132)),
    Arrow(((577, 185), (577, 250)), "one row each", (583, 222), anchor="start"),
    Arrow(((540, 185), (430, 250)), "no match", (397, 205), anchor="start"),
    Arrow(((390, 250), (390, 175)), "at the threshold", (384, 232), anchor="end", dashed=True),
    Arrow(((750, 175), (750, 250)), "claim", (756, 217), anchor="start"),
    Arrow(((810, 280), (870, 280)), "POST", (853, 272)),
    Arrow(((770, 310), (770, 350)), "503 …", (776, 334), anchor="start", dashed=True),
    Arrow(((720, 350), (720, 310)), "due", (714, 340), anchor="end", dashed=True),
    Arrow(((690, 300), (625, 350)), "404 …", (640, 326), anchor="end", dashed=True),
    Arrow(((232, 185), (232, 350)), "bad", (226, 270), anchor="end", dashed=True),
    Arrow(((515, 178), (490, 192), (490, 330), (445, 350)), dashed=True),
)


def draw() -> str:
    """The picture as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" role="img">',
        "<title>The way of an event through MUTT</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="#334155"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *map(_box, BOXES),
        *map(_arrow, ARROWS),
        _text(
            165, 52, "mutt run: the supervisor starts, watches and restarts everything in this frame", "start"
        ),
        _text(
            15,
            455,
            "Blue: processes. Yellow: queues. Red: dead letters, each with reason, time and attempts.",
            "start",
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(box: Box) -> str:
    kind = box.kind
    dashes = f' stroke-dasharray="{kind.dashes}"' if kind.dashes else ""
    parts = [
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="{kind.corner}" '
        f'fill="{kind.fill}" stroke="{kind.border}" stroke-width="1.5"{dashes}/>'
    ]
    if box.title:
        middle = box.x + box.width // 2
        top = box.y + (box.height - LINE_PX * len(box.lines)) // 2 + 4
        parts.append(_text(middle, top, box.title, "middle", bold=True))
        parts += [_text(middle, top + LINE_PX * n, line, "middle") for n, line in enumerate(box.lines, 1)]
    return "\n".join(parts)


def _arrow(arrow: Arrow) -> str:
    points = " ".join(f"{x},{y}" for x, y in arrow.points)
    dashes = ' stroke-dasharray="4 3"' if arrow.dashed else ""
    line = (
        f'<polyline points="{points}" fill="none" stroke="#334155" stroke-width="1.5"{dashes} '
        'marker-end="url(#head)"/>'
    )
    if not arrow.words:
        return line
    return line + "\n" + _text(*arrow.words_at, arrow.words, arrow.anchor, size=11)


def _text(x: int, y: int, words: str, anchor: str, *, bold: bool = False, size: int = 12) -> str:
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{x}" y="{y}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size}"{weight} fill="#0f172a">{escape(words)}</text>'


if __name__ == "__main__":
    TARGET.write_text(draw(), encoding="utf-8")
