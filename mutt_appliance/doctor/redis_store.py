"""Redis: reachable, new enough, never evicts, persistent, writable, quick."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.queueing.client import RedisError, blocking_client

OLDEST = (6, 2)
SLOW_MS = 20.0
PINGS = 5
CLOCK_DIFFERENCE_SECS = 2.0


@dataclass(frozen=True)
class RedisFacts:
    """What Redis said: INFO, the part of CONFIG we look at (empty where that is forbidden), times."""

    info: dict[str, Any]
    config: dict[str, str] = field(default_factory=dict)
    ping_ms: float = 0.0
    ahead_secs: float = 0.0


def check_redis(patient: Patient) -> Iterator[Finding]:
    """The Redis of the settings."""
    address = patient.settings.redis_address
    where = address if address.startswith("/") else f"{address}:{patient.settings.redis_port}"
    if patient.settings.embedded and patient.down:
        yield Finding("redis.reachable", "n/a", "the embedded Redis runs with the appliance, which is down")
        return
    try:
        facts = _read(patient)
    except (RedisError, OSError) as error:
        yield Finding(
            "redis.reachable",
            "error",
            f"Redis at {where}: {error}",
            "see redis:0 in mutt-ctl status; run this as root or as the user that runs MUTT"
            if patient.settings.embedded
            else "check REDIS_HOST, REDIS_PORT, REDIS_TLS_ENABLED, REDIS_USER, and REDIS_PASS in the secrets file",
        )
        return
    yield Finding("redis.reachable", "ok", f"Redis at {where} answers")
    yield from judge_redis(facts)


def _read(patient: Patient) -> RedisFacts:
    with blocking_client(patient.hurried, patient.secrets, "ctl-doctor") as client:
        info: Any = client.info()
        started = time.perf_counter()
        for _ in range(PINGS):
            client.ping()
        ping_ms = (time.perf_counter() - started) * 1000 / PINGS
        seconds, micros = client.time()
        ahead = seconds + micros / 1e6 - time.time()
        try:
            answer: Any = client.config_get("maxmemory-policy", "appendonly", "save")
            config = {_text(key): _text(value) for key, value in answer.items()}
        except RedisError:
            # Managed Redis services forbid CONFIG; INFO has the most important part too.
            config = {}
    return RedisFacts(info, config, ping_ms, ahead)


def judge_redis(facts: RedisFacts) -> Iterator[Finding]:
    """What is to be said of a Redis that answers."""
    info = facts.info
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) >= OLDEST:
        yield Finding("redis.version", "ok", f"version {version}")
    else:
        yield Finding(
            "redis.version", "error", f"version {version}", "install 6.2 or later (dnf module enable redis:6)"
        )
    policy = facts.config.get("maxmemory-policy") or str(info.get("maxmemory_policy", "unknown"))
    if policy == "noeviction":
        yield Finding("redis.eviction", "ok", "maxmemory-policy noeviction")
    else:
        yield Finding(
            "redis.eviction",
            "error",
            f"maxmemory-policy {policy}: a full Redis would throw events away",
            "set maxmemory-policy noeviction in redis.conf",
        )
    yield _persistence(facts)
    role = info.get("role", "master")
    if role == "master":
        yield Finding("redis.role", "ok", f"master with {info.get('connected_slaves', 0)} replicas")
    else:
        yield Finding(
            "redis.role", "error", f"it is a {role} and takes no writes", "let REDIS_HOST name the master"
        )
    slow = facts.ping_ms > SLOW_MS
    yield Finding(
        "redis.latency",
        "warning" if slow else "ok",
        f"{facts.ping_ms:.2f} ms a round trip",
        "each batch waits for several: bring Redis nearer, or look for slow commands" if slow else "",
    )
    yield judge_clock("redis.clock", "Redis", facts.ahead_secs)


def _persistence(facts: RedisFacts) -> Finding:
    if facts.info.get("aof_enabled") == 1:
        broken = facts.info.get("aof_last_write_status", "ok") != "ok"
        return Finding(
            "redis.persistence",
            "error" if broken else "ok",
            "append-only file on" + (", but its last write failed" if broken else ""),
            "look at the disk of Redis" if broken else "",
        )
    if facts.config.get("save"):
        return Finding(
            "redis.persistence",
            "warning",
            "snapshots only: what came after the last one is lost when Redis stops",
            "set appendonly yes",
        )
    return Finding(
        "redis.persistence",
        "warning",
        "no append-only file: queued events are lost when Redis stops",
        "set appendonly yes (and appendfsync everysec or always)",
    )


def judge_clock(identity: str, who: str, ahead_secs: float) -> Finding:
    """Whether the clock of a store goes with ours."""
    if abs(ahead_secs) < CLOCK_DIFFERENCE_SECS:
        return Finding(identity, "ok", f"the clock of {who} differs by less than {CLOCK_DIFFERENCE_SECS:g} s")
    word = "ahead" if ahead_secs > 0 else "behind"
    return Finding(
        identity,
        "warning",
        f"the clock of {who} is {abs(ahead_secs):.0f} s {word}",
        "have both machines keep their time by NTP (chronyd)",
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
