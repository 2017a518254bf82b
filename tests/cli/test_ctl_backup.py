"""mutt-ctl backup and restore between whole appliances with stores of their own, and on external stores."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from click.testing import CliRunner, Result

from mutt_appliance.cli.ctl import cli
from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import blocking_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.connecting import connect
from mutt_appliance.store.prepare import prepare_database
from mutt_appliance.store.rule_editing import create_rule
from tests.conftest import MakeSettings, Stores
from tests.support.appliance import REPOSITORY, Appliance
from tests.support.line import event
from tests.support.rules import rule
from tests.support.waiting import wait_until

# What the API exports, byte for byte; /keys and the history are not exports, but must come back as well.
EXPORTS = (
    "/rules/export?format=yaml",
    "/rules/export?format=csv",
    "/rules?limit=200",
    "/dev-hosts/export",
    "/dev-hosts",
    "/teams/export",
    "/teams",
    "/config",
    "/keys",
)
Ctl = Callable[..., Result]


class Api:
    """The API of an appliance."""

    def __init__(self, appliance: Appliance, key: str = "") -> None:
        self._url = appliance.url("/api/v1", "SERVER_PORT_WEBUI")
        self._headers = {"X-API-KEY": key or appliance.secret("WEBUI_API_KEY")}

    def __call__(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        answer = requests.request(method, self._url + path, json=body, headers=self._headers, timeout=10)
        assert answer.status_code in (200, 201), (path, answer.status_code, answer.text)
        return answer.content

    def exports(self) -> dict[str, bytes]:
        """Everything that must be the same afterwards."""
        return {path: self("GET", path) for path in EXPORTS}


def run(appliance: Appliance, *words: object, code: int = 0) -> str:
    """mutt or mutt-ctl as a program, as its user runs it."""
    module, *rest = map(str, words)
    done = subprocess.run(
        [sys.executable, "-m", f"mutt_appliance.cli.{module}", *rest],
        env=appliance.env,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def rules_of(appliance: Appliance) -> bytes:
    """What `mutt rules export` writes."""
    path = appliance.folder / "exported.yaml"
    program = "from mutt_appliance.cli.main import main; main()"
    subprocess.run(
        [sys.executable, "-c", program, "rules", "export", str(path)],
        env=appliance.env,
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    return path.read_bytes()


def fill(api: Api) -> str:
    """Something of each kind, with changes and deletions; returns the key that was made."""
    handling = {"prod_handling": "Page_and_ticket", "dev_handling": "Log_only"}
    for number in range(12):
        text = f'%LINK-{number}: "x" \u2028 ü' if number else "%LINK-3-UPDOWN"
        api("POST", "/rules", {"match_string": text, "priority": number, **handling})
    api("POST", "/rules", {"match_type": "oid_prefix", "trap_oid": "1.3.6.1.4", **handling})
    api("PUT", "/rules/2", {"team_assignment": "Kern", "is_active": False})
    requests.delete(api._url + "/rules/3", headers=api._headers, timeout=10)
    api("POST", "/dev-hosts/bulk", {"text": 'Lab-1,"a, note"\nlab-2\n', "dry_run": False})
    api("POST", "/teams/bulk", {"text": "core-1,NETO\nCore-2,Kern\n", "dry_run": False})
    api("PUT", "/config/moog_rate_limit", {"value": 17})
    api("PUT", "/config/unhandled_threshold", {"value": 99})
    api("DELETE", "/config/unhandled_threshold")
    answer = requests.post(
        api._url + "/keys", json={"name": "ci", "role": "viewer"}, headers=api._headers, timeout=10
    )
    return str(answer.json()["key"])


def test_backup_wipe_restore_gives_equal_exports_byte_for_byte(tmp_path: Path) -> None:
    """Both with embedded stores; the second is new and empty, runs while it is restored, and matches at once."""
    file = tmp_path / "mutt.backup.tar.gz"
    with Appliance() as old:
        old.start_and_wait()
        key = fill(Api(old))
        before, rules = Api(old).exports(), rules_of(old)
        assert f"written to {file}" in run(old, "ctl", "backup", file)
        assert old.terminate() == 0
        message = run(old, "ctl", "backup", tmp_path / "later", code=1)
        assert "is the appliance running? It runs this" in message
    with Appliance() as new:
        new.start_and_wait()
        assert Api(new).exports() != before
        run(new, "ctl", "restore", file, "--dry-run")
        assert "restored" in run(new, "ctl", "restore", file)
        after = Api(new).exports()
        assert {path for path in EXPORTS if after[path] != before[path]} == set()
        assert rules_of(new) == rules
        assert Api(new, key)("GET", "/rules?limit=1")
        new.wait_for_log("dynamic settings in force", moog_rate_limit=17)
        _send(new)
        wait_until(lambda: b"%LINK-3-UPDOWN" in Api(new)("GET", "/audit-logs"), 15, "the rules are in force")
        assert "alert_rules has" in run(new, "ctl", "restore", file, code=1)
        assert new.terminate() == 0


def _send(appliance: Appliance) -> None:
    request = urllib.request.Request(  # noqa: S310
        appliance.url(), data=json.dumps(event()).encode(), headers={"X-API-KEY": appliance.api_key}
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    made = make_settings()
    prepare_database(made, Secrets(), "test", patience_secs=20, stop=threading.Event())
    return made


@pytest.fixture
def ctl(settings: Settings) -> Ctl:
    names = ("redis_host", "db_host", "db_port", "db_name", "mutt_runtime_dir", "mutt_secrets_file")
    env = {name.upper(): str(getattr(settings, name)) for name in names}

    def run_here(*words: object, code: int = 0, **more: str) -> Result:
        all_env = {**env, "FORWARDER_WORKERS": "0", "MUTT_ENV_FILE": "/dev/null", **more}
        result = CliRunner().invoke(cli, list(map(str, words)), env=all_env)
        assert result.exit_code == code, result.output
        return result

    return run_here


def add(settings: Settings, *texts: str) -> None:
    with closing(connect(settings, Secrets(), "test")) as conn:
        for text in texts:
            create_rule(conn, rule(text), "anna")
        conn.commit()


@pytest.fixture
def listener(settings: Settings, client: redis.Redis) -> Iterator[redis.client.PubSub]:
    """Hears what alerters would hear."""
    with blocking_client(settings, Secrets(), "listener") as heard, heard.pubsub() as subscription:
        subscription.subscribe(KeySpace(settings).changes)
        wait_until(lambda: subscription.get_message(timeout=1), 5, "subscribed")
        yield subscription


def test_it_works_on_external_stores_without_an_appliance(
    ctl: Ctl, settings: Settings, tmp_path: Path
) -> None:
    add(settings, "a", "b")
    file = tmp_path / "b.tar.gz"
    output = ctl("backup", file).output
    assert "2 alert_rules.ndjson" in output
    assert file.stat().st_mode & 0o777 == 0o600
    add(settings, "c")
    refused = ctl("restore", file, code=1).output
    assert "not restored, for alert_rules has 3 rows: --replace makes them those of" in refused
    assert "- alert_rule 3 ('c')" in refused
    shown = ctl("restore", file, "--replace", "--dry-run").output
    assert "alert_rules: 0 added, 0 changed, 1 removed, 2 as they were" in shown
    assert "nothing was changed (--dry-run)" in shown
    assert "restored" in ctl("restore", file, "--replace").output
    assert "0 added, 0 changed, 0 removed, 2 as they were" in ctl("restore", file, "--replace").output


def test_a_file_is_not_overwritten_by_mistake(ctl: Ctl, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    file.write_text("precious")
    assert f"{file}: is there already" in ctl("backup", file, code=1).output
    assert file.read_text() == "precious"
    ctl("backup", file, "--overwrite")
    assert tarfile.is_tarfile(io.BytesIO(file.read_bytes()))


def test_alerters_hear_of_it(
    ctl: Ctl, settings: Settings, tmp_path: Path, listener: redis.client.PubSub
) -> None:
    file = tmp_path / "b.tar.gz"
    ctl("backup", file)
    ctl("restore", file)
    heard = [wait_until(lambda: listener.get_message(timeout=1), 5, "a word")["data"] for _ in range(2)]
    assert heard == [b"rules", b"config"]


def test_what_is_no_backup_is_named(ctl: Ctl, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("something")
    assert f"Error: {file}: cannot be read as a backup" in ctl("restore", file, code=1).output


def test_without_a_schema_there_is_a_message(
    ctl: Ctl, tmp_path: Path, settings: Settings, stores: Stores
) -> None:
    stores.postgres.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", settings.db_name)
    file = tmp_path / "x"
    assert "the database has no schema of MUTT" in ctl("backup", file, code=1).output
    assert list(tmp_path.iterdir()) == []


def test_without_a_store_there_is_a_message_and_no_file(ctl: Ctl, tmp_path: Path, stores: Stores) -> None:
    folder = tmp_path / "for-backups"
    folder.mkdir()
    for server, words in ((stores.postgres, "PostgreSQL at"), (stores.redis, "Redis at")):
        server.stop()
        try:
            output = ctl("backup", folder / "b", code=1).output
        finally:
            server.start()
        assert words in output
        assert "Traceback" not in output
        assert list(folder.iterdir()) == []


def test_settings_that_are_switched_off_are_restored_and_it_is_said(
    ctl: Ctl, settings: Settings, client: redis.Redis, tmp_path: Path
) -> None:
    file = tmp_path / "b.tar.gz"
    client.hset(KeySpace(settings).config, "moog_rate_limit", '{"value":5,"version":1}')
    ctl("backup", file)
    client.flushall()
    output = ctl("restore", file, DYNAMIC_CONFIG_ENABLED="false").output
    assert "~ moog_rate_limit: 'its default' -> 5" in output
    assert "DYNAMIC_CONFIG_ENABLED=false: dynamic settings have no effect" in output
    assert client.hgetall(KeySpace(settings).config) == {b"moog_rate_limit": b'{"value":5,"version":1}'}
