"""10,000 messages through Debian's rsyslogd and the shipped omprog configuration into the audit log, each once.

MUTT is stopped for 15 s in the middle of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Stores
from tests.support.line import Line, running_line
from tests.support.rsyslog import Rsyslog, private_omprog_conf
from tests.support.rules import add_rules, reload_rules, rule
from tests.support.waiting import wait_until

MESSAGES = 10_000
OUTAGE_SECS = 15.0
# Datagrams that rsyslogd's socket buffer holds whatever the machine is busy with.
DATAGRAMS_AT_ONCE = 200
DELIVERY_SECS = 120.0


@pytest.fixture
def line(stores: Stores) -> Iterator[Line]:
    with running_line(stores) as running:
        add_rules(
            running.postgres, running.database, [rule("relayed message number", "Log_only", priority=1)]
        )
        reload_rules(running.appliance)
        yield running


@pytest.fixture
def rsyslog(short_tmp_path: Path, line: Line) -> Iterator[Rsyslog]:
    rules = private_omprog_conf(
        short_tmp_path / "forward.log",
        *("--url", line.appliance.url(), "--secrets-file", line.appliance.env["MUTT_SECRETS_FILE"]),
        *("--spool", str(short_tmp_path / "forward.spool"), "--give-up-after", "3"),
    )
    daemon = Rsyslog(short_tmp_path, rules).start()
    yield daemon
    daemon.close()


def text(number: int) -> str:
    return f'relayed message number {number:05d} of "{number % 7}"'


def send(rsyslog: Rsyslog, numbers: range) -> None:
    """The even ones by TCP, the odd ones by UDP, no faster than rsyslogd takes datagrams in."""
    lines = {
        number: f"<{16 * 8 + number % 8}>Nov 24 01:02:03 core-{number % 40} app[{number}]: {text(number)}"
        for number in numbers
    }
    rsyslog.send_tcp([line for number, line in lines.items() if number % 2 == 0])
    datagrams = [line for number, line in lines.items() if number % 2]
    for start in range(0, len(datagrams), DATAGRAMS_AT_ONCE):
        rsyslog.send_udp(datagrams[start : start + DATAGRAMS_AT_ONCE])
        taken = numbers.start + len(lines) // 2 + min(start + DATAGRAMS_AT_ONCE, len(datagrams))
        wait_until(partial(has_taken, rsyslog, taken), 30, "rsyslogd has them")


def has_taken(rsyslog: Rsyslog, count: int) -> bool:
    return rsyslog.received("relayed message number") >= count


def audited(line: Line) -> Counter[str]:
    """How often each of our messages is in the audit log."""
    sql = "SELECT message FROM event_audit_log WHERE message LIKE 'relayed message number%'"
    return Counter(str(message) for (message,) in line.postgres.execute(sql, line.database))


def count(line: Line) -> int:
    return sum(audited(line).values())


def test_every_message_is_in_the_audit_log_once(line: Line, rsyslog: Rsyslog) -> None:
    send(rsyslog, range(0, 4000))
    wait_until(lambda: count(line) > 0, 30, "the first rows")
    stopped = time.monotonic()
    line.appliance.terminate()
    send(rsyslog, range(4000, 8000))
    wait_until(lambda: time.monotonic() - stopped > OUTAGE_SECS, OUTAGE_SECS + 5, "the end of the outage")
    line.appliance.start_and_wait()
    send(rsyslog, range(8000, MESSAGES))
    wait_until(lambda: count(line) >= MESSAGES, DELIVERY_SECS, "10,000 rows", interval_secs=0.5)
    rows = audited(line)
    assert set(rows) == {text(number) for number in range(MESSAGES)}
    assert set(rows.values()) == {1}
    ids = line.postgres.execute(
        "SELECT count(*), count(DISTINCT event_id), count(DISTINCT hostname) FROM event_audit_log"
        " WHERE message LIKE 'relayed message number%'",
        line.database,
    )
    assert ids == [(MESSAGES, MESSAGES, 40)]
