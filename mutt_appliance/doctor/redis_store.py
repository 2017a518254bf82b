"""Redis: reachable, new enough, never evicts, room, persistent, writable, replicated, quick; its Sentinels or nodes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.queueing.client import RedisError, blocking_client, locator_of
from mutt_appliance.queueing.fullness import share_used
from mutt_appliance.queueing.locating import Heard, Witnesses

OLDEST = (6, 2)
SLOW_MS = 20.0
# Of maxmemory, or of the host's memory.
NEARLY_FULL = 0.8
QUESTIONS = 5
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
    where = patient.settings.redis_where
    if patient.settings.embedded and patient.down:
        yield Finding("redis.reachable", "n/a", "the embedded Redis runs with the appliance, which is down")
        return
    locator = locator_of(patient.hurried, patient.secrets)
    if isinstance(locator, Witnesses):
        kind = "Sentinels" if patient.settings.redis_sentinels else "cluster nodes"
        yield from judge_witnesses(kind, locator.hear())
    try:
        facts = _read(patient)
    except (RedisError, OSError) as error:
        yield Finding(
            "redis.reachable",
            "error",
            f"Redis at {where}: {error}",
            "see redis:0 in mutt-ctl status; run this as root or as the user that runs MUTT"
            if patient.settings.embedded
            else "check REDIS_HOST (or REDIS_SENTINELS, REDIS_CLUSTER_NODES), REDIS_PORT, REDIS_TLS_ENABLED, "
            "REDIS_USER, and REDIS_PASS in the secrets file",
        )
        return
    yield Finding("redis.reachable", "ok", f"Redis at {where} answers")
    yield from judge_redis(facts)
    if not patient.settings.embedded:
        yield judge_replicas(facts.info, patient.settings.redis_wait_replicas)


def _read(patient: Patient) -> RedisFacts:
    with blocking_client(patient.hurried, patient.secrets, "ctl-doctor") as client:
        info: Any = client.info()
        started = time.perf_counter()
        for _ in range(QUESTIONS):
            # Not PING, which a Redis without room on its disk refuses.
            client.time()
        ping_ms = (time.perf_counter() - started) * 1000 / QUESTIONS
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
    yield judge_memory(info)
    yield _persistence(facts)
    role = info.get("role", "master")
    if role == "master":
        yield Finding("redis.role", "ok", f"master with {info.get('connected_slaves', 0)} replicas")
    else:
        yield Finding(
            "redis.role",
            "error",
            f"it is a {role} and takes no writes",
            "let REDIS_HOST name the master, or REDIS_SENTINELS those who know it",
        )
    slow = facts.ping_ms > SLOW_MS
    yield Finding(
        "redis.latency",
        "warning" if slow else "ok",
        f"{facts.ping_ms:.2f} ms a round trip",
        "each batch waits for several: bring Redis nearer, or look for slow commands" if slow else "",
    )
    yield judge_clock("redis.clock", "Redis", facts.ahead_secs)


def judge_witnesses(kind: str, heard: Sequence[Heard]) -> Iterator[Finding]:
    """Whether enough Sentinels, or cluster nodes, answer, and whether they agree on the master."""
    identity = "redis." + kind.replace(" ", "-").lower()
    words = [each.word for each in heard if each.word is not None]
    silent = "; ".join(f"{each.witness}: {each.trouble}" for each in heard if each.word is None)
    seen = f"{len(words)} of {len(heard)} {kind} name a master" + (f" ({silent})" if silent else "")
    if not silent:
        yield Finding(identity, "ok", seen)
    else:
        few = 2 * len(words) <= len(heard)
        yield Finding(
            identity,
            "error" if few else "warning",
            seen,
            f"start the {kind} that are down, and check the user and password that MUTT has for them"
            + (": so few cannot change the master" if few and kind == "Sentinels" else ""),
        )
    if words:
        masters = sorted({str(word.master) for word in words})
        yield Finding(
            f"{identity}-agree",
            "warning" if len(masters) > 1 else "ok",
            f"the master is {' or '.join(masters)}",
            "wait for the failover to end; else compare their configurations" if len(masters) > 1 else "",
        )


def judge_memory(info: Mapping[str, Any]) -> Finding:
    """How full it is: of its maxmemory, or of the memory of its host where it has none."""
    used = share_used(info)
    if used is None:
        of_host = int(info.get("total_system_memory", 0))
        share = int(info.get("used_memory", 0)) / of_host if of_host else 0.0
        return Finding(
            "redis.memory",
            "warning" if share >= NEARLY_FULL else "ok",
            f"no maxmemory; {share:.0%} of the memory of its host",
            "set maxmemory (EMBEDDED_REDIS_MAXMEMORY) below what the host has: else the kernel ends Redis one day"
            if share >= NEARLY_FULL
            else "",
        )
    full = used >= 1
    return Finding(
        "redis.memory",
        "error" if full else "warning" if used >= NEARLY_FULL else "ok",
        f"{used:.0%} of maxmemory" + (": new events are answered with 503" if full else ""),
        "see what fills it (mutt-ctl status, mutt-ctl dlq list), or give it more (EMBEDDED_REDIS_MAXMEMORY, maxmemory)"
        if used >= NEARLY_FULL
        else "",
    )


def judge_replicas(info: Mapping[str, Any], wanted: int) -> Finding:
    """Whether a failover has somewhere to go, and what is acknowledged survives it."""
    states = (
        value for name, value in info.items() if name.startswith("slave") and isinstance(value, Mapping)
    )
    following = sum(state.get("state") == "online" for state in states)
    if following < wanted:
        return Finding(
            "redis.replicas",
            "error",
            f"{following} replicas follow, REDIS_WAIT_REPLICAS={wanted}: every event is answered with 503",
            "start the replicas",
        )
    if wanted and following == wanted:
        return Finding(
            "redis.replicas",
            "warning",
            f"{following} replicas follow, REDIS_WAIT_REPLICAS={wanted}: the loss of one stops the intake of events",
            "have one replica more than REDIS_WAIT_REPLICAS",
        )
    if following and "min_slaves_good_slaves" not in info:
        return Finding(
            "redis.replicas",
            "warning",
            f"{following} replicas follow, and a master that was cut off from them would go on taking events",
            "set min-replicas-to-write 1 (etc/redis/mutt-redis.conf)",
        )
    return Finding("redis.replicas", "ok", f"{following} replicas follow")


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
