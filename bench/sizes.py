"""How much room events take: waiting in Redis, in the append-only file, in the audit log. For capacity planning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import redis

from bench import appliance
from bench.http_load import post_for, request_bytes
from bench.ingest import BATCH, BATCH_CONNECTIONS, key_spaces, with_ids
from bench.report import Figure
from bench.run import CannotMeasureError, Run
from bench.traffic import Traffic, events, traffic
from mutt_appliance.queueing.keys import KeySpace
from tests.support.appliance import Appliance
from tests.support.waiting import wait_until

RULES = 1_000
EVENTS = 100_000
POST_SECS = 120.0
DRAIN_SECS = 300.0
# Nothing is taken out while it is measured, nothing shed, no file written anew.
ENVIRONMENT = {
    "MAX_INGEST_QUEUE_SIZE": "1000000000",
    "ALERTER_QUEUE_WARN_THRESHOLD": "1000000000",
    "ALERTER_QUEUE_SHED_THRESHOLD": "1000000000",
}
AUDIT_SIZE = """
    SELECT count(*), (SELECT sum(pg_table_size(relid)) FROM pg_partition_tree('event_audit_log')),
           (SELECT sum(pg_indexes_size(relid)) FROM pg_partition_tree('event_audit_log'))
    FROM event_audit_log
"""
WAL_BYTES = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"


def bench(run: Run) -> list[Figure]:
    """Bytes of an event of about 300 bytes, with an id of its sender's, in each place; every event is matched."""
    progress = run.about("sizes")
    source = traffic(RULES)
    bodies = _bodies(source)
    database = run.stores.new_database(source.rules)
    run.stores.empty_redis()
    keys = key_spaces(1)[0]
    with run.stores.redis.client() as client:
        client.config_set("auto-aof-rewrite-percentage", 0)
        try:
            progress(f"{EVENTS:,} events into Redis")
            with appliance.start(run.stores, database, roles=("ingestor",), env=ENVIRONMENT) as target:
                aof = _aof_bytes(client)
                _post(target, bodies)
                figures = _queued(client, keys, _aof_bytes(client) - aof, sum(map(len, bodies)) / EVENTS)
            progress("and through an alerter")
            aof, wal = _aof_bytes(client), _number(run, WAL_BYTES, database)
            _alert(run, database, client, keys)
            figures.append(_figure("a matched event worked off, there", _aof_bytes(client) - aof))
            figures += _audited(run, client, keys, database, wal)
        finally:
            client.config_set("auto-aof-rewrite-percentage", 100)
    run.stores.empty_redis()
    return figures


def fill_alert_queue(run: Run, database: str, source: Traffic) -> None:
    """As many alerts in Redis, as an alerter makes them."""
    with appliance.start(run.stores, database, roles=("ingestor",), env=ENVIRONMENT) as target:
        _post(target, _bodies(source))
    with run.stores.redis.client() as client:
        _alert(run, database, client, key_spaces(1)[0])


def _bodies(source: Traffic) -> list[bytes]:
    made = events(source, EVENTS, matched_every=1)
    return [orjson.dumps(made[n : n + BATCH]) for n in range(0, EVENTS, BATCH)]


def _alert(run: Run, database: str, client: redis.Redis, keys: KeySpace) -> None:
    with appliance.start(run.stores, database, roles=("alerter",), env=ENVIRONMENT):
        wait_until(lambda: client.llen(keys.alert_queue) == EVENTS, DRAIN_SECS, "all are alerts")


def _post(target: Appliance, bodies: Sequence[bytes]) -> None:
    port = target.ports["SERVER_PORT_INGESTOR"]
    requests = (request_bytes(port, with_ids(body), target.api_key) for body in bodies)
    load = post_for(port, requests, BATCH_CONNECTIONS, POST_SECS)
    if load.requests != len(bodies):
        raise CannotMeasureError(f"{load.requests} of {len(bodies)} batches were posted in {POST_SECS} s")


def _queued(client: redis.Redis, keys: KeySpace, aof: float, sent: float) -> list[Figure]:
    if client.llen(keys.ingest_queue) != EVENTS:
        raise CannotMeasureError(f"{client.llen(keys.ingest_queue)} events are in Redis, not {EVENTS}")
    seen = sum(_memory(client, key) for key in client.scan_iter(keys.dedup(0)[:-1] + "*"))
    return [
        _figure(
            "an event that waits, in Redis", _memory(client, keys.ingest_queue), f"{sent:.0f} bytes as sent"
        ),
        _figure("an event_id that is remembered, in Redis", seen),
        _figure("an event taken in, in the append-only file", aof, "until the file is written anew"),
    ]


def _audited(run: Run, client: redis.Redis, keys: KeySpace, database: str, wal: float) -> list[Figure]:
    wal = _number(run, WAL_BYTES, database) - wal
    ((rows, table, indexes),) = run.stores.postgres.execute(AUDIT_SIZE, database)
    if rows != EVENTS:
        raise CannotMeasureError(f"{rows} audit rows, not {EVENTS}")
    table_bytes, index_bytes = float(str(table)), float(str(indexes))
    return [
        _figure("an alert that waits, in Redis", _memory(client, keys.alert_queue)),
        _figure(
            "an audit row on disk",
            table_bytes + index_bytes,
            f"{table_bytes / EVENTS:.0f} in the table, {index_bytes / EVENTS:.0f} in three indexes",
        ),
        _figure("an audit row in PostgreSQL's log (WAL)", wal),
    ]


def _aof_bytes(client: redis.Redis) -> float:
    state: Any = client.info("persistence")
    return float(state["aof_current_size"])


def _memory(client: redis.Redis, key: Any) -> float:
    size: Any = client.memory_usage(key, samples=0)
    return float(size)


def _number(run: Run, statement: str, database: str) -> float:
    ((value,),) = run.stores.postgres.execute(statement, database)
    return float(str(value))


def _figure(name: str, size: float, remark: str = "") -> Figure:
    each = size / EVENTS
    return Figure(None, name, f"{each:,.0f} bytes", each, remark=remark)
