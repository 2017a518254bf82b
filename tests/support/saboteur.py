"""Breaks an appliance and its stores by a plan: who is hit, when, and for how long."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.appliance import Appliance
from tests.support.servers import PostgresServer, RedisServer
from tests.support.waiting import wait_until

ROLES = ("ingestor", "alerter", "forwarder", "webui")


@dataclass(frozen=True)
class Plan:
    """What happens during `seconds`; every time is in seconds from the start."""

    seconds: float
    kill_every_secs: float
    kills_per_role: int
    freezes_at: tuple[float, ...]
    freeze_secs: float
    postgres_stopped_at: float
    postgres_away_secs: float
    redis_killed_at: tuple[float, ...]
    redis_away_secs: float = 0.5

    def victims(self, chance: random.Random) -> list[str]:
        """Role of each kill in order: each role as often as it must be, the rest by chance."""
        count = int((self.seconds - self.kill_every_secs / 2) / self.kill_every_secs)
        roles = [role for role in ROLES for _ in range(self.kills_per_role)]
        assert count >= len(roles), "the plan has no room for its kills"
        roles += chance.choices(ROLES, k=count - len(roles))
        chance.shuffle(roles)
        return roles


@dataclass
class Saboteur:
    """Carries a plan out; `run` returns when it is over and everything was woken and started again."""

    plan: Plan
    appliance: Appliance
    redis: RedisServer
    postgres: PostgresServer
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    frozen: int | None = None

    def run(self) -> None:
        """Do what the plan says, each thing at its time."""
        started = time.monotonic()
        for at, action in self._timetable():
            time.sleep(max(0.0, started + at - time.monotonic()))
            action()
        time.sleep(max(0.0, started + self.plan.seconds - time.monotonic()))

    def _timetable(self) -> list[tuple[float, Callable[[], None]]]:
        plan = self.plan
        steps: list[tuple[float, Callable[[], None]]] = [
            ((number + 1) * plan.kill_every_secs, lambda role=role: self._kill(role))  # type: ignore[misc]
            for number, role in enumerate(plan.victims(self.chance))
        ]
        for at in plan.freezes_at:
            steps += [(at, self._freeze), (at + plan.freeze_secs, self._wake)]
        steps.append((plan.postgres_stopped_at, self.postgres.stop))
        steps.append((plan.postgres_stopped_at + plan.postgres_away_secs, self.postgres.start))
        for at in plan.redis_killed_at:
            steps += [(at, self.redis.kill), (at + plan.redis_away_secs, self.redis.start)]
        return sorted(steps, key=lambda step: step[0])

    def _kill(self, role: str) -> None:
        pid = self.chance.choice(wait_until(lambda: self._pids(role), 15, f"a living {role}"))
        os.kill(pid, signal.SIGKILL)
        self.kills[role] += 1

    def _freeze(self) -> None:
        self.frozen = self.chance.choice(wait_until(lambda: self._pids("alerter"), 15, "a living alerter"))
        os.kill(self.frozen, signal.SIGSTOP)

    def _wake(self) -> None:
        if self.frozen is not None:
            os.kill(self.frozen, signal.SIGCONT)
            self.frozen = None

    def _pids(self, role: str) -> list[int]:
        """Living processes of a role; the frozen one is spared until it has woken."""
        children = self.appliance.children()
        return [
            pid
            for name, pid in sorted(children.items())
            if name.partition(":")[0] == role and pid != self.frozen
        ]
