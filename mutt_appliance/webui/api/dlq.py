"""/dlq: dead letters, to be looked at, sent on their way again, or discarded."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import Field

from mutt_appliance.events.admission import Limits
from mutt_appliance.queueing.dead_letters import (
    QUEUES,
    DeadLetters,
    Letter,
    LetterFilter,
    NotReplayableError,
    QueueName,
    Sweep,
    described,
    replayed,
)
from mutt_appliance.queueing.replays import RATE_LEAST, progress
from mutt_appliance.store.editing import NotFoundError
from mutt_appliance.store.history import note_letters
from mutt_appliance.webui import replays
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import Moment, Name, Strict, Text
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.problems import FieldFault, Problem, invalid

TAG = "Dead letters"
SAMPLE = 1000
"""Letters looked at for the reasons of the overview."""
REASONS_MOST = 10
FILTERED_MOST = 100_000


class QueuePath(Strict):
    """A dead letter queue in the address."""

    queue: QueueName


class LetterPath(QueuePath):
    """A dead letter in the address."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{40}$", description="SHA-1 of its bytes")]


class LetterSelection(Strict):
    """Which letters; without any field all."""

    reason: Text | None = Field(None, description="Part of the reason, in any case")
    hostname: Name | None = None
    q: Text | None = Field(None, description="Part of the payload, in any case")
    since: Moment | None = Field(None, description="Failed then or later; ISO 8601, UTC without a zone")
    until: Moment | None = Field(None, description="Failed before then; ISO 8601, UTC without a zone")


class LetterQuery(LetterSelection):
    """Which letters, and which part of them."""

    offset: int = Field(0, ge=0, le=10_000_000)
    limit: int = Field(50, ge=1, le=200)


class ReplaySelection(LetterSelection):
    """Which letters, and how fast."""

    rate: float | None = Field(
        None, ge=RATE_LEAST, le=100_000, description="Letters a second; without it as fast as it goes"
    )


class ReplayIn(Strict):
    """What goes on its way in place of the payload."""

    payload: dict[str, Any] | None = Field(
        None, description="The corrected event or alert; without it as it is"
    )


class ReasonCount(Strict):
    """How many letters have a reason."""

    reason: str
    count: int


class QueueSummary(Strict):
    """A dead letter queue; reasons of its newest 1,000 letters."""

    queue: QueueName
    depth: int
    newest_at: str | None
    oldest_at: str | None
    reasons: list[ReasonCount]


class QueueList(Strict):
    """The dead letter queues."""

    items: list[QueueSummary]


class DeadLetter(Strict):
    """A dead letter."""

    id: str
    reason: str
    failed_at: str | None
    attempts: int | None
    source: str
    hostname: str | None
    goes_to: Literal["events", "alerts"] = Field(description="Where a replay puts it")
    payload: Any = Field(description="The event or alert; text where it is no JSON")


class DeadLetterPage(Strict):
    """Dead letters, the newest first; `matching` of `depth` are meant by the filter."""

    depth: int
    matching: int
    items: list[DeadLetter]


class Moved(Strict):
    """How many letters were replayed or discarded."""

    count: int


class ReplayProgress(Strict):
    """How far the replay of a whole queue is."""

    state: Literal["idle", "running", "done", "failed"]
    total: int = Field(description="Letters when it began")
    looked_at: int
    replayed: int
    failed: int = Field(description="Letters that cannot go on as they are, and stay")
    started_at: str | None
    started_by: str | None


@operation("GET", "/dlq", tag=TAG, role=Role.VIEWER, answer=QueueList)
async def list_queues(call: Call) -> Reply:
    """List the dead letter queues with the reasons in them."""
    return Reply({"items": [await _summary(call, queue) for queue in QUEUES]})


@operation(
    "GET",
    "/dlq/{queue}",
    tag=TAG,
    role=Role.VIEWER,
    path_model=QueuePath,
    query=LetterQuery,
    answer=DeadLetterPage,
)
async def list_letters(call: Call) -> Reply:
    """List dead letters, the newest first.

    A filter looks at the newest 100,000.
    """
    letters, query = _letters(call), call.query
    wanted, depth = _filter(query), await letters.depth()
    if wanted.everything:
        page, matching = await letters.page(query.offset, query.limit), depth
    else:
        page, matching = [], 0
        async for letter in letters.newest_first(min(depth, FILTERED_MOST)):
            if wanted.takes(letter):
                if query.offset <= matching < query.offset + query.limit:
                    page.append(letter)
                matching += 1
    items = [described(letters.queue, letter) for letter in page]
    return Reply({"depth": depth, "matching": matching, "items": items})


@operation(
    "DELETE",
    "/dlq/{queue}",
    tag=TAG,
    role=Role.OPERATOR,
    path_model=QueuePath,
    query=LetterSelection,
    answer=Moved,
)
async def discard_letters(call: Call) -> Reply:
    """Discard all dead letters that the filter means."""
    letters = _letters(call)
    sweep = await Sweep.over(letters, _filter(call.query))
    try:
        while await sweep.discard_chunk():
            pass
    finally:
        # Also when Redis failed meanwhile: what is gone is noted.
        await _note(call, "discard", {**call.query.model_dump(), "count": sweep.moved})
    return Reply({"count": sweep.moved})


