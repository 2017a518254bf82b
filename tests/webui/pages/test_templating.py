"""What the templates do to values."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from mutt_appliance.resources import resource_folder
from mutt_appliance.webui.pages.static import StaticFiles
from mutt_appliance.webui.pages.templating import Pages, duration, link, number, rate, utc


def test_markup_in_values_stays_text() -> None:
    folder = resource_folder("templates")
    text = Pages(folder, StaticFiles(folder / "static")).render(
        "sign-in.html", problem=None, database_away=False, onward='"><script>alert(1)</script>'
    )
    assert "<script>alert" not in text
    assert "&#34;&gt;&lt;script&gt;" in text


def test_times_are_in_utc_wherever_they_come_from() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    assert utc(datetime(2026, 11, 24, 5, 0, 1, 999, tzinfo=east)) == "2026-11-23 23:30:01"
    assert utc(None) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3600, "1 h 0 min"), (90000, "1 d 1 h"), (None, "–")],
)
def test_durations_have_the_two_units_that_count(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"), [(None, "–"), (0, "0.00"), (3.456, "3.46"), (45.67, "45.7"), (1250.4, "1\u202f250")]
)
def test_rates_have_as_many_digits_as_count(value: float | None, words: str) -> None:
    assert rate(value) == words


def test_numbers_are_grouped() -> None:
    assert (number(1234567), number(None)) == ("1\u202f234\u202f567", "–")


def test_links_leave_out_what_is_not_given() -> None:
    assert link("/rules", q="a b&c", page=None, team="") == "/rules?q=a+b%26c"
    assert link("/rules", q=None) == "/rules"
