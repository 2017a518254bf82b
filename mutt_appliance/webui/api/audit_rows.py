"""/audit-logs/export, /audit-logs/{event_id} and /events/search: rows of the audit log beyond its pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, JsonValue

from mutt_appliance.store.audit_pages import (
    AuditEntry,
    AuditFilter,
    SearchTooWideError,
    audit_page,
    audit_row,
    search_events,
)
from mutt_appliance.store.csv_tables import write_table
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.audit_logs import TAG, AuditRow, AuditSelection, page_of, place_of
from mutt_appliance.webui.api.fields import Moment, Name, Strict, Text
from mutt_appliance.webui.api.rules_files import MEDIA
from mutt_appliance.webui.operations import Call, Download, Reply, operation
from mutt_appliance.webui.problems import FieldFault, invalid
from mutt_appliance.webui.stores import Stores

CHUNK_ROWS = 2000
SEARCH_MS = 5000
DAY = timedelta(days=1)
NDJSON = "application/x-ndjson"
COLUMNS = tuple(field.name for field in fields(AuditEntry))


class AuditExportQuery(AuditSelection):
    """Which rows, and in which form."""

    format: Literal["csv", "ndjson"] = "csv"


class EventPath(Strict):
    """An event in the address."""

    event_id: Annotated[str, Field(min_length=1, max_length=255)]


class EventQuery(Strict):
    """Where to look."""

    received_at: Moment | None = Field(
        None, description="As the list has it: then only its month is looked into"
    )


class AuditRowDetail(AuditRow):
    """A row with the event as it was received."""

    raw_event: JsonValue


class SearchQuery(Strict):
    """What to look for."""

    q: Text = Field(description="Part of the message, in any case; or an event, correlation or alert id")
    hostname: Name | None = None
    since: Moment | None = Field(None, description="A day before `until` without it")
    until: Moment | None = Field(None, description="Now without it")
    cursor: Text | None = None
    limit: int = Field(50, ge=1, le=200)


class SearchPage(Strict):
    """What was found, the newest first."""

    since: datetime
    until: datetime
    items: list[AuditRow]
    next_cursor: str | None


@operation(
    "GET",
    "/audit-logs/export",
    tag=TAG,
    role=Role.VIEWER,
    query=AuditExportQuery,
    media=(MEDIA["csv"], NDJSON),
)
async def export_audit_logs(call: Call) -> Download:
    """Export audit logs as CSV or NDJSON, newest first, however many there are."""
    query: AuditExportQuery = call.query
    form: Callable[[Sequence[AuditEntry]], bytes] = _csv_rows if query.format == "csv" else _ndjson_rows
    head = write_table(COLUMNS, ()).encode() if query.format == "csv" else b""
    # A store that is away is told before the first byte is sent.
    first = await call.stores.run(audit_page, query.filter, CHUNK_ROWS)
    kind = MEDIA["csv"] if query.format == "csv" else NDJSON
    return Download(
        f"mutt-audit-log.{query.format}", kind, _chunks(call.stores, query.filter, first, head, form)
    )


@operation(
    "GET",
    "/audit-logs/{event_id}",
    tag=TAG,
    role=Role.VIEWER,
    path_model=EventPath,
    query=EventQuery,
    answer=AuditRowDetail,
    problems=(HTTPStatus.NOT_FOUND,),
)
async def get_audit_row(call: Call) -> Reply:
    """Get one row with the raw event."""
    detail = await call.stores.run(audit_row, call.path.event_id, call.query.received_at)
    return Reply({**asdict(detail.entry), "raw_event": detail.raw_event})


@operation("GET", "/events/search", tag=TAG, role=Role.VIEWER, query=SearchQuery, answer=SearchPage)
async def find_events(call: Call) -> Reply:
    """Search handled events by a part of their message or by an id.

    Events that no rule handled are counted by their pattern (GET /unhandled) and not stored. A search may take
    five seconds.
    """
    query: SearchQuery = call.query
    until = query.until or datetime.now(UTC)
    since = query.since or until - DAY
    if since >= until:
        raise invalid([FieldFault(field="query.since", message="must be before until")])
    after = None if query.cursor is None else place_of(query.cursor)
    try:
        rows = await call.stores.run(
            search_events, query.q, since, until, query.hostname, query.limit + 1, after, SEARCH_MS
        )
    except SearchTooWideError as error:
        wide = f"nothing was found within {SEARCH_MS // 1000} s: narrow the time, or name the host"
        raise invalid([FieldFault(field="query.since", message=wide)]) from error
    return Reply({"since": since, "until": until, **page_of(rows, query.limit)})


OPERATIONS = (export_audit_logs, find_events, get_audit_row)


async def _chunks(
    stores: Stores,
    wanted: AuditFilter,
    rows: list[AuditEntry],
    head: bytes,
    form: Callable[[Sequence[AuditEntry]], bytes],
) -> AsyncIterator[bytes]:
    yield head + form(rows)
    while len(rows) == CHUNK_ROWS:
        rows = await stores.run(audit_page, wanted, CHUNK_ROWS, rows[-1].place)
        if rows:
            yield form(rows)


def _csv_rows(rows: Sequence[AuditEntry]) -> bytes:
    return write_table((), ([_cell(value) for value in asdict(row).values()] for row in rows)).encode()


def _cell(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _ndjson_rows(rows: Sequence[AuditEntry]) -> bytes:
    return b"".join(
        orjson.dumps(asdict(row), option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE) for row in rows
    )
