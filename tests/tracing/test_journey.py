"""The way of a test event as far as it was seen."""

from __future__ import annotations

import pytest

from mutt_appliance.tracing.journey import Depths, Journey, Sighting, Stage, where_stuck


def test_the_same_sighting_is_one_step() -> None:
    journey = Journey("e")
    sighting = Sighting("e", "accepted", "on port 8080")
    assert journey.see(sighting, 0.1) is not None
    assert journey.see(sighting, 0.2) is None
    assert (journey.stage, journey.ended) == ("accepted", False)


def test_each_failed_attempt_is_a_step_of_its_own() -> None:
    journey = Journey("e")
    steps = [journey.see(Sighting("e", "retry", f"attempt {n} failed: http_503"), n) for n in (1, 1, 2)]
    assert [step is not None for step in steps] == [True, False, True]


def test_an_audited_event_goes_on_only_if_it_is_forwarded() -> None:
    forwarded, logged = Journey("f"), Journey("l")
    forwarded.see(Sighting("f", "audited", "", "alert-1", forwarded=True), 0)
    logged.see(Sighting("l", "audited", "", forwarded=False), 0)
    assert (forwarded.ended, forwarded.alert_id) == (False, "alert-1")
    assert (logged.ended, logged.well) == (True, True)


@pytest.mark.parametrize(
    ("stage", "well"), [("delivered", True), ("unmatched", True), ("dead", False), ("refused", False)]
)
def test_only_dead_letters_and_refusals_are_bad_ends(stage: Stage, well: bool) -> None:
    journey = Journey("e")
    journey.see(Sighting("e", stage, ""), 0)
    assert (journey.ended, journey.well) == (True, well)
    assert journey.see(Sighting("e", "retry", "late"), 1) is None


def test_a_stuck_journey_names_the_queue_and_what_to_look_at() -> None:
    depths = Depths(ingest=7, alerts=8, retries=9)
    assert "holds 7 events" in where_stuck("accepted", depths)
    assert "holds 8 alerts, 9 wait" in where_stuck("audited", depths)
    assert "MOOG_WEBHOOK_URL" in where_stuck("retry", depths)
    assert where_stuck(None, None) == "nothing was heard of it"
