"""Recognisable secrets wherever one is used, an appliance with traffic and trouble, and a search everywhere else."""

from __future__ import annotations

import json
import os
import secrets as random_source
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import requests

from mutt_appliance.config.loading import SECRET_NAMES
from tests.support.appliance import REPOSITORY, Appliance
from tests.support.leaks import database_contents, files, found, processes, redis_contents
from tests.support.moogsoft import Answer
from tests.support.on_vault import DATABASE, OnVault, deploy
from tests.support.waiting import wait_until

EVENT = {"timestamp": "2026-11-24T02:00:00Z", "hostname": "r1", "message": "%LINK-3-UPDOWN: down"}
ANSWER_SECS = 20
# Given by somebody who has no right key; what was wrong may be a secret of something else.
WRONG_NAMES = ("WRONG_INGEST_KEY", "WRONG_WEBUI_KEY")


@dataclass
class Field:
    """A deployment, what it must not tell, and what it said."""

    on: OnVault
    needles: dict[str, str]
    said: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def appliance(self) -> Appliance:
        """The appliance."""
        return self.on.appliance

    def hear(self, place: str, answer: requests.Response) -> requests.Response:
        """Keep an answer with its headers."""
        self.said.append((place, repr(answer.headers).encode() + answer.content))
        return answer

    def ctl(self, *words: str) -> None:
        """Keep what `mutt-ctl` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "mutt_appliance.cli.ctl", *words],
            env=self.appliance.env,
            cwd=REPOSITORY,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.stdout, (words, done.stderr)
        self.said.append((f"mutt-ctl {' '.join(words)}", done.stdout + done.stderr))


@pytest.fixture
def deployed() -> Iterator[Field]:
    needles = {name: random_source.token_hex(16) for name in (*SECRET_NAMES, *WRONG_NAMES)}
    with ExitStack() as stack:
        values = {name: needles[name] for name in SECRET_NAMES}
        on = deploy(
            stack,
            values,
            ttl_secs=3,
            env={"LOG_LEVEL": "DEBUG", "MOOG_RETRY_BASE_DELAY": "0.1", "MOOG_CIRCUIT_FAILURES": "0"},
        )
        secret_id = Path(on.appliance.env["VAULT_SECRET_ID_FILE"]).read_text().strip()
        yield Field(on, {**needles, "SECRET_ID": secret_id.removeprefix("secret-id-")})


def use_it(field: Field, *, with_stores: bool = True) -> None:
    """Events that are taken, refused and wrong; pages and API with the right key, a wrong one and none."""
    url, key = field.appliance.url(), field.needles["INGEST_API_KEY"]
    for place, given, body in (
        ("ingest", key, json.dumps(EVENT)),
        ("ingest, next key", field.needles["INGEST_API_KEY_NEXT"], json.dumps([EVENT] * 20)),
        ("ingest, wrong key", field.needles["WRONG_INGEST_KEY"], json.dumps(EVENT)),
        ("ingest, no JSON", key, "{" * 50),
        ("ingest, no event", key, '{"message": "x"}'),
        ("ingest, something else", key, "[1, null, {}]"),
    ):
        field.hear(place, requests.post(url, body, headers={"X-API-KEY": given}, timeout=ANSWER_SECS))
    site = field.appliance.url("", "SERVER_PORT_WEBUI")
    for name in ("WEBUI_API_KEY", "WEBUI_API_KEY_NEXT", "WRONG_WEBUI_KEY"):
        with requests.Session() as browser:
            entry = browser.post(
                f"{site}/sign-in",
                {"api_key": field.needles[name]},
                timeout=ANSWER_SECS,
                allow_redirects=False,
            )
            # Else the pages below would all be the door.
            if with_stores:
                assert entry.status_code == (401 if name in WRONG_NAMES else 303), entry.text
            field.hear(f"sign-in with {name}", entry)
            for path in (
                "/",
                "/rules",
                "/audit-log",
                "/dead-letters",
                "/config",
                "/processes",
                "/keys",
                "/no",
            ):
                field.hear(f"{path} after {name}", browser.get(site + path, timeout=ANSWER_SECS))
        for path in ("/rules", "/config", "/processes", "/dlq", "/keys", "/audit-logs", "/rules/x", "/no"):
            answer = requests.get(
                f"{site}/api/v1{path}", headers={"X-API-KEY": field.needles[name]}, timeout=ANSWER_SECS
            )
            field.hear(f"API {path} with {name}", answer)
        field.hear(
            f"key {name} in the address",
            requests.get(
                f"{site}/?api_key={field.needles[name]}", timeout=ANSWER_SECS, allow_redirects=False
            ),
        )
    for port in field.appliance.ports:
        for path in ("/health", "/metrics", "/no"):
            field.hear(f"{port}{path}", requests.get(field.appliance.url(path, port), timeout=ANSWER_SECS))


def trouble_it(field: Field) -> None:
    """Moogsoft refuses and fails, stores go away, Vault is sealed, processes are aborted and killed."""
    appliance = field.appliance
    headers = {"X-API-KEY": field.needles["INGEST_API_KEY"]}
    field.on.moogsoft.api_key = "of somebody else"
    requests.post(appliance.url(), json.dumps([EVENT] * 5), headers=headers, timeout=ANSWER_SECS)
    appliance.wait_for_log("attempt failed, the alert is a dead letter", count=5)
    field.on.moogsoft.api_key, field.on.moogsoft.answer = None, lambda _: Answer(503)
    requests.post(appliance.url(), json.dumps([EVENT] * 5), headers=headers, timeout=ANSWER_SECS)
    appliance.wait_for_log("attempt failed", count=5)
    field.on.moogsoft.answer = lambda _: Answer()
    field.on.vault.trouble = "sealed"
    appliance.wait_for_log("vault does not give the secrets")
    for server, event in (
        (field.on.redis, "redis is away, events are refused with 503"),
        (field.on.postgres, "database is away, events wait"),
    ):
        server.stop()
        requests.post(appliance.url(), json.dumps(EVENT), headers=headers, timeout=ANSWER_SECS)
        appliance.wait_for_log(event)
        use_it(field, with_stores=False)
        server.start()
    field.on.vault.trouble = ""
    appliance.wait_for_log("vault gives the secrets again")
    for name, number in (
        ("alerter:0", signal.SIGABRT),
        ("webui:0", signal.SIGABRT),
        ("forwarder:0", signal.SIGKILL),
    ):
        os.kill(appliance.children()[name], number)
    wait_until(
        lambda: {"alerter:0", "webui:0", "forwarder:0"} <= set(appliance.children()) and _well(field),
        40,
        "all is well",
    )


def _well(field: Field) -> bool:
    try:
        return all(
            requests.get(field.appliance.url("/health", port), timeout=ANSWER_SECS).status_code == 200
            for port in field.appliance.ports
        )
    except requests.RequestException:
        return False


def places(field: Field) -> Iterator[tuple[str, bytes]]:
    """Everything that can be looked at."""
    appliance = field.appliance
    yield from files(appliance.folder, [Path(appliance.env["VAULT_SECRET_ID_FILE"])])
    yield from processes([psutil.Process(appliance.pid), *appliance.processes()])
    with field.on.redis.client() as client:
        yield from redis_contents(client)
    yield from database_contents(field.on.postgres, DATABASE)
    yield from field.said


def test_no_secret_is_in_a_log_a_queue_a_process_list_a_page_or_an_answer(deployed: Field) -> None:
    before = {path for path in REPOSITORY.glob("core*") if path.is_file()}
    use_it(deployed)
    trouble_it(deployed)
    use_it(deployed)
    for words in (
        ["status"],
        ["status", "--json"],
        ["doctor", "--json"],
        ["rotate-check"],
        ["rotate-check", "--json"],
    ):
        deployed.ctl(*words)
    for name in ("supervisor", *deployed.appliance.children()):
        deployed.ctl("tail", "-n", "100000", name)
    needles = {
        **deployed.needles,
        **{f"Vault token {n}": t for n, t in enumerate(deployed.on.vault.tokens_given)},
    }
    assert len(needles) > len(deployed.needles)
    seen = list(places(deployed))
    assert {
        kind
        for kind in ("/proc/", "Redis key", "table", "mutt-ctl", "API")
        if any(kind in p for p, _ in seen)
    } == {"/proc/", "Redis key", "table", "mutt-ctl", "API"}
    assert found(needles, seen) == []
    assert {path for path in REPOSITORY.glob("core*") if path.is_file()} == before
    assert_that_it_would_be_found(deployed)


def assert_that_it_would_be_found(field: Field) -> None:
    """One planted in each kind of place is found there and nowhere else."""
    needle = random_source.token_hex(16)
    (Path(field.appliance.env["MUTT_RUNTIME_DIR"]) / "logs" / "planted").write_text(f"password={needle}\n")
    with field.on.redis.client() as client:
        client.rpush("mutt:dlq:moog", json.dumps({"reason": f"refused {needle[:20]}"}))
    field.on.postgres.execute(f"CREATE TABLE planted AS SELECT '{needle}'::text AS note", DATABASE)
    field.said.append(("an answer", f"x{needle[8:]}x".encode()))
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)", needle],
        env={"PLANTED": needle},
        stdout=subprocess.PIPE,
    )
    assert sleeper.stdout is not None
    try:
        sleeper.stdout.readline()
        everywhere = [*places(field), *processes([psutil.Process(sleeper.pid)])]
        where = {
            hit.removeprefix("planted in ").partition(" (")[0]
            for hit in found({"planted": needle}, everywhere)
        }
    finally:
        sleeper.kill()
        sleeper.wait()
        sleeper.stdout.close()
    assert where == {
        f"{field.appliance.env['MUTT_RUNTIME_DIR']}/logs/planted",
        "Redis key mutt:dlq:moog",
        "table public.planted",
        "an answer",
        f"/proc/{sleeper.pid}/environ",
        f"/proc/{sleeper.pid}/cmdline",
    }
