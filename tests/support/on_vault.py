"""An appliance with its own stores, a Moogsoft that wants a key, and all its secrets in Vault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import requests

from tests.support.appliance import Appliance
from tests.support.load import DEVELOPMENT_HOST, RULES
from tests.support.moogsoft import Moogsoft
from tests.support.rules import add_rules, reload_rules
from tests.support.servers import PostgresServer, RedisServer, server_folder
from tests.support.vault import VaultStub, variables

DATABASE = "mutt_db"
REDIS_USER, DB_USER = "mutt", "mutt_app"
WORKERS = {"INGESTOR_WORKERS": "2", "ALERTER_WORKERS": "2", "FORWARDER_WORKERS": "2"}


@dataclass
class OnVault:
    """The appliance and what it talks to. Its stores ask REDIS_USER and DB_USER for their passwords."""

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

    def pids(self) -> dict[str, int]:
        """Pids of the processes that work; the migrator has ended."""
        return {name: pid for name, pid in self.appliance.children().items() if name != "migrator:0"}


def deploy(
    stack: ExitStack,
    values: Mapping[str, str],
    *,
    ttl_secs: int = 3600,
    max_ttl_secs: int = 7200,
    env: Mapping[str, str] | None = None,
) -> OnVault:
    """Start all of it, with `values` in Vault and the load's rules in force; `stack` ends it."""
    redis_server = RedisServer(
        options=("--user", REDIS_USER, "on", f">{values['REDIS_PASS']}", "~*", "&*", "+@all")
    )
    stack.callback(redis_server.close)
    postgres = _postgres_with_passwords()
    stack.callback(postgres.close)
    for server in (redis_server, postgres):
        server.start()
    postgres.execute(f"CREATE ROLE {DB_USER} LOGIN PASSWORD '{values['DB_PASS']}'")
    postgres.execute(f"CREATE DATABASE {DATABASE} OWNER {DB_USER}")
    moogsoft = stack.enter_context(Moogsoft(api_key=values["MOOG_API_KEY"]))
    vault = stack.enter_context(VaultStub())
    vault.put(values)
    appliance = stack.enter_context(Appliance(env))
    appliance.env |= {
        "REDIS_HOST": redis_server.address,
        "REDIS_USER": REDIS_USER,
        "DB_HOST": postgres.address,
        "DB_PORT": str(postgres.port),
        "DB_NAME": DATABASE,
        "DB_USER": DB_USER,
        "MOOG_WEBHOOK_URL": moogsoft.url,
        "MOOG_RATE_LIMIT": "2000",
        **variables(vault, vault.access(ttl_secs, max_ttl_secs), appliance.folder),
    }
    appliance.start_and_wait()
    add_rules(postgres, DATABASE, RULES)
    postgres.execute(f"INSERT INTO development_hosts (hostname) VALUES ('{DEVELOPMENT_HOST}')", DATABASE)
    reload_rules(appliance, alerters=int(appliance.env.get("ALERTER_WORKERS", "1")))
    return OnVault(appliance, redis_server, postgres, moogsoft, vault)


def _postgres_with_passwords() -> PostgresServer:
    """One that wants a password from DB_USER; the test goes in without."""
    folder = server_folder()
    rules = folder / "hba.conf"
    rules.write_text(f"local all {DB_USER} scram-sha-256\nlocal all mutt_user trust\n")
    rules.chmod(0o644)
    return PostgresServer(folder, options=("-c", f"hba_file={rules}"))
