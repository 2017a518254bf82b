"""An appliance under load whose Vault gives short tokens, goes away, comes back, and has its secrets rotated."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.support.appliance import Appliance
from tests.support.ledger import faults, gather, held, summary
from tests.support.load import DEVELOPMENT_HOST, RULES, Load
from tests.support.moogsoft import Moogsoft
from tests.support.rotation import Operator, watch_token
from tests.support.rules import add_rules, reload_rules
from tests.support.servers import PostgresServer, RedisServer
from tests.support.vault import VaultStub, variables
from tests.support.waiting import wait_until

DATABASE = "mutt_db"
VALUES = {"INGEST_API_KEY": "ingest-1", "WEBUI_API_KEY": "webui-1", "MOOG_API_KEY": "moog-1"}
WORKERS = {"INGESTOR_WORKERS": "2", "ALERTER_WORKERS": "2", "FORWARDER_WORKERS": "2"}
ANSWER_SECS = 30.0
DRAIN_SECS = 60.0
LOGIN = "POST auth/approle/login 200"
RENEWAL = "POST auth/token/renew-self 200"


@dataclass(frozen=True)
class Plan:
    """How long the load goes on, how long a token lives and may be renewed, how long Vault is away."""

    load_secs: float
    ttl_secs: int
    max_ttl_secs: int
    away_secs: float
    # Vault is looked for again after a pause that grows up to this.
    recovery_secs: float


@dataclass
class Field:
    """An appliance with two of each, its stores, Moogsoft, and Vault."""

    appliance: Appliance
    redis: RedisServer
    postgres: PostgresServer
    moogsoft: Moogsoft
    vault: VaultStub

    def metric(self, name: str) -> float:
        """A value of the web UI's /metrics."""
        text = requests.get(self.appliance.url("/metrics", "SERVER_PORT_WEBUI"), timeout=10).text
        match = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert match, text
        return float(match.group(1))

    def webui_health(self) -> requests.Response:
        """/health of the web UI."""
        return requests.get(self.appliance.url("/health", "SERVER_PORT_WEBUI"), timeout=10)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def deploy(stack: ExitStack, plan: Plan) -> Field:
    redis_server, postgres = RedisServer(), PostgresServer()
    for server in (redis_server, postgres):
        stack.callback(server.close)
        server.start()
    moogsoft = stack.enter_context(Moogsoft(api_key=VALUES["MOOG_API_KEY"]))
    vault = stack.enter_context(VaultStub())
    vault.put(VALUES)
    appliance = stack.enter_context(Appliance())
    access = vault.access(plan.ttl_secs, plan.max_ttl_secs)
    appliance.env |= {
        "REDIS_HOST": redis_server.address,
        "DB_HOST": postgres.address,
        "DB_PORT": str(postgres.port),
        "DB_NAME": DATABASE,
        "MOOG_WEBHOOK_URL": moogsoft.url,
        "MOOG_RATE_LIMIT": "2000",
        **WORKERS,
        **variables(vault, access, Path(appliance.folder)),
    }
    appliance.start_and_wait()
    add_rules(postgres, DATABASE, RULES)
    postgres.execute(f"INSERT INTO development_hosts (hostname) VALUES ('{DEVELOPMENT_HOST}')", DATABASE)
    reload_rules(appliance, alerters=2)
    return Field(appliance, redis_server, postgres, moogsoft, vault)


def live_through(field: Field, plan: Plan) -> None:
    """Load, a token that is watched, three rotations, Vault away; then the books are gone through."""
    appliance, vault = field.appliance, field.vault
    before = appliance.children()
    operator = Operator(appliance, vault, dict(VALUES), patience_secs=plan.ttl_secs + 10)
    started = time.monotonic()
    with Load(appliance.url(), VALUES["INGEST_API_KEY"]) as load:
        operator.rotate_ingest_key(load, "ingest-2")
        watch_token(operator, plan.max_ttl_secs)
        vault.stop()
        gone_at = time.monotonic()
        wait_until(lambda: field.metric("mutt_vault_up") == 0, plan.ttl_secs + 15, "the metric tells")
        wait_until(lambda: field.webui_health().status_code == 503, 5, "health tells")
        told = field.webui_health().json()["processes"]["webui:0"]["components"]["secrets"]["detail"]
        assert "version 3 of the secrets stays in use" in told
        assert requests.get(appliance.url("/health"), timeout=10).status_code == 200
        time.sleep(max(0.0, plan.away_secs - (time.monotonic() - gone_at)))
        vault.start()
        wait_until(lambda: operator.ask()["source"]["ok"], plan.recovery_secs, "it finds Vault again")
        operator.rotate_moog_key(field.moogsoft, "moog-2", forwarders=2)
        operator.rotate_webui_key("webui-2")
        watch_token(operator, max(0.0, plan.load_secs - (time.monotonic() - started)))
        load.finish(ANSWER_SECS)
    with field.redis.client() as client:
        wait_until(lambda: not held(client), DRAIN_SECS, f"queues are empty: {held(client)}")
        books = gather(load.offered, client, field.postgres, DATABASE, field.moogsoft)

    logins, renewals = vault.count(LOGIN), vault.count(RENEWAL)
    lines = {
        "seconds": round(load.seconds),
        "answers": dict(load.answers),
        "logins": logins,
        "renewals": renewals,
        "mutt_secrets_version": field.metric("mutt_secrets_version"),
        **summary(books),
    }
    print("\nVault under load")
    for name, value in lines.items():
        print(f"  {name:42} {value}")
    assert faults(books) == []
    assert load.refused == []
    assert books.dead == []
    assert set(load.answers) == {"200"}
    # Beyond max_ttl several times, with renewals between: neither a login each time nor one for ever.
    assert load.seconds / plan.max_ttl_secs - 1 <= logins <= load.seconds / plan.ttl_secs
    assert renewals > logins
    assert len(vault.versions) == 7
    wait_until(lambda: field.metric("mutt_secrets_version") == 7, 10, "the version is told")
    assert 0 < field.metric("mutt_vault_token_ttl_seconds") <= plan.ttl_secs
    after = appliance.children()
    assert {name: pid for name, pid in after.items() if name != "migrator:0"} == {
        name: pid for name, pid in before.items() if name != "migrator:0"
    }
    keys = {received.headers["x-api-key"] for received in field.moogsoft.accepted()}
    assert keys == {"moog-1", "moog-2"}
    assert appliance.terminate() == 0


@pytest.mark.ha
@pytest.mark.timeout(900)
def test_ten_minutes_with_tokens_of_a_minute_and_two_minutes_without_vault(stack: ExitStack) -> None:
    plan = Plan(load_secs=600, ttl_secs=60, max_ttl_secs=180, away_secs=120, recovery_secs=35)
    live_through(deploy(stack, plan), plan)


def test_short_tokens_vault_away_and_every_key_rotated_under_load(stack: ExitStack) -> None:
    plan = Plan(load_secs=10, ttl_secs=2, max_ttl_secs=4, away_secs=3, recovery_secs=10)
    live_through(deploy(stack, plan), plan)
