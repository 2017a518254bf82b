"""A master of a Redis Cluster goes away under load: nothing that was answered is lost, and the other shards go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.keys import shard_tag
from mutt_appliance.queueing.shards import Shards, blocking_shards, shard_of
from mutt_appliance.secrets import Secrets
from tests.support.appliance import Appliance
from tests.support.failover import QUICK
from tests.support.ledger import Books, faults, gather, held, lost, summary
from tests.support.load import DEVELOPMENT_HOST, RULES, Load
from tests.support.moogsoft import Moogsoft
from tests.support.redis_cluster import RedisCluster
from tests.support.rules import add_rules, reload_rules
from tests.support.servers import PostgresServer, RedisServer
from tests.support.waiting import wait_until

DATABASE = "mutt_db"
# The tags mutt, mutt-1 and mutt-2 lie at three masters of which each has a third of the slots.
SHARDS = 3
FIRST_OF_NEXT_LOAD = 10_000_000
ANSWER_SECS, DRAIN_SECS, MOVE_SECS = 60.0, 90.0, 30.0


@dataclass
class Scene:
    """An appliance on a Cluster, with a load for each shard that has its hosts alone."""

    cluster: RedisCluster
    appliance: Appliance
    settings: Settings
    postgres: PostgresServer
    moogsoft: Moogsoft
    loads: list[Load]
    moves: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def master(self, shard: int) -> RedisServer | None:
        """The node that has a shard."""
        return self.cluster.master_of(shard_tag(self.settings, shard))

    def kill_master(self, shard: int) -> None:
        """SIGKILL; wait until its replica has taken over, start it again, wait until events are accepted."""
        old = self.master(shard)
        assert old is not None
        struck = time.monotonic()
        old.kill()
        wait_until(lambda: self.master(shard) not in (old, None), MOVE_SECS, f"a new master of shard {shard}")
        self.moves.append(time.monotonic() - struck)
        # With WAIT nothing is answered before the new master has a replica, which is what the old one becomes.
        old.start()
        moved = time.monotonic()
        for load in self.loads:
            wait_until(
                lambda load=load: load.answered_at and load.answered_at[-1] > moved + 1.0,  # type: ignore[misc]
                MOVE_SECS,
                f"answers after the failover of shard {shard}; {self.appliance.log_tail()}",
            )
        pauses = [load.longest_pause(struck) for load in self.loads]
        self.pauses.append(pauses.pop(shard))
        self.others.append(max(pauses))

    def finish(self) -> Books:
        """No more load; wait until all is answered and worked off; open the books."""
        for load in self.loads:
            load.finish(ANSWER_SECS)
        shards = blocking_shards(self.settings, Secrets(), "test")
        wait_until(lambda: _left(shards) == {}, DRAIN_SECS, "the queues are empty", interval_secs=0.25)
        offered = [each for load in self.loads for each in load.offered]
        books = gather(offered, shards, self.postgres, DATABASE, self.moogsoft)
        books.stepped_back = True
        for shard in shards:
            shard.client.close()
        return books

    def report(self, books: Books) -> None:
        """Print what was seen."""
        seconds = max(load.seconds for load in self.loads)
        lines = {
            "a new master after (s)": [round(secs, 1) for secs in self.moves],
            "longest pause of its shard (s)": [round(secs, 1) for secs in self.pauses],
            "longest pause of the others (s)": [round(secs, 2) for secs in self.others],
            "events per second": round(sum(load.answered for load in self.loads) / seconds),
            "answers by shard": [dict(load.answers) for load in self.loads],
            **summary(books),
            "lost": lost(books),
        }
        print("\nA Cluster of three shards")
        for name, value in lines.items():
            print(f"  {name:42} {value}")


def _left(shards: Shards) -> dict[str, int]:  # type: ignore[type-arg]
    try:
        return held(shards)
    except RedisError as error:
        # A connection to the old master ends with the first question.
        return {str(error): 1}


@contextmanager
def scene(seed: int) -> Iterator[Scene]:
    with ExitStack() as stack:
        postgres = PostgresServer()
        stack.callback(postgres.close)
        postgres.start()
        cluster = stack.enter_context(RedisCluster())
        moogsoft = stack.enter_context(Moogsoft())
        env = {
            **cluster.environment,
            "REDIS_SHARDS": str(SHARDS),
            "REDIS_WAIT_REPLICAS": "1",
            "DB_HOST": postgres.address,
            "DB_PORT": str(postgres.port),
            "DB_NAME": DATABASE,
            "MOOG_WEBHOOK_URL": moogsoft.url,
            **QUICK,
        }
        appliance = stack.enter_context(Appliance(env))
        appliance.start_and_wait()
        add_rules(postgres, DATABASE, RULES)
        postgres.execute(f"INSERT INTO development_hosts (hostname) VALUES ('{DEVELOPMENT_HOST}')", DATABASE)
        reload_rules(appliance)
        settings = Settings.model_validate(
            {name.lower(): value for name, value in env.items() if name.lower() in Settings.model_fields}
        )
        loads = [
            stack.enter_context(
                Load(
                    appliance.url(),
                    appliance.api_key,
                    batches_per_sec=6,
                    singles_per_sec=34,
                    senders=12,
                    seed=seed + shard,
                    first=shard * FIRST_OF_NEXT_LOAD,
                    only=lambda host, shard=shard: shard_of(host, SHARDS) == shard,  # type: ignore[misc]
                )
            )
            for shard in range(SHARDS)
        ]
        wait_until(lambda: all(load.answered_at for load in loads), 20, "every shard takes events")
        yield Scene(cluster, appliance, settings, postgres, moogsoft, loads)


def check(play: Scene, children: dict[str, int]) -> None:
    books = play.finish()
    play.report(books)
    assert faults(books) == []
    assert all(load.refused == [] for load in play.loads)
    # While a master is away the others answer as if nothing had happened.
    assert max(play.others) < 1.5
    assert play.appliance.children() == children, "nobody had to be restarted"


@pytest.mark.ha
@pytest.mark.timeout(900)
def test_nothing_answered_is_lost_when_each_master_is_killed_twice() -> None:
    with scene(1) as play:
        children = play.appliance.children()
        for shard in (1, 2, 0, 1, 2, 0):
            play.kill_master(shard)
            wait_until(play.cluster.whole, MOVE_SECS, "the cluster is whole")
        check(play, children)


def test_nothing_answered_is_lost_when_a_master_is_killed() -> None:
    with scene(101) as play:
        children = play.appliance.children()
        used = {play.master(shard) for shard in range(SHARDS)}
        assert len(used) == SHARDS, "every master has work"
        play.kill_master(1)
        check(play, children)
