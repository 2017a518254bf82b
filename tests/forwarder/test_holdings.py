"""What is in hand: pending, under way, unsettled."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.holdings import Holdings
from mutt_appliance.forwarder.jobs import Job, prepare
from mutt_appliance.queueing.alerts import Outcome

CLOUD = Settings(moog_format="cloud")


def item(number: int) -> bytes:
    return orjson.dumps({"alert_id": number})


def holding(count: int, batch_size: int) -> Holdings:
    holdings = Holdings(batch_size)
    for number in range(count):
        holdings.take(item(number), prepare(item(number), CLOUD))
    return holdings


def items(jobs: list[Job]) -> list[bytes]:
    return [job.item for job in jobs]


def test_an_item_is_in_hand_until_its_settlement_is_confirmed() -> None:
    holdings = holding(1, 1)
    (job,) = holdings.next_batch()
    assert holdings.strangers([item(0), item(1), item(1)]) == [item(1)]
    holdings.finish([Outcome("done", job.item)])
    assert holdings.strangers([item(0)]) == []
    holdings.settled(holdings.unsettled[:1])
    assert holdings.strangers([item(0)]) == [item(0)]
    assert (len(holdings), holdings.requests, holdings.unsettled) == (0, 0, [])


def test_jobs_of_a_refused_batch_are_next_and_alone() -> None:
    holdings = holding(5, 3)
    refused = holdings.next_batch()
    assert items(refused) == [item(0), item(1), item(2)]
    holdings.send_singly(refused)
    assert holdings.requests_wanted(10) == 4
    batches = [items(holdings.next_batch()) for _ in range(4)]
    assert batches == [[item(0)], [item(1)], [item(2)], [item(3), item(4)]]


def test_what_is_given_back_comes_out_again_oldest_first() -> None:
    holdings = holding(3, 1)
    holdings.release_pending()
    # The queue is consumed at the end they are pushed to.
    assert [o.item for o in reversed(holdings.unsettled)] == [item(0), item(1), item(2)]


def test_a_lost_lease_takes_what_is_pending_and_leaves_what_is_under_way() -> None:
    holdings = holding(3, 1)
    holdings.next_batch()
    holdings.forget_pending()
    assert holdings.strangers([item(0), item(1), item(2)]) == [item(1), item(2)]


@given(st.integers(0, 40), st.integers(1, 7), st.integers(0, 12), st.integers(0, 6))
def test_as_many_requests_are_wanted_as_can_be_filled(count: int, size: int, most: int, alone: int) -> None:
    holdings = holding(count, size)
    if alone and size > 1 and count:
        holdings.send_singly(holdings.next_batch()[:alone])
    wanted = holdings.requests_wanted(most)
    assert wanted <= most
    taken = [holdings.next_batch() for _ in range(wanted)]
    assert all(1 <= len(batch) <= size for batch in taken)
    assert wanted == most or not holdings.pending
