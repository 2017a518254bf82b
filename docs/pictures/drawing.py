"""Boxes, arrows and words as SVG, for the pictures of the documents. A picture is data in a script beside this file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

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


@dataclass(frozen=True)
class Words:
    """A line of text on its own, beginning at a place."""

    x: int
    y: int
    text: str


@dataclass(frozen=True)
class Picture:
    """A whole picture, `width` by `height` pixels."""

    title: str
    width: int
    height: int
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    words: Sequence[Words]

    def svg(self) -> str:
        """The picture as SVG."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            'font-family="sans-serif" font-size="12" role="img">',
            f"<title>{escape(self.title)}</title>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="#334155"/></marker></defs>',
            f'<rect width="{self.width}" height="{self.height}" fill="#ffffff"/>',
            *map(_box, self.boxes),
            *map(_arrow, self.arrows),
            *(_text(each.x, each.y, each.text, "start") for each in self.words),
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
