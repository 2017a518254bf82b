"""Time windows of the events-per-second counters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.telemetry.rates import WINDOWS, counter_keys, keys_between


@given(st.floats(0, 4e9), st.integers(0, 10**6))
def test_an_event_is_in_one_counter_of_each_window_that_reading_finds(now: float, later: int) -> None:
    keys = dict(counter_keys("p", now))
    assert len(keys) == len(WINDOWS)
    for window in WINDOWS:
        found = keys_between("p", window, now, now + later)
        assert found[0] in keys
        assert (
            len(found)
            == len(set(found))
            == (int(now + later) // window.length_secs) - int(now) // window.length_secs + 1
        )


def test_a_counter_is_kept_for_longer_than_the_span_it_is_read_for() -> None:
    keep = {window.name: window.keep_secs for window in WINDOWS}
    assert keep["1m"] > 3600
    assert keep["1h"] > 24 * 3600
