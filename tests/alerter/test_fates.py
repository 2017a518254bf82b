"""What became of single events of a batch."""

from __future__ import annotations

from mutt_appliance.alerter.fates import Fate, fates
from tests.alerter.test_batch import event, process

FORWARDED, SUPPRESSED = event(1, "link down"), event(2, "noise")
UNMATCHED, NO_EVENT, REFUSED = event(3, "?"), event(4, "link down", received_at="x"), event(5, "link down")
ALL = (FORWARDED, SUPPRESSED, UNMATCHED, NO_EVENT, b"{broken", REFUSED)


def told(*, shed: bool = False) -> dict[str, Fate]:
    batch = process(*ALL)
    batch.without_refused({batch.items.index(REFUSED): "too long"})
    return {fate.event["event_id"]: fate for fate in fates(ALL, batch, shed=shed)}


def test_each_event_that_can_be_read_has_one() -> None:
    outcomes = {event_id: fate.outcome for event_id, fate in told().items()}
    assert outcomes == {"e1": "forwarded", "e2": "audited", "e3": "unmatched", "e4": "dead", "e5": "dead"}


def test_shed_are_those_that_would_have_been_forwarded() -> None:
    outcomes = {event_id: fate.outcome for event_id, fate in told(shed=True).items()}
    assert outcomes == {"e1": "shed", "e2": "audited", "e3": "unmatched", "e4": "dead", "e5": "dead"}


def test_it_names_rule_and_alert_or_the_reason_and_never_the_message() -> None:
    facts = told()["e1"].facts()
    assert (facts["rule_id"], facts["correlation_id"], facts["hostname"]) == (1, "c1", "r1")
    assert facts["alert_id"]
    assert told()["e5"].facts()["reason"] == "audit log: too long"
    assert all("link down" not in str(fate.facts()) for fate in told().values())
