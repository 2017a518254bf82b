"""traceparent, by section 3.2 of W3C Trace Context."""

from __future__ import annotations

import pytest

from mutt_appliance.telemetry.traceparent import TraceParent, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KNOWN = TraceParent(int(TRACE, 16), int(SPAN, 16), sampled=True)


def test_what_is_read_is_written_the_same() -> None:
    text = f"00-{TRACE}-{SPAN}-01"
    assert parse_traceparent(text) == KNOWN
    assert str(KNOWN) == text


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("ff", True)])
def test_the_last_bit_of_the_flags_says_whether_it_is_sampled(flags: str, sampled: bool) -> None:
    parsed = parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}")
    assert parsed is not None
    assert parsed.sampled is sampled


def test_a_later_version_may_have_more_parts() -> None:
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-01-what-the-future-brings") == KNOWN
    assert parse_traceparent(f"cc-{TRACE}-{SPAN}-01") == KNOWN


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        ["00"],
        "",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01\r\nX-Evil: 1",
        f"01-{TRACE}-{SPAN}-01-\n",
        f"01-{TRACE}-{SPAN}-01-{'x' * 500}",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{'٣' * 32}-{SPAN}-01",
    ],
)
def test_anything_else_is_none(value: object) -> None:
    assert parse_traceparent(value) is None
