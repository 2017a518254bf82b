"""Jinja as the pages need it: everything escaped, hostile characters made visible, times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mutt_appliance import __version__
from mutt_appliance.events.visible import visible
from mutt_appliance.webui.pages.static import StaticFiles


class Pages:
    """The templates of one process."""

    def __init__(self, folder: Path, static: StaticFiles) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "visible": visible,
            "utc": utc,
            "iso": iso,
            "number": number,
            "rate": rate,
            "duration": duration,
            "pretty": pretty,
        }
        self._environment.globals |= {"static": static.address, "mutt_version": __version__, "link": link}

    def render(self, template: str, **values: Any) -> str:
        """The text of a page."""
        return self._environment.get_template(template).render(**values)


def utc(value: datetime | None) -> str:
    """2026-11-24 15:42:10, UTC; seconds are enough to read."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(value: datetime) -> str:
    """RFC 3339, for machines."""
    return value.astimezone(UTC).isoformat()


def number(value: float | None) -> str:
    """1 234 567, with narrow spaces that do not break; a dash for none."""
    return "\u2013" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def rate(value: float | None) -> str:
    """Per second: two digits that count below ten, none above a hundred."""
    if value is None:
        return "\u2013"
    if value >= 100:
        return number(value)
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def duration(seconds: float | None) -> str:
    """3 d 4 h, 4 h 5 min, 5 min, 42 s."""
    if seconds is None:
        return "\u2013"
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole} s"


def pretty(value: Any) -> str:
    """JSON over several lines."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z, default=str).decode()


def link(path: str, **query: object) -> str:
    """An address below this web UI; what is None or empty is left out of the query."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path
