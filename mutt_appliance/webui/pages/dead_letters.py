"""Dead letters: look, correct, replay, discard."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import orjson
from aiohttp import web

from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.dlq import (
    discard_letter,
    discard_letters,
    get_letter,
    get_replay,
    list_letters,
    list_queues,
    replay_letter,
    replay_letters,
)
from mutt_appliance.webui.pages.templating import pretty
from mutt_appliance.webui.pages.visit import Visit, page
from mutt_appliance.webui.problems import FieldFault, Problem, invalid

HOME = "/dead-letters"
PAGE_ROWS: Final = 50
FILTERS: Final = ("reason", "hostname", "q", "since", "until")


@page("GET", HOME)
async def queues(visit: Visit) -> web.Response:
    """The three queues."""
    return visit.show("dead-letters.html", queues=(await visit.ask(list_queues))["items"])


@page("GET", "/dead-letters/{queue}")
async def letters(visit: Visit) -> web.Response:
    """The letters of one."""
    queue, wanted = visit.path["queue"], _wanted(visit.query)
    offset = visit.query.get("offset", "0")
    listed = await visit.ask(
        list_letters, path={"queue": queue}, query={**wanted, "offset": offset, "limit": str(PAGE_ROWS)}
    )
    progress = await visit.ask(get_replay, path={"queue": queue})
    return visit.show(
        "dead-letter-queue.html",
        queue=queue,
        listed=listed,
        wanted=wanted,
        offset=int(offset),
        rows=PAGE_ROWS,
        progress=progress,
    )


@page("GET", "/dead-letters/{queue}/replay")
async def replay(visit: Visit) -> web.Response:
    """How far the replay of all is."""
    queue = visit.path["queue"]
    return visit.show("replay.html", queue=queue, progress=await visit.ask(get_replay, path={"queue": queue}))


@page("GET", "/dead-letters/{queue}/replay-all", Role.OPERATOR)
async def ask_replay_all(visit: Visit) -> web.Response:
    """Ask before many are replayed."""
    return await _ask_all(
        visit,
        "Replay {count} dead letters of {queue}?",
        "Events are matched again, alerts go to Moogsoft at its rate limit. What cannot go on as it is stays here.",
        "Replay",
        number=("rate", "Letters a second (empty: as fast as it goes)"),
    )


@page("POST", "/dead-letters/{queue}/replay-all", Role.OPERATOR)
async def replay_all(visit: Visit) -> web.Response:
    """Begin, in the background."""
    queue = visit.path["queue"]
    rate = visit.form.get("rate")
    body = {**_wanted(visit.form), **({"rate": rate} if rate else {})}
    await visit.ask(replay_letters, path={"queue": queue}, body=body)
    return await visit.go(f"{HOME}/{queue}/replay")


@page("GET", "/dead-letters/{queue}/discard-all", Role.OPERATOR)
async def ask_discard_all(visit: Visit) -> web.Response:
    """Ask before many are discarded."""
    return await _ask_all(
        visit, "Discard {count} dead letters of {queue}?", "They cannot be brought back.", "Discard"
    )


@page("POST", "/dead-letters/{queue}/discard-all", Role.OPERATOR)
async def discard_all(visit: Visit) -> web.Response:
    """Discard them."""
    queue = visit.path["queue"]
    answer = await visit.ask(discard_letters, path={"queue": queue}, query=_wanted(visit.form))
    return await visit.go(f"{HOME}/{queue}", f"{answer['count']} dead letters are discarded.")


@page("GET", "/dead-letters/{queue}/{id:[0-9a-f]{40}}")
async def letter(visit: Visit) -> web.Response:
    """One letter, to be corrected and replayed."""
    return await _show(visit)


@page("POST", "/dead-letters/{queue}/{id:[0-9a-f]{40}}/replay", Role.OPERATOR)
async def replay_one(visit: Visit) -> web.Response:
    """Send it on its way again, as it was typed."""
    typed = visit.form.get("payload", "")
    try:
        body = {"payload": _payload(typed)} if "payload" in visit.form else {}
        await visit.ask(replay_letter, path=visit.path, body=body)
    except Problem as problem:
        if problem.status is HTTPStatus.NOT_FOUND:
            raise
        return await _show(visit, problem, typed)
    return await visit.go(f"{HOME}/{visit.path['queue']}", "The dead letter is on its way again.")


@page("GET", "/dead-letters/{queue}/{id:[0-9a-f]{40}}/discard", Role.OPERATOR)
async def ask_discard(visit: Visit) -> web.Response:
    """Ask before one is discarded."""
    back = f"{HOME}/{visit.path['queue']}/{visit.path['id']}"
    return visit.confirm(
        "Discard this dead letter?", detail="It cannot be brought back.", button="Discard", back=back
    )


@page("POST", "/dead-letters/{queue}/{id:[0-9a-f]{40}}/discard", Role.OPERATOR)
async def discard(visit: Visit) -> web.Response:
    """Discard it."""
    await visit.ask(discard_letter, path=visit.path)
    return await visit.go(f"{HOME}/{visit.path['queue']}", "The dead letter is discarded.")


PAGES = (
    queues,
    letters,
    replay,
    ask_replay_all,
    replay_all,
    ask_discard_all,
    discard_all,
    letter,
    replay_one,
    ask_discard,
    discard,
)


def _wanted(fields: Any) -> dict[str, str]:
    return {name: fields[name] for name in FILTERS if fields.get(name)}


def _payload(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise invalid([FieldFault(field="body.payload", message=f"is not JSON: {error}")]) from error


async def _ask_all(
    visit: Visit, question: str, detail: str, button: str, number: tuple[str, str] | None = None
) -> web.Response:
    queue, wanted = visit.path["queue"], _wanted(visit.query)
    listed = await visit.ask(list_letters, path={"queue": queue}, query={**wanted, "limit": "1"})
    words = question.format(count=listed["matching"], queue=queue)
    return visit.confirm(words, detail=detail, button=button, back=f"{HOME}/{queue}", number=number, **wanted)


async def _show(visit: Visit, problem: Problem | None = None, typed: str | None = None) -> web.Response:
    one = await visit.ask(get_letter, path=visit.path)
    editable = isinstance(one["payload"], dict) or one["goes_to"] == "events"
    shown = one["payload"] if isinstance(one["payload"], str) else pretty(one["payload"])
    status: dict[str, Any] = {} if problem is None else {"status": problem.status}
    return visit.show(
        "dead-letter.html",
        queue=visit.path["queue"],
        one=one,
        typed=shown if typed is None else typed,
        editable=editable,
        problem=problem,
        **status,
    )
