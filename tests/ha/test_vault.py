"""An appliance under load whose Vault gives short tokens, goes away, comes back, and has its secrets rotated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import requests

from tests.support.ledger import Books, faults, gather, held, summary
from tests.support.load import Load
from tests.support.on_vault import DATABASE, DB_USER, REDIS_USER, WORKERS, OnVault, deploy
from tests.support.rotation import Operator, watch_token
from tests.support.waiting import wait_until

VALUES = {
    "INGEST_API_KEY": "ingest-1",
    "WEBUI_API_KEY": "webui-1",
    "MOOG_API_KEY": "moog-1",
    "REDIS_PASS": "redis-1",
    "DB_PASS": "database-1",
}
ANSWER_SECS = 30.0
DRAIN_SECS = 60.0
LOGIN = "POST auth/approle/login 200"
RENEWAL = "POST auth/token/renew-self 200"


@dataclass(frozen=True)
class Plan:
    """How long the load goes on, how long a token lives and may be renewed, how long Vault is away.

    `recovery_secs`: Vault is looked for again after a pause that grows up to this.
    """

    load_secs: float
    ttl_secs: int
    max_ttl_secs: int
    away_secs: float
    recovery_secs: float


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def go_without_vault(field: OnVault, plan: Plan, operator: Operator) -> None:
    """It goes away and comes back: health and metrics tell, the ingestor is as well as ever."""
    field.vault.stop()
    gone_at = time.monotonic()
    wait_until(lambda: field.metric("mutt_vault_up") == 0, plan.ttl_secs + 15, "the metric tells")
    wait_until(lambda: field.webui_health().status_code == 503, 5, "health tells")
    told = field.webui_health().json()["processes"]["webui:0"]["components"]["secrets"]["detail"]
    assert "version 3 of the secrets stays in use" in told
    assert requests.get(field.appliance.url("/health"), timeout=10).status_code == 200
    time.sleep(max(0.0, plan.away_secs - (time.monotonic() - gone_at)))
    field.vault.start()
    wait_until(lambda: operator.ask()["source"]["ok"], plan.recovery_secs, "it finds Vault again")


def close_the_books(field: OnVault, load: Load) -> Books:
    """Wait until nothing moves, and read the ledger."""
    with field.redis.client() as client:
        wait_until(lambda: not held(client), DRAIN_SECS, f"queues are empty: {held(client)}")
        return gather(load.offered, client, field.postgres, DATABASE, field.moogsoft)


def report(title: str, **figures: object) -> None:
    """Print what was seen."""
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name:42} {value}")


def live_through(field: OnVault, plan: Plan) -> None:
    """Load, a token that is watched, three rotations, Vault away; then the books are gone through."""
    appliance, vault, before = field.appliance, field.vault, field.pids()
    operator = Operator(appliance, vault, dict(VALUES), patience_secs=plan.ttl_secs + 10)
    calls_before = len(vault.calls)
    started = time.monotonic()
    with Load(appliance.url(), VALUES["INGEST_API_KEY"]) as load:
        operator.rotate_ingest_key(load, "ingest-2")
        watch_token(operator, plan.max_ttl_secs)
        go_without_vault(field, plan, operator)
        operator.rotate_moog_key(field.moogsoft, "moog-2", forwarders=2)
        operator.rotate_webui_key("webui-2")
        watch_token(operator, max(0.0, plan.load_secs - (time.monotonic() - started)))
        load.finish(ANSWER_SECS)
    books = close_the_books(field, load)
    logins, renewals = (vault.calls[calls_before:].count(call) for call in (LOGIN, RENEWAL))
    report(
        "Vault under load",
        seconds=round(load.seconds),
        answers=dict(load.answers),
        logins=logins,
        renewals=renewals,
        **summary(books),
    )
    assert faults(books) == []
    assert (load.refused, books.dead) == ([], [])
    assert set(load.answers) == {"200"}
    # Beyond max_ttl several times, with renewals between: neither a login each time nor one for ever. A token
    # is replaced when a renewal gives it less than at first, which is a life (and a second, as Vault counts
    # whole ones) before max_ttl.
    assert load.seconds / plan.max_ttl_secs - 1 <= logins
    assert logins <= load.seconds / (plan.max_ttl_secs - plan.ttl_secs - 1) + 2
    assert renewals > logins
    assert len(vault.versions) == 7
    wait_until(lambda: field.metric("mutt_secrets_version") == 7, 10, "the version is told")
    assert 0 < field.metric("mutt_vault_token_ttl_seconds") <= plan.ttl_secs
    assert field.pids() == before
    assert {received.headers["x-api-key"] for received in field.moogsoft.accepted()} == {"moog-1", "moog-2"}
    assert appliance.terminate() == 0


@pytest.mark.ha
@pytest.mark.timeout(900)
def test_ten_minutes_with_tokens_of_a_minute_and_two_minutes_without_vault(stack: ExitStack) -> None:
    plan = Plan(load_secs=600, ttl_secs=60, max_ttl_secs=180, away_secs=120, recovery_secs=35)
    live_through(deploy(stack, VALUES, ttl_secs=60, max_ttl_secs=180, env=WORKERS), plan)


def test_short_tokens_vault_away_and_every_key_rotated_under_load(stack: ExitStack) -> None:
    plan = Plan(load_secs=10, ttl_secs=2, max_ttl_secs=5, away_secs=3, recovery_secs=10)
    live_through(deploy(stack, VALUES, ttl_secs=2, max_ttl_secs=5, env=WORKERS), plan)


@pytest.mark.ha
def test_the_passwords_of_the_stores_are_rotated_under_load(stack: ExitStack) -> None:
    """The stores take one password, then the other, and close what the old one opened."""
    field = deploy(stack, VALUES, env={**WORKERS, "VAULT_RENEW_CHECK_INTERVAL": "1"})
    operator = Operator(field.appliance, field.vault, dict(VALUES), patience_secs=10)
    before = field.pids()

    def redis_takes(value: str, old: str) -> None:
        with field.redis.client() as client:
            client.execute_command("ACL", "SETUSER", REDIS_USER, f">{value}", f"<{old}")
            client.execute_command("CLIENT", "KILL", "USER", REDIS_USER)

    def postgres_takes(value: str, _: str) -> None:
        field.postgres.execute(f"ALTER ROLE {DB_USER} PASSWORD '{value}'")
        field.postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{DB_USER}'"
        )

    with Load(field.appliance.url(), VALUES["INGEST_API_KEY"]) as load:
        for name, take in (("REDIS_PASS", redis_takes), ("DB_PASS", postgres_takes)):
            old, new = VALUES[name], f"{name}-2"
            reloads = len(field.appliance.logged("Cache reload complete"))
            operator.announce(name, new)
            field.appliance.wait_for_log("Cache reload complete", count=reloads + 2)
            take(new, old)
            wait_until(lambda: operator.check(name).done, 30, f"every process has the next {name}")  # noqa: B023
            operator.promote(name)
        load.finish(ANSWER_SECS)
    books = close_the_books(field, load)
    report("Passwords of the stores", answers=dict(load.answers), **summary(books))
    assert faults(books) == []
    assert load.refused == []
    assert field.pids() == before
    assert field.appliance.terminate() == 0
