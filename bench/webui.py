"""The web UI with months of audit rows and thousands of rules: how long its answers take, and what they cost others."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from bench import appliance
from bench.audit_fill import HOSTS, fill, fill_activity, host
from bench.http_load import post_for, request_bytes
from bench.ingest import BATCH, BATCH_CONNECTIONS, QUEUE, batch_bodies
from bench.measure import in_turns, percentile
from bench.report import Figure, rate
from bench.run import CannotMeasureError, Run
from bench.traffic import traffic
from tests.support.appliance import Appliance

RULES = 5_000
REQUESTS = 200
WARM_UP = 20
PAGE_ROWS = 50
FAR_PAGE = 1_000
DASHBOARDS = 5
DASHBOARD_SECS = 10.0
DASHBOARD_PATHS = ("/api/v1/metrics", "/api/v1/activity", "/api/v1/slo")
# A second between two dashboards, as with people who did not open theirs at once.
STAGGER_SECS = 1.0


class Caller:
    """One connection that stays open."""

    def __init__(self, target: Appliance) -> None:
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", target.ports["SERVER_PORT_WEBUI"], timeout=60
        )
        self._headers = {"X-API-KEY": target.secret("WEBUI_API_KEY")}

    def get(self, path: str) -> bytes:
        """The body of an answer; raises CannotMeasureError for anything but a success."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise CannotMeasureError(f"{path} was answered with {answer.status}: {body[:300]!r}")
        return body

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def bench(run: Run) -> list[Figure]:
    """Answers over HTTP beside their targets (p95 of 200 each), and the ingest rate with five dashboards open."""
    progress = run.about("webui")
    database = run.stores.new_database(traffic(RULES).rules)
    connection = run.stores.postgres.connect(database)
    try:
        fill(connection, run.rows, RULES, progress)
    finally:
        connection.close()
    with run.stores.redis.client() as client:
        fill_activity(client, RULES)
    with appliance.start(run.stores, database, roles=("webui",), env={"METRICS_CACHE_TTL": "0"}) as target:
        figures = _answers(target, progress)
    figures.append(_ingest(run, database, progress))
    run.stores.postgres.execute(f'DROP DATABASE "{database}" WITH (FORCE)')
    return figures


def _answers(target: Appliance, progress: Callable[[str], None]) -> list[Figure]:
    caller = Caller(target)
    day = (datetime.now(UTC) - timedelta(days=40)).date()
    audit = f"/api/v1/audit-logs?limit={PAGE_ROWS}"
    rare, frequent = quote(host(HOSTS - 1)), quote(host(0))
    cases: dict[str, list[str]] = {
        "webui_first_page_p95_ms": [audit],
        "webui_far_page_p95_ms": [_far_page(caller, progress)],
        "webui_by_host_p95_ms": [f"{audit}&hostname={rare}", f"{audit}&hostname={frequent}"],
        "webui_by_rule_p95_ms": [f"{audit}&rule_id={RULES}", f"{audit}&rule_id=1"],
        "webui_by_day_p95_ms": [f"{audit}&start_date={day}&end_date={day + timedelta(days=1)}"],
        "webui_rules_p95_ms": ["/api/v1/rules"],
        "webui_dashboard_p95_ms": ["/api/v1/metrics", "/api/v1/activity"],
    }
    figures = []
    for key, paths in cases.items():
        progress(key)
        worst = max((_times(caller, path) for path in paths), key=lambda times: percentile(times, 0.95))
        p50, p95 = percentile(worst, 0.5), percentile(worst, 0.95)
        name = key.removeprefix("webui_").removesuffix("_p95_ms").replace("_", " ")
        figures.append(
            Figure(
                key,
                f"web UI, {name}, p95",
                f"{p95:.1f} ms",
                p95,
                remark=f"p50 {p50:.1f} ms, worst {worst[-1]:.1f} ms",
            )
        )
    caller.close()
    return figures


def _far_page(caller: Caller, progress: Callable[[str], None]) -> str:
    """Address of page 1,000, reached by following the cursor."""
    progress(f"following the cursor to page {FAR_PAGE:,}")
    path, step = "/api/v1/audit-logs?limit=200", 200
    cursor = ""
    for _ in range((FAR_PAGE - 1) * PAGE_ROWS // step):
        page: Any = json.loads(caller.get(f"{path}&cursor={cursor}" if cursor else path))
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    return f"/api/v1/audit-logs?limit={PAGE_ROWS}&page={FAR_PAGE}&cursor={cursor}"


def _times(caller: Caller, path: str) -> list[float]:
    """Milliseconds of each request, sorted."""
    times = []
    for number in range(WARM_UP + REQUESTS):
        begun = time.perf_counter()
        caller.get(path)
        if number >= WARM_UP:
            times.append((time.perf_counter() - begun) * 1000)
    return sorted(times)


class Dashboards:
    """Five pages that renew themselves, while the context lasts."""

    def __init__(self, target: Appliance) -> None:
        self._target = target
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._renew, args=(n,)) for n in range(DASHBOARDS)]

    def _renew(self, number: int) -> None:
        caller = Caller(self._target)
        self._stopping.wait(number * STAGGER_SECS)
        while not self._stopping.is_set():
            for path in DASHBOARD_PATHS:
                caller.get(path)
            self._stopping.wait(DASHBOARD_SECS)
        caller.close()

    def __enter__(self) -> Dashboards:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def _ingest(run: Run, database: str, progress: Callable[[str], None]) -> Figure:
    """Events a second into Redis, with and without the dashboards."""
    env = {"MAX_INGEST_QUEUE_SIZE": "1000000000"}
    with appliance.start(run.stores, database, roles=("webui", "ingestor"), env=env) as target:
        requests = [
            request_bytes(target.ports["SERVER_PORT_INGESTOR"], body, target.api_key)
            for body in batch_bodies()
        ]

        def alone() -> float:
            load = post_for(target.ports["SERVER_PORT_INGESTOR"], requests, BATCH_CONNECTIONS, run.seconds)
            with run.stores.redis.client() as client:
                client.delete(QUEUE)
            return load.requests * BATCH / load.seconds

        def watched() -> float:
            with Dashboards(target):
                return alone()

        progress("ingest with and without dashboards")
        alone()
        without, with_dashboards = in_turns(run.rounds, [alone, watched], progress)
    run.stores.empty_redis()
    return Figure(
        "webui_ingest_ratio",
        f"ingest while {DASHBOARDS} dashboards are open",
        rate(with_dashboards.median, "events/s"),
        with_dashboards.median / without.median,
        f"none open {rate(without.median, 'events/s')}",
        f"spread {with_dashboards.spread:.0%}, without {without.spread:.0%}",
    )
