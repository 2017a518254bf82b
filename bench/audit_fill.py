"""An audit log as it is after some months: rows over three months, a few hosts and rules with most of them."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.queueing.activity import DAYS, HOURS, activity_keys
from mutt_appliance.queueing.keys import KeySpace

MONTHS = 3
HOSTS = 5_000
CHUNK_ROWS = 50_000
SEED = 4
COLUMNS = (
    "event_id, correlation_id, received_at, event_timestamp, hostname, message, syslog_severity, rule_id, handling, "
    "environment, team, alert_id, forwarded, raw_event"
)
HANDLINGS = ("Ticket_only", "Log_only", "Page_and_ticket", "Suppress")


def months(now: datetime) -> list[datetime]:
    """First days of this month and those before it, the oldest first."""
    found = [now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)]
    while len(found) < MONTHS:
        found.append((found[-1] - timedelta(days=1)).replace(day=1))
    return found[::-1]


def host(number: int) -> str:
    """Name of a host; low numbers have more events."""
    return f"host-{number:04}.example.net"


def fill(connection: Connection, rows: int, rules: int, progress: Callable[[str], None]) -> None:
    """Write `rows` rows with COPY, from the first of the months until now, and let the planner know of them."""
    now = datetime.now(UTC)
    begins = months(now)
    with connection.cursor() as cursor:
        for begin in begins:
            cursor.execute("SELECT create_monthly_partition(%s)", (begin.date(),))
        step = (now - begins[0]) / rows
        written = 0
        for text in _chunks(begins[0], step, rows, rules):
            cursor.copy_expert(f"COPY event_audit_log ({COLUMNS}) FROM STDIN", io.StringIO(text))
            written += min(CHUNK_ROWS, rows - written)
            if written % (20 * CHUNK_ROWS) == 0:
                progress(f"{written:,} of {rows:,} audit rows")
        cursor.execute("ANALYZE event_audit_log")


def fill_activity(client: redis.Redis, rules: int) -> None:
    """Counts of a day of hours and a month of days, every rule and host in each."""
    keys, now = KeySpace(Settings()), time.time()
    hits: dict[Any, Any] = {str(number): number for number in range(1, rules + 1)}
    hosts = {host(number): HOSTS - number for number in range(HOSTS)}
    for back in range(30):
        client.hset(activity_keys(keys, now - back * DAYS.length_secs)[1], mapping=hits)
    for back in range(24):
        hourly, _, busy, *_ = activity_keys(keys, now - back * HOURS.length_secs)
        client.hset(hourly, mapping=hits)
        client.zadd(busy, hosts)


def _chunks(begin: datetime, step: timedelta, rows: int, rules: int) -> Iterator[str]:
    rng = random.Random(SEED)
    for first in range(0, rows, CHUNK_ROWS):
        yield "".join(
            _row(number, begin + step * number, rng, rules)
            for number in range(first, min(first + CHUNK_ROWS, rows))
        )


def _row(number: int, moment: datetime, rng: random.Random, rules: int) -> str:
    where = host(int(HOSTS * rng.random() ** 3))
    rule = 1 + int(rules * rng.random() ** 3)
    port = number % 48
    handling = HANDLINGS[rule % len(HANDLINGS)]
    at = moment.isoformat()
    message = f"%LINK-3-UPDOWN: Interface GigabitEthernet0/{port}, changed state to down, event {number}"
    raw = f'{{"hostname": "{where}", "message": "{message}", "timestamp": "{at}", "syslog_severity": {port % 8}}}'
    return (
        f"e{number:012}\tc{number:012}\t{at}\t{at}\t{where}\t{message}\t{port % 8}\t{rule}\t{handling}\tprod"
        f"\tTEAM{rule % 9}\ta{number:012}\t{'t' if handling.startswith(('Ticket', 'Page')) else 'f'}\t{raw}\n"
    )
