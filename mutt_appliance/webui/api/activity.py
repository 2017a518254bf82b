"""/activity, /unhandled and /rules/hits: what goes on in the pipeline, and who keeps it busy."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from mutt_appliance.queueing.circuit import read_circuit_async
from mutt_appliance.rules.patterns import fold
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.telemetry.health import pool_health, troubles_of
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.activity import Pattern
from mutt_appliance.webui.api.fields import Strict, Time
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.proposals import proposal
from mutt_appliance.webui.rule_book import winner
from mutt_appliance.webui.status import read_depths
from mutt_appliance.webui.stores import Stores

TAG = "Dashboard"
ROLES = ("ingestor", "alerter", "forwarder", "webui")
TOP = 10
PATTERNS_LOOKED_AT = 200


class Depths(Strict):
    """How much waits."""

    ingest: int
    alert: int
    retry: int


class DeadDepths(Strict):
    """Dead letters."""

    ingest: int
    alerter: int
    moog: int


class Limiter(Strict):
    """The rate limit of all forwarders: `used` of `limit` are under way or ended in the last `period_seconds`."""

    limit: int
    period_seconds: float
    used: int


class CircuitNow(Strict):
    """The circuit to Moogsoft; open: an outage lasts, and only probes go out."""

    state: Literal["closed", "open"]
    since: Time | None = Field(description="When it was opened")
    reason: str = Field(description="Why the last request failed, empty if it did not")
    failures: int = Field(description="Failed requests in a row")


class TopRule(Strict):
    """A rule that handled many events."""

    rule_id: int
    match: str = Field(description="Its pattern or OID")
    hits_24h: int


class TopHost(Strict):
    """A host that sent many events."""

    hostname: str
    events_24h: int


class ProposedRule(Strict):
    """Where a rule for a pattern could begin."""

    match_type: str
    match_string: str | None
    trap_oid: str | None


class Unhandled(Strict):
    """A pattern that no rule handles, with one of its events."""

    digest: str
    events_24h: int
    pattern: str | None = Field(description="The message with # for what varies")
    hostname: str | None
    message: str | None
    syslog_severity: int | None
    trap_oid: str | None
    proposal: ProposedRule | None


class UnhandledList(Strict):
    """Patterns, the most frequent first."""

    items: list[Unhandled]


class ProcessHealth(Strict):
    """A process in one word, and what is wrong with it."""

    name: str
    status: str
    trouble: str


class Activity(Strict):
    """The pipeline at a glance."""

    queues: Depths
    dead_letters: DeadDepths
    limiter: Limiter
    circuit: CircuitNow
    forwarded_per_second: float = Field(description="Requests to Moogsoft that ended in the limiter's window")
    top_rules: list[TopRule]
    top_hosts: list[TopHost]
    unhandled: list[Unhandled]
    processes: list[ProcessHealth]


class RuleHits(Strict):
    """Events that a rule handled."""

    rule_id: int
    hits_24h: int
    hits_30d: int


class RuleHitsList(Strict):
    """Rules that handled any; the others are not in the list."""

    items: list[RuleHits]


@operation("GET", "/activity", tag=TAG, role=Role.VIEWER, answer=Activity)
async def get_activity(call: Call) -> Reply:
    """Get queues, limiter, busy rules and hosts, unhandled patterns and the health of the processes.

    At most METRICS_CACHE_TTL seconds old.
    """
    stores = call.stores
    return Reply(
        await stores.cached("activity", lambda: read_activity(stores), stores.settings.metrics_cache_ttl)
    )


@operation("GET", "/unhandled", tag=TAG, role=Role.VIEWER, answer=UnhandledList)
async def list_unhandled(call: Call) -> Reply:
    """List the most frequent patterns that no rule handles."""
    stores = call.stores
    items = await stores.cached(
        "unhandled", lambda: read_unhandled(stores, PATTERNS_LOOKED_AT), stores.settings.metrics_cache_ttl
    )
    return Reply({"items": items})


@operation("GET", "/rules/hits", tag="Rules", role=Role.VIEWER, answer=RuleHitsList)
async def list_rule_hits(call: Call) -> Reply:
    """List how often rules were hit in 24 hours and 30 days."""
    hits = await call.stores.cached("hits", call.stores.activity.hits, call.stores.settings.metrics_cache_ttl)
    return Reply(
        {
            "items": [
                {"rule_id": rule, "hits_24h": each.last_24h, "hits_30d": each.last_30d}
                for rule, each in sorted(hits.items())
            ]
        }
    )


OPERATIONS = (get_activity, list_unhandled, list_rule_hits)


async def read_activity(stores: Stores) -> dict[str, Any]:
    """All of it; without PostgreSQL without what it has to say. Raises redis.RedisError."""
    busiest = await stores.activity.top_rules(TOP)
    try:
        rules = {rule.id: rule.spec for rule, _ in await stores.rule_list.current()} if busiest else {}
        unhandled = await read_unhandled(stores, TOP)
    except StoreUnavailable:
        rules, unhandled = {}, []
    settings = await stores.live_settings()
    limit, period = settings.moog_rate_limit, settings.moog_rate_period
    depths, (used, ended) = await asyncio.gather(_depths(stores), _requests(stores, period))
    return {
        **depths,
        "limiter": {"limit": limit, "period_seconds": period, "used": used},
        "circuit": await _circuit(stores),
        "forwarded_per_second": round(ended / period, 2),
        "top_rules": [
            {
                "rule_id": rule,
                "match": (rules[rule].match_string or rules[rule].trap_oid or "") if rule in rules else "",
                "hits_24h": count,
            }
            for rule, count in busiest
        ],
        "top_hosts": [
            {"hostname": host, "events_24h": count} for host, count in await stores.activity.top_hosts(TOP)
        ],
        "unhandled": unhandled,
        "processes": await asyncio.to_thread(_processes, stores),
    }


async def read_unhandled(stores: Stores, most: int) -> list[dict[str, Any]]:
    """Patterns that no active rule handles by now. Raises redis.RedisError, StoreUnavailable."""
    patterns = await stores.activity.patterns(PATTERNS_LOOKED_AT)
    if not patterns:
        return []
    rules = await stores.rule_book.current()
    left = [each for each in patterns if each.sample is None or winner(rules, each.sample) is None]
    return [_unhandled(each) for each in left[:most]]


async def _circuit(stores: Stores) -> dict[str, Any]:
    state = await read_circuit_async(stores.redis, stores.keys)
    return {
        "state": "open" if state.open else "closed",
        "since": datetime.fromtimestamp(state.opened_at / 1000, UTC) if state.open else None,
        "reason": state.reason,
        "failures": state.failures,
    }


def _unhandled(pattern: Pattern) -> dict[str, Any]:
    sample = pattern.sample or {}
    message = sample.get("message")
    return {
        "digest": pattern.digest,
        "events_24h": pattern.count,
        "pattern": None if message is None else fold(message),
        "hostname": sample.get("hostname"),
        "message": message,
        "syslog_severity": sample.get("syslog_severity"),
        "trap_oid": sample.get("trap_oid"),
        "proposal": proposal(message, sample.get("trap_oid")) if sample else None,
    }


async def _requests(stores: Stores, period_secs: float) -> tuple[int, int]:
    """How many count for the rate limit, and how many of these have ended."""
    # The limiter goes by Redis' clock; what is under way has the time at which it must end, which is to come.
    secs, us = await stores.redis.time()
    now_us = secs * 1_000_000 + us
    begun_us = now_us - int(period_secs * 1_000_000)
    used, ended = await asyncio.gather(
        stores.redis.zcount(stores.keys.rate_limit, begun_us, "+inf"),
        stores.redis.zcount(stores.keys.rate_limit, begun_us, now_us),
    )
    return int(used), int(ended)


async def _depths(stores: Stores) -> dict[str, Any]:
    depths = await read_depths(stores.shards)
    return {
        "queues": {"ingest": depths.ingest_queue, "alert": depths.alert_queue, "retry": depths.retrying},
        "dead_letters": {
            "ingest": depths.dead_ingest,
            "alerter": depths.dead_alerter,
            "moog": depths.dead_moog,
        },
    }


def _processes(stores: Stores) -> list[dict[str, str]]:
    found = []
    for role in ROLES:
        _, document = pool_health(stores.settings.mutt_runtime_dir, role)
        for name, process in document["processes"].items():
            found.append({"name": name, "status": process["status"], "trouble": troubles_of(process)})
        if not document["processes"]:
            found.append({"name": role, "status": "down", "trouble": "there is no process"})
    return found
