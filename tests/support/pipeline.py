"""Appliances on stores that a test breaks: load, and the books at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.support.appliance import Appliance
from tests.support.ledger import Books, gather, held
from tests.support.load import DEVELOPMENT_HOST, RULES, Load
from tests.support.moogsoft import Moogsoft
from tests.support.rules import add_rules, reload_rules
from tests.support.servers import PostgresServer, RedisServer
from tests.support.waiting import wait_until

DATABASE = "mutt_db"
DRAIN_SECS = 90.0
ANSWER_SECS = 30.0
# So that what dead workers held comes back within a test.
QUICK: Mapping[str, str] = {
    "DB_NAME": DATABASE,
    "DB_CONNECT_TIMEOUT": "2",
    "DB_STATEMENT_TIMEOUT": "3",
    "ALERTER_HEARTBEAT_INTERVAL": "1",
    "ALERTER_JANITOR_TIMEOUT": "3",
    "MOOG_HEARTBEAT_INTERVAL": "1",
    "MOOG_JANITOR_TIMEOUT": "3",
    "MOOG_RETRY_BASE_DELAY": "0.2",
    "MOOG_RATE_LIMIT": "2000",
    "RESTART_BACKOFF_BASE": "0.1",
    "RESTART_BACKOFF_MAX": "1",
    "UNHANDLED_THRESHOLD": "400",
}


@dataclass
class Pipeline:
    """One or more appliances with their Redis and their receiver. PostgreSQL is the test's business."""

    redis: RedisServer
    moogsoft: Moogsoft
    appliances: list[Appliance] = field(default_factory=list)

    @property
    def first(self) -> Appliance:
        """The only appliance, or one of them."""
        return self.appliances[0]

    def begin(self, postgres: PostgresServer) -> None:
        """Rules and a development host into the database, and into effect in every appliance."""
        add_rules(postgres, DATABASE, RULES)
        postgres.execute(f"INSERT INTO development_hosts (hostname) VALUES ('{DEVELOPMENT_HOST}')", DATABASE)
        for appliance in self.appliances:
            reload_rules(appliance)

    def books(self, loads: Iterable[Load], postgres: PostgresServer) -> Books:
        """Wait until nothing moves any more; then what was offered, and what became of it."""
        with self.redis.client() as client:
            wait_until(lambda: not held(client), DRAIN_SECS, f"queues are empty: {held(client)}", 0.25)
            offered = [each for load in loads for each in load.offered]
            return gather(offered, client, postgres, DATABASE, self.moogsoft)


def run_on(load: Load, events: int) -> None:
    """Wait until so many more events were answered."""
    wanted = load.answered + events
    wait_until(lambda: load.answered >= wanted, ANSWER_SECS, f"{events} more events are answered")
