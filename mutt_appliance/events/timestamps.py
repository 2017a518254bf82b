"""The time a device gives, which may have no year, no zone, or no sense at all."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC3164 = re.compile(
    r"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(?P<day>\d{1,2})"
    r"(?: (?P<year>\d{4}))? (?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2})"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Larger numbers are milliseconds: as seconds they would be after the year 5000.
_EPOCH_SECS_MAX = 100_000_000_000


def parse_timestamp(value: object, received_at: datetime) -> datetime | None:
    """The device's time as an aware datetime, or None if `value` is none that can be read.

    Takes RFC 3339 and its ISO 8601 relatives (without a zone: UTC), RFC 3164 (section 4.1.2; the
    year is the one that brings it nearest to `received_at`), and epoch seconds or milliseconds as a
    number or as text.
    """
    if isinstance(value, str):
        return _from_text(value.strip(), received_at)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_epoch(float(value))
    return None


def _from_text(text: str, received_at: datetime) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        try:
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
        except OverflowError:
            return None
    match = _RFC3164.match(text)
    if match:
        return _from_rfc3164(match, received_at)
    try:
        return _from_epoch(float(text))
    except ValueError:
        return None


def _from_epoch(number: float) -> datetime | None:
    seconds = number / 1000 if abs(number) > _EPOCH_SECS_MAX else number
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _from_rfc3164(match: re.Match[str], received_at: datetime) -> datetime | None:
    month = _MONTHS.index(match["month"]) + 1
    day, hour, minute, second = (int(match[name]) for name in ("day", "hour", "minute", "second"))
    years = [int(match["year"])] if match["year"] else [received_at.year + shift for shift in (-1, 0, 1)]
    candidates = []
    for year in years:
        try:
            candidates.append(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
        except ValueError:
            continue  # 29 February in a year without one, or nonsense
    return min(candidates, key=lambda candidate: _distance(candidate, received_at), default=None)


def _distance(one: datetime, other: datetime) -> timedelta:
    return abs(one - other)
