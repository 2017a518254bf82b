"""The time a device gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.events.timestamps import parse_timestamp

NOW = datetime(2026, 11, 24, 2, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-24T01:59:58Z", datetime(2026, 11, 24, 1, 59, 58, tzinfo=UTC)),
        ("2026-11-24T03:59:58.25+02:00", datetime(2026, 11, 24, 1, 59, 58, 250000, UTC)),
        ("2026-11-24 01:59:58", datetime(2026, 11, 24, 1, 59, 58, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2099-12-31T23:59:59Z", datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Nov 24 01:59:58", datetime(2026, 11, 24, 1, 59, 58, tzinfo=UTC)),
        ("Nov  4 01:59:58", datetime(2026, 11, 4, 1, 59, 58, tzinfo=UTC)),
        ("Nov 24 2025 01:59:58", datetime(2025, 11, 24, 1, 59, 58, tzinfo=UTC)),
        (1763949598, datetime.fromtimestamp(1763949598, UTC)),
        ("1763949598.5", datetime.fromtimestamp(1763949598.5, UTC)),
        (1763949598000, datetime.fromtimestamp(1763949598, UTC)),
    ],
)
def test_the_forms_that_devices_use_are_read(written: object, meant: datetime) -> None:
    assert parse_timestamp(written, NOW) == meant


@pytest.mark.parametrize(
    ("written", "received", "year"),
    [
        ("Dec 31 23:59:59", datetime(2027, 1, 1, tzinfo=UTC), 2026),
        ("Jan  1 00:00:01", datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 2027),
    ],
)
def test_a_time_without_a_year_is_near_the_time_of_receipt(
    written: str, received: datetime, year: int
) -> None:
    parsed = parse_timestamp(written, received)
    assert parsed is not None
    assert parsed.year == year


@pytest.mark.parametrize(
    "written",
    ["", "yesterday", "Feb 30 00:00:00", "nan", "inf", "1e300", None, True, [], "0001-01-01T00:00:00+14:00"],
)
def test_what_is_no_time_is_none(written: object) -> None:
    assert parse_timestamp(written, NOW) is None


@given(st.text() | st.floats() | st.integers() | st.none())
def test_nothing_makes_it_fail(written: object) -> None:
    parsed = parse_timestamp(written, NOW)
    assert parsed is None or parsed.utcoffset() == timedelta(0)
