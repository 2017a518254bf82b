"""The sender: a steady rate, and the same events again until there is an answer."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from mutt_appliance.demo.messages import MessageMaker
from mutt_appliance.demo.traffic import RefusedRequestError, Sent, Traffic

Answer = Callable[[list[dict[str, Any]]], web.Response | None]


class Ingestor:
    """Answers as `judge` says; None stands for a connection that breaks off after the request."""

    def __init__(self, judge: Answer) -> None:
        self._judge = judge
        self.seen: list[list[dict[str, Any]]] = []

    async def take(self, request: web.Request) -> web.Response:
        events = [json.loads(line) for line in (await request.read()).splitlines()]
        self.seen.append(events)
        answer = self._judge(events)
        if answer is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return answer


def accepted(events: list[dict[str, Any]]) -> web.Response:
    return web.json_response({"queued": len(events), "duplicates": 0, "refused": []})


def send(judge: Answer, until: Callable[[Ingestor, Sent], bool], rate: int = 200) -> tuple[Ingestor, Sent]:
    """Traffic against an ingestor that answers by `judge`, stopped as soon as `until` holds."""
    ingestor = Ingestor(judge)

    async def main() -> Sent:
        app = web.Application()
        app.router.add_post("/ingest", ingestor.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        traffic = Traffic(f"http://127.0.0.1:{port}/ingest", "key", rate, MessageMaker("t"))
        work = asyncio.create_task(traffic.run())
        try:
            async with asyncio.timeout(20):
                while not until(ingestor, traffic.sent) and not work.done():
                    await asyncio.sleep(0.01)
                traffic.stop()
                await work
        finally:
            await runner.cleanup()
        return traffic.sent

    return ingestor, asyncio.run(main())


def test_every_event_is_accepted_once_when_all_is_well() -> None:
    ingestor, sent = send(accepted, lambda _, sent: sent.offered >= 200)
    ids = [event["event_id"] for events in ingestor.seen for event in events]
    assert len(ids) == len(set(ids)) == sent.offered == sent.accepted
    assert sent.unanswered == 0


def test_events_come_in_batches_and_one_by_one() -> None:
    ingestor, _ = send(accepted, lambda _, sent: sent.offered >= 100)
    sizes = Counter(len(events) for events in ingestor.seen)
    assert sizes[1] >= 3
    assert sizes[19] >= 3


def test_what_was_not_answered_is_sent_again_with_the_same_ids() -> None:
    troubles = iter([web.json_response({"error": "full"}, status=503), None])

    def judge(events: list[dict[str, Any]]) -> web.Response | None:
        return next(troubles, accepted(events))

    ingestor, sent = send(judge, lambda ingestor, sent: sent.accepted >= 40)
    first, second, third = ingestor.seen[:3]
    assert [e["event_id"] for e in first] == [e["event_id"] for e in second] == [e["event_id"] for e in third]
    assert sent.attempts_failed == 2
    assert sent.accepted == sent.offered


def test_refused_events_are_counted_apart() -> None:
    def judge(events: list[dict[str, Any]]) -> web.Response:
        refused = [{"index": n, "reason": "x"} for n, e in enumerate(events) if "hostname" not in e]
        document = {"queued": len(events) - len(refused), "duplicates": 0, "refused": refused}
        return web.json_response(document, status=200 if document["queued"] else 400)

    _, sent = send(judge, lambda _, sent: sent.refused > 0, rate=2000)
    assert sent.accepted + sent.refused == sent.offered


def test_now_and_then_a_batch_is_sent_twice_and_counts_once() -> None:
    seen: set[str] = set()

    def judge(events: list[dict[str, Any]]) -> web.Response:
        again = sum(event["event_id"] in seen for event in events)
        seen.update(event["event_id"] for event in events)
        return web.json_response({"queued": len(events) - again, "duplicates": again, "refused": []})

    _, sent = send(judge, lambda _, sent: sent.duplicates > 0, rate=50)
    assert sent.accepted == sent.offered == len(seen)


def test_a_wrong_key_ends_the_traffic_with_the_reason() -> None:
    with pytest.raises(RefusedRequestError, match=r"answered 401: no such key"):
        send(lambda _: web.json_response({"error": "no such key"}, status=401), lambda *_: False)


def test_an_ingestor_that_stays_away_does_not_keep_the_sender_from_stopping() -> None:
    _, sent = send(
        lambda _: web.json_response({"error": "away"}, status=503), lambda _, sent: sent.attempts_failed >= 3
    )
    assert sent.unanswered == sent.offered > 0
