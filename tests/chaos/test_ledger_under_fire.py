"""Nothing that was answered with 2xx is lost or handled twice, whatever is killed, frozen or taken away."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.queueing.shards import blocking_shards
from mutt_appliance.secrets import Secrets
from tests.support.appliance import Appliance
from tests.support.ledger import faults, gather, held, summary
from tests.support.load import DEVELOPMENT_HOST, RULES, Load
from tests.support.moogsoft import Moogsoft, in_turn
from tests.support.rules import add_rules, reload_rules
from tests.support.saboteur import ROLES, Plan, Saboteur
from tests.support.servers import PostgresServer, RedisServer
from tests.support.waiting import wait_until

DATABASE = "mutt_db"
SEED = 20261124
EVENTS_PER_SEC = 1000
ANSWER_SECS = 60.0
DRAIN_SECS = 120.0
UNHANDLED_THRESHOLD = 400
RECEIVER = "200*12,503,200*6,429:1,200*6,404,200*6,hang:3,200*6,reset"
WORKERS = {"INGESTOR_WORKERS": "2", "ALERTER_WORKERS": "2", "FORWARDER_WORKERS": "2"}
QUICK = {
    "ALERTER_HEARTBEAT_INTERVAL": "1",
    "ALERTER_JANITOR_TIMEOUT": "3",
    "MOOG_HEARTBEAT_INTERVAL": "1",
    "MOOG_JANITOR_TIMEOUT": "3",
    "MOOG_WEBHOOK_TIMEOUT": "2",
    "MOOG_RETRY_BASE_DELAY": "0.2",
    "MOOG_RETRY_MAX_DELAY": "2",
    "MOOG_RATE_LIMIT": "2000",
    "RESTART_BACKOFF_BASE": "0.1",
    "RESTART_BACKOFF_MAX": "1",
    "RESTART_FATAL_RETRY": "5",
    "UNHANDLED_THRESHOLD": str(UNHANDLED_THRESHOLD),
}
# Words that only an error nobody foresaw puts into a log.
INTERNAL_ERROR = re.compile(
    r"Traceback|(Assertion|Attribute|Index|Key|Name|Runtime|Type|UnboundLocal|Value)Error|was never retrieved"
    r"|never awaited|Exception ignored|Fatal Python error|dumped core"
)


@dataclass
class Field:
    """The battlefield: an appliance with two of each, its stores, and a receiver that fails in turn."""

    appliance: Appliance
    redis: RedisServer
    postgres: PostgresServer
    moogsoft: Moogsoft
    shards: int = 1


@pytest.fixture(params=[1], ids=["one shard"])
def field(request: pytest.FixtureRequest) -> Iterator[Field]:
    with ExitStack() as stack:
        redis_server, postgres = RedisServer(appendfsync="always"), PostgresServer(durable=True)
        for server in (redis_server, postgres):
            stack.callback(server.close)
            server.start()
        moogsoft = stack.enter_context(Moogsoft(answer=in_turn(RECEIVER)))
        stores = {
            "REDIS_HOST": redis_server.address,
            "DB_HOST": postgres.address,
            "DB_PORT": str(postgres.port),
            "DB_NAME": DATABASE,
            "MOOG_WEBHOOK_URL": moogsoft.url,
        }
        shards = {"REDIS_SHARDS": str(request.param)}
        appliance = stack.enter_context(Appliance({**stores, **WORKERS, **QUICK, **shards}))
        appliance.start_and_wait()
        add_rules(postgres, DATABASE, RULES)
        postgres.execute(f"INSERT INTO development_hosts (hostname) VALUES ('{DEVELOPMENT_HOST}')", DATABASE)
        reload_rules(appliance, alerters=2)
        yield Field(appliance, redis_server, postgres, moogsoft, request.param)


def fight(field: Field, plan: Plan) -> float:
    """Load and sabotage, wait until all is quiet, stop, go through the books; events answered per second."""
    appliance = field.appliance
    saboteur = Saboteur(plan, appliance, field.redis, field.postgres, random.Random(SEED))
    with Load(appliance.url(), appliance.api_key, seed=SEED) as load:
        saboteur.run()
        load.finish(ANSWER_SECS)
    settings = Settings(redis_host=field.redis.address, redis_shards=field.shards)
    shards = blocking_shards(settings, Secrets(), "test")
    wait_until(lambda: not held(shards), DRAIN_SECS, f"queues are empty: {held(shards)}", interval_secs=0.25)
    exit_code = appliance.terminate()
    books = gather(load.offered, shards, field.postgres, DATABASE, field.moogsoft)
    with shards.home.client as client:
        members = {
            key.decode(): client.smembers(key) for key in client.scan_iter("*mutt:processing:*:workers")
        }

    report(plan, load, saboteur, summary(books))
    assert faults(books) == []
    assert load.refused == []
    assert load.answered == len(load.offered)
    assert min(saboteur.kills[role] for role in ROLES) >= plan.kills_per_role
    assert appliance.logged("lease lost, its batch goes to others"), "no alerter was frozen past its lease"
    assert books.triggered, "no meta-alert was due"
    assert {answer.answer.status for answer in field.moogsoft.requests} == {0, 200, 404, 429, 503}
    assert internal_errors(appliance) == []
    assert exit_code == 0
    wait_until(lambda: not appliance.leftovers(), 5, "nothing is left running")
    assert members == {}, "workers that did not sign off"
    return load.answered / load.seconds


def report(plan: Plan, load: Load, saboteur: Saboteur, figures: dict[str, object]) -> None:
    """Print the ledger."""
    lines = {
        "seconds of sabotage": plan.seconds,
        "answered per second": round(load.answered / load.seconds),
        "answers": dict(load.answers),
        "kills": dict(saboteur.kills),
        **figures,
    }
    print("\nThe ledger")
    for name, value in lines.items():
        print(f"  {name:42} {value}")


def internal_errors(appliance: Appliance) -> list[str]:
    """Lines of the log that speak of an error in the program."""
    text = appliance.log_path.read_text(errors="replace")
    return [line[:400] for line in text.splitlines() if INTERNAL_ERROR.search(line)]


@pytest.mark.chaos
@pytest.mark.parametrize("field", [1, 3], ids=["one shard", "three shards"], indirect=True)
def test_nothing_is_lost_in_a_minute_under_fire(field: Field) -> None:
    # The load is a part of what is asked of the long form; the short one only has to add up.
    per_sec = fight(
        field,
        Plan(
            seconds=62,
            kill_every_secs=2,
            kills_per_role=5,
            freezes_at=(5, 50),
            freeze_secs=5,
            postgres_stopped_at=14.5,
            postgres_away_secs=15,
            redis_killed_at=(38.5, 57),
        ),
    )
    assert per_sec >= EVENTS_PER_SEC


def test_nothing_is_lost_in_twenty_seconds_under_fire(field: Field) -> None:
    fight(
        field,
        Plan(
            seconds=20,
            kill_every_secs=1,
            kills_per_role=3,
            freezes_at=(2,),
            freeze_secs=4.5,
            postgres_stopped_at=8.5,
            postgres_away_secs=4,
            redis_killed_at=(16.5,),
        ),
    )
