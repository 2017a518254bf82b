"""A migrated database and an empty Redis of this test's own, filled as people fill them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import orjson
import pytest
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.api_keys import add_key
from mutt_appliance.store.connecting import connect
from mutt_appliance.store.dev_hosts import add_dev_host
from mutt_appliance.store.prepare import prepare_database
from mutt_appliance.store.queries import query
from mutt_appliance.store.rule_editing import create_rule, delete_rule, update_rule
from mutt_appliance.store.teams import add_team, change_team
from tests.conftest import MakeSettings
from tests.support.audit import audit_row, write_audit_rows
from tests.support.rules import rule

Fill = Callable[[], None]


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    made = make_settings()
    prepare_database(made, Secrets(), "test", patience_secs=20, stop=threading.Event())
    return made


@pytest.fixture
def conn(settings: Settings) -> Iterator[Connection]:
    made = connect(settings, Secrets(), "test")
    yield made
    made.close()


@pytest.fixture
def keys(settings: Settings) -> KeySpace:
    return KeySpace(settings)


@pytest.fixture
def fill(settings: Settings, conn: Connection, client: redis.Redis, keys: KeySpace) -> Fill:
    """Puts something of each kind into the stores, with what is hard to carry: line ends, ids that were deleted."""

    def work() -> None:
        first = create_rule(conn, rule("a\u2028b\\n\"'ü", description="two\nlines"), "anna")
        update_rule(conn, first.id, lambda spec: rule(spec.match_string, "Log_only"), "berta")
        for number in range(5):
            create_rule(conn, rule(f"pattern {number}", priority=number), "anna")
        delete_rule(conn, first.id + 5, "anna")
        add_dev_host(conn, "Lab-1", 'a, "note"\nof two lines', "anna")
        add_dev_host(conn, "lab-2", None, "anna")
        add_team(conn, "core-1", "NETO", "anna")
        change_team(conn, "core-1", "Kern", "berta")
        add_key(conn, "ci", "operator", bytes(range(32)), "anna")
        with conn.cursor() as cursor:
            values = {
                "month": "2026-01-01",
                "host": "h",
                "file": "/a/f",
                "rows": 1,
                "size_bytes": 2,
                "sha256": "x",
            }
            cursor.execute(
                query("note_archive"), {**values, "first_received_at": "now", "last_received_at": "now"}
            )
        conn.commit()
        client.hset(
            keys.config,
            mapping={
                "moog_rate_limit": orjson.dumps({"value": 20, "version": 3}),
                "slo_window_hours": orjson.dumps({"version": 2}),
            },
        )
        moment = datetime(2026, 10, 31, 23, 59, 59, 123456, UTC)
        rows = [audit_row(n, received_at=moment, raw_event='{"n": 1e400, "x": 0.10}') for n in range(3)]
        later = [audit_row(n, message="x\u2028y\x85z") for n in range(3, 5)]
        write_audit_rows(settings, [*rows, *later])

    return work