@operation(
    "GET", "/dlq/{queue}/replay", tag=TAG, role=Role.VIEWER, path_model=QueuePath, answer=ReplayProgress
)
async def get_replay(call: Call) -> Reply:
    """See how far the replay of a queue is."""
    return Reply(await progress(call.stores.shards.home, call.path.queue))


@operation(
    "POST",
    "/dlq/{queue}/replay",
    tag=TAG,
    role=Role.OPERATOR,
    path_model=QueuePath,
    body=ReplaySelection,
    answer=ReplayProgress,
    status=HTTPStatus.ACCEPTED,
    problems=(HTTPStatus.CONFLICT,),
)
async def replay_letters(call: Call) -> Reply:
    """Replay all dead letters that the filter means, the oldest first, in the background."""
    queue = call.path.queue
    if not await replays.begin(call.stores, queue, _filter(call.body), call.person.name, call.body.rate):
        raise Problem(HTTPStatus.CONFLICT, f"{queue}: a replay is under way: wait until it is done")
    return Reply(await progress(call.stores.shards.home, queue), HTTPStatus.ACCEPTED)


@operation(
    "GET",
    "/dlq/{queue}/{id}",
    tag=TAG,
    role=Role.VIEWER,
    path_model=LetterPath,
    answer=DeadLetter,
    problems=(HTTPStatus.NOT_FOUND,),
)
async def get_letter(call: Call) -> Reply:
    """Get one dead letter."""
    letters = _letters(call)
    return Reply(described(letters.queue, await _found(letters, call.path.id)))


@operation(
    "POST",
    "/dlq/{queue}/{id}/replay",
    tag=TAG,
    role=Role.OPERATOR,
    path_model=LetterPath,
    body=ReplayIn,
    answer=Moved,
    problems=(HTTPStatus.NOT_FOUND,),
)
async def replay_letter(call: Call) -> Reply:
    """Replay one dead letter, corrected or as it is."""
    letters, body = _letters(call), call.body
    letter = await _found(letters, call.path.id)
    payload = letter.payload if body.payload is None else body.payload
    try:
        item = replayed(letters.queue, letter, payload, Limits.of(call.stores.settings))
    except NotReplayableError as error:
        raise invalid([FieldFault(field="body.payload", message=str(error))]) from error
    if not await letters.replay(letter, item):
        raise _gone(letters, letter.id)
    await _note(call, "replay", {"id": letter.id, "edited": body.payload is not None, "count": 1})
    return Reply({"count": 1})


@operation(
    "DELETE",
    "/dlq/{queue}/{id}",
    tag=TAG,
    role=Role.OPERATOR,
    path_model=LetterPath,
    status=HTTPStatus.NO_CONTENT,
    problems=(HTTPStatus.NOT_FOUND,),
)
async def discard_letter(call: Call) -> Reply:
    """Discard one dead letter."""
    letters = _letters(call)
    letter = await _found(letters, call.path.id)
    if not await letters.discard(letter):
        raise _gone(letters, letter.id)
    await _note(call, "discard", {"id": letter.id, "count": 1})
    return Reply(status=HTTPStatus.NO_CONTENT)


OPERATIONS = (
    list_queues,
    list_letters,
    discard_letters,
    get_replay,
    replay_letters,
    get_letter,
    replay_letter,
    discard_letter,
)


def _letters(call: Call) -> DeadLetters:
    return DeadLetters(call.stores.shards, call.path.queue)


def _filter(selection: LetterSelection) -> LetterFilter:
    return LetterFilter(selection.reason, selection.hostname, selection.q, selection.since, selection.until)


async def _found(letters: DeadLetters, letter_id: str) -> Letter:
    letter = await letters.find(letter_id)
    if letter is None:
        raise _gone(letters, letter_id)
    return letter


def _gone(letters: DeadLetters, letter_id: str) -> NotFoundError:
    return NotFoundError(
        f"{letters.queue}: there is no dead letter {letter_id} (any more): somebody may have been quicker"
    )


async def _summary(call: Call, queue: QueueName) -> dict[str, Any]:
    letters = DeadLetters(call.stores.shards, queue)
    depth = await letters.depth()
    newest = [letter async for letter in letters.newest_first(min(depth, SAMPLE))]
    oldest = await letters.oldest_one()
    reasons = Counter(letter.reason for letter in newest).most_common(REASONS_MOST)
    return {
        "queue": queue,
        "depth": depth,
        "newest_at": newest[0].failed_at if newest else None,
        "oldest_at": oldest.failed_at if oldest else None,
        "reasons": [{"reason": reason, "count": count} for reason, count in reasons],
    }


async def _note(call: Call, action: str, after: dict[str, Any]) -> None:
    await call.stores.run(note_letters, call.person.name, action, call.path.queue, after)
