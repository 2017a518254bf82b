"""The audit log as text, the oldest row first, and files of months back into a table."""

from __future__ import annotations

import itertools
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Identifier

from mutt_appliance.store.archive_files import (
    ArchiveError,
    check_file,
    lines_of,
    manifest_path,
    read_manifest,
)
from mutt_appliance.store.audit_pages import AuditFilter
from mutt_appliance.store.csv_tables import write_table
from mutt_appliance.store.errors import reason
from mutt_appliance.store.queries import query
from mutt_appliance.store.row_texts import insert_row_texts, table_columns
from mutt_appliance.store.streaming import CHUNK_ROWS, chunks

TextForm = Literal["ndjson", "csv"]
LOG = "event_audit_log"
IMPORT_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class ImportRefusedError(Exception):
    """A file cannot be taken; the text says why and what to do."""


@dataclass(frozen=True)
class Imported:
    """Rows of a file, and how many of them were not in the table yet; `checked`: by its manifest."""

    rows: int
    added: int
    checked: bool


def export(conn: Connection, wanted: AuditFilter, form: TextForm) -> Iterator[tuple[int, bytes]]:
    """(rows, text) of one chunk after the other, in one snapshot; a head line of CSV comes with 0 rows.

    Only hostname, rule, since and until of the filter are looked at. Raises psycopg2.Error.
    """
    with conn.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    columns = table_columns(conn, LOG)
    if form == "csv":
        yield 0, write_table(columns, ()).encode()
    values = {
        "hostname": wanted.hostname,
        "rule_id": wanted.rule_id,
        "since": wanted.since,
        "until": wanted.until,
    }
    what = SQL("row_to_json(e)::text") if form == "ndjson" else SQL(query("cells_of_row"))
    for rows in chunks(conn, SQL(query("audit_export")).format(what=what), values):
        if form == "ndjson":
            yield len(rows), "".join(f"{row}\n" for (row,) in rows).encode()
        else:
            yield len(rows), write_table((), (cells for (cells,) in rows)).encode()


def import_file(conn: Connection, path: Path, table: str) -> Imported:
    """Put the rows of an archived month into `table`, which is made if need be, all or none; commits.

    Not into the audit log: the month is past retention there, and would leave again at the next look.
    Raises ImportRefusedError, ArchiveError, psycopg2.Error.
    """
    if not IMPORT_TABLE.fullmatch(table) or table.startswith(LOG):
        raise ImportRefusedError(
            f"{table}: must be the name of a table of its own: small letters, digits and _, not {LOG}…"
        )
    checked = _checked(path)
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT obj_description(to_regclass(%s), 'pg_class'), to_regclass(%s)::text", (table, table)
        )
        ((comment, there),) = cursor.fetchall()
        if there and not (comment or "").startswith("Rows of the audit log, imported"):
            raise ImportRefusedError(f"{table}: is another table: choose another name with --table")
        cursor.execute(SQL(query("make_import_table")).format(table=Identifier(table)))
        columns = table_columns(conn, table)
        rows = added = 0
        lines = lines_of(path)
        try:
            while chunk := [line.decode() for line in itertools.islice(lines, CHUNK_ROWS)]:
                known = json.loads(chunk[0])
                if not {"event_id", "received_at"} <= known.keys():
                    raise ValueError("a row has no event_id or received_at")
                added += insert_row_texts(cursor, table, [name for name in columns if name in known], chunk)
                rows += len(chunk)
        except (OSError, EOFError, zlib.error, ValueError, AttributeError, psycopg2.DataError) as error:
            conn.rollback()
            raise ArchiveError(f"{path}: is no archive of the audit log: {reason(error)}") from error
    conn.commit()
    return Imported(rows, added, checked)


def _checked(path: Path) -> bool:
    """Check a file against the manifest beside it; False when there is none."""
    beside = manifest_path(path)
    if not beside.exists():
        return False
    check_file(path, read_manifest(beside))
    return True
