"""Backup and restore on real stores: all of it, nothing, and what is in the way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import pytest
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.backup import restoring
from mutt_appliance.backup.contents import HISTORY, KEPT, TABLES, BackupError
from mutt_appliance.backup.making import make_backup, table_rows
from mutt_appliance.backup.restoring import Backup, Plan, open_backup, restore_backup
from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.store.rule_editing import all_rules, create_rule, delete_rule
from tests.backup.conftest import Fill
from tests.backup.test_files import members_of, rewrite
from tests.support.rules import rule

State = dict[str, Any]
Restore = Callable[..., Plan]
EMPTY = "alert_rules, development_hosts, device_teams, api_keys, config_audit_log, audit_archives, event_audit_log"


@pytest.fixture
def state(conn: Connection, client: redis.Redis, keys: KeySpace) -> Callable[[], State]:
    """Everything that a backup is about, byte for byte."""

    def read() -> State:
        found: State = {"settings": client.hgetall(keys.config)}
        with conn.cursor() as cursor:
            for name, key in (
                *((table.name, table.key) for table in TABLES),
                *((each, "id") for each in KEPT),
            ):
                cursor.execute(table_rows(name, key))
                found[name] = [row for (row,) in cursor.fetchall()]
            cursor.execute(
                "SELECT row_to_json(e)::text FROM event_audit_log AS e ORDER BY received_at, event_id"
            )
            found["audit"] = [row for (row,) in cursor.fetchall()]
        conn.commit()
        return found

    return read


@pytest.fixture
def backup(conn: Connection, client: redis.Redis, keys: KeySpace, fill: Fill, tmp_path: Path) -> Backup:
    """A backup with the audit log of a filled appliance."""
    fill()
    path = tmp_path / "mutt.backup"
    with path.open("wb") as stream:
        make_backup(conn, client, keys, stream, with_audit=True)
    return open_backup(path)


@pytest.fixture
def wipe(conn: Connection, client: redis.Redis) -> Callable[[], None]:
    """Makes the appliance a new, empty one."""

    def work() -> None:
        with conn.cursor() as cursor:
            cursor.execute(f"TRUNCATE {EMPTY} RESTART IDENTITY")
        conn.commit()
        client.flushall()

    return work


@pytest.fixture
def restore(conn: Connection, client: redis.Redis, keys: KeySpace, settings: Settings) -> Restore:
    def work(backup: Backup, *, replace: bool = False, dry_run: bool = False) -> Plan:
        return restore_backup(conn, client, keys, settings, backup, "test", replace=replace, dry_run=dry_run)

    return work


def test_an_empty_appliance_becomes_what_was_backed_up(
    backup: Backup, state: Callable[[], State], wipe: Callable[[], None], restore: Restore
) -> None:
    before = state()
    wipe()
    plan = restore(backup)
    assert plan.blockers == []
    after = state()
    last = json.loads(after[HISTORY].pop())
    assert after == before
    assert (last["action"], last["entity"], last["entity_id"]) == ("restore", "backup", "mutt.backup")
    assert (plan.audit_added, plan.history_added) == (5, len(before[HISTORY]))


def test_numbers_of_rules_go_on_behind_those_of_the_backup(
    backup: Backup, wipe: Callable[[], None], restore: Restore, conn: Connection
) -> None:
    highest = max(each.id for each in all_rules(conn))
    wipe()
    restore(backup)
    assert create_rule(conn, rule("new"), "anna").id > highest


def test_numbers_that_this_appliance_gave_before_are_not_given_again(
    backup: Backup, restore: Restore, conn: Connection
) -> None:
    given = create_rule(conn, rule("for a moment"), "anna").id
    delete_rule(conn, given, "anna")
    conn.commit()
    restore(backup, replace=True)
    assert create_rule(conn, rule("new"), "anna").id > given


def test_what_is_there_is_not_touched_without_replace(
    backup: Backup, state: Callable[[], State], restore: Restore
) -> None:
    before = state()
    plan = restore(backup)
    assert plan.blockers == [
        "alert_rules has 5 rows",
        "development_hosts has 2 rows",
        "device_teams has 1 rows",
        "api_keys has 1 rows",
        "dynamic settings were changed",
    ]
    assert state() == before


def test_replace_takes_back_each_change_and_notes_it(
    backup: Backup,
    state: Callable[[], State],
    restore: Restore,
    conn: Connection,
    client: redis.Redis,
    keys: KeySpace,
) -> None:
    before = state()
    rules = all_rules(conn)
    delete_rule(conn, rules[0].id, "mallory")
    with conn.cursor() as cursor:
        cursor.execute(
            "UPDATE alert_rules SET priority = 7, version = version + 1 WHERE id = %s", (rules[1].id,)
        )
        cursor.execute("UPDATE development_hosts SET hostname = 'LAB-1' WHERE hostname = 'Lab-1'")
        cursor.execute(
            "INSERT INTO api_keys (name, role, key_sha256, created_by) VALUES ('m', 'admin', %s, 'm')",
            (b"x" * 32,),
        )
    create_rule(conn, rule("mine"), "mallory")
    conn.commit()
    client.hset(keys.config, "moog_rate_limit", orjson.dumps({"value": 1, "version": 9}))
    client.hset(keys.config, "moog_max_retries", orjson.dumps({"value": 1, "version": 1}))
    history = len(state()[HISTORY])
    plan = restore(backup, replace=True)
    after = state()
    for name in ("alert_rules", "development_hosts", "device_teams", "api_keys", "audit"):
        assert after[name] == before[name], name
    assert {name: json.loads(raw) for name, raw in after["settings"].items()} == {
        b"moog_rate_limit": {"value": 20, "version": 10},
        b"moog_max_retries": {"version": 2},
        b"slo_window_hours": {"version": 2},
    }
    noted = [json.loads(row) for row in after[HISTORY][history:]]
    assert {(each["action"], each["entity"]) for each in noted} == {
        ("restore", entity) for entity in ("alert_rule", "development_host", "api_key", "config", "backup")
    }
    assert plan.history_kept == len(before[HISTORY])
    assert "key_sha256" not in json.dumps(noted)
    (limit,) = (each for each in noted if each["entity_id"] == "moog_rate_limit")
    assert (limit["before"], limit["after"]) == ({"value": 1}, {"value": 20})


def test_a_dry_run_changes_nothing_and_says_all(
    backup: Backup, state: Callable[[], State], wipe: Callable[[], None], restore: Restore, conn: Connection
) -> None:
    wipe()
    before = state()
    plan = restore(backup, dry_run=True)
    assert [len(each.added) for each in plan.tables] == [5, 2, 1, 1]
    assert (plan.audit_rows, plan.history_added > 5) == (5, True)
    assert state() == before


def test_a_fault_in_the_middle_restores_nothing(
    backup: Backup, state: Callable[[], State], wipe: Callable[[], None], restore: Restore, conn: Connection
) -> None:
    wipe()
    before = state()
    teams = [
        json.dumps({**json.loads(line), "team_assignment": ""}) for line in backup.tables["device_teams"]
    ]
    backup.tables = {**backup.tables, "device_teams": teams}
    with pytest.raises(psycopg2.errors.CheckViolation):
        restore(backup)
    conn.rollback()
    assert state() == before


@pytest.mark.parametrize(
    ("answers", "kind"), [(["lost"], RedisError), (["lost", "away"], BackupError)], ids=["once", "for long"]
)
def test_when_redis_fails_nothing_is_restored(
    backup: Backup,
    state: Callable[[], State],
    wipe: Callable[[], None],
    restore: Restore,
    conn: Connection,
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[str],
    kind: type[Exception],
) -> None:
    """The first answer gets lost after the settings were written; whoever can puts them back."""
    wipe()
    before = state()
    put, left = restoring._put, list(answers)

    def failing(*arguments: Any, **options: Any) -> None:
        if left and left[-1] == "away" and len(left) == 1:
            raise RedisError("away")
        put(*arguments, **options)
        if left and left.pop(0) == "lost":
            raise RedisError("no answer")

    monkeypatch.setattr(restoring, "_put", failing)
    with pytest.raises(kind):
        restore(backup)
    conn.rollback()
    if kind is RedisError:
        assert state() == before
    else:
        assert {**state(), "settings": {}} == before


def test_a_commit_that_fails_takes_the_settings_back(
    backup: Backup, state: Callable[[], State], wipe: Callable[[], None], restore: Restore, conn: Connection
) -> None:
    wipe()
    before = state()
    with conn.cursor() as cursor:
        # Looked at when the transaction is committed, as a failing disk would be.
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no room'; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER refusing AFTER INSERT ON alert_rules DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    conn.commit()
    with pytest.raises(psycopg2.Error, match="no room"):
        restore(backup)
    conn.rollback()
    assert state() == before


def test_a_backup_of_an_older_schema_gets_the_defaults_of_the_newer(
    backup: Backup, wipe: Callable[[], None], restore: Restore, conn: Connection, tmp_path: Path
) -> None:
    """As one made before 0003, which knows neither keys nor versions of teams; rows lack what they lacked then."""
    members = members_of(backup.path)
    teams = [json.loads(line) for line in members["device_teams.ndjson"].splitlines()]
    for team in teams:
        del team["version"]
    older = "".join(json.dumps(team) + "\n" for team in teams).encode()
    wipe()
    path = tmp_path / "older"
    rewrite(path, _with_manifest({**members, "device_teams.ndjson": older}, ["0001_configuration_tables"]))
    restore(open_backup(path))
    with conn.cursor() as cursor:
        cursor.execute("SELECT hostname, version FROM device_teams")
        assert cursor.fetchall() == [("core-1", 1)]


def test_a_backup_of_a_newer_schema_is_refused(
    backup: Backup, wipe: Callable[[], None], restore: Restore, tmp_path: Path
) -> None:
    wipe()
    path = tmp_path / "newer"
    rewrite(path, _with_manifest(members_of(backup.path), ["0001_configuration_tables", "0099_later"]))
    with pytest.raises(BackupError, match="0099_later: install that version or a later one"):
        restore(open_backup(path))


def test_settings_that_this_version_does_not_take_are_left_out(
    backup: Backup, wipe: Callable[[], None], restore: Restore, client: redis.Redis, keys: KeySpace
) -> None:
    wipe()
    backup.settings = {
        "gone": {"value": 1, "version": 1},
        "moog_rate_limit": {"value": -5, "version": 1},
        "moog_max_retries": {"value": 3, "version": 1},
    }
    plan = restore(backup)
    assert set(plan.settings.left_out) == {"gone", "moog_rate_limit"}
    assert list(client.hgetall(keys.config)) == [b"moog_max_retries"]


def test_a_setting_that_somebody_stored_by_hand_is_in_nobodys_way(
    conn: Connection, client: redis.Redis, keys: KeySpace, fill: Fill, restore: Restore, tmp_path: Path
) -> None:
    """`redis-cli HSET mutt:config moog_max_retries 7`, which every process leaves out."""
    by_hand: dict[Any, Any] = {
        "moog_max_retries": "7",
        "log_level": '{"value":"DEBUG"}',
        "slo_forwarder_target": "[1]",
    }
    fill()
    client.hset(keys.config, mapping=by_hand)
    path = tmp_path / "by-hand.backup"
    with path.open("wb") as stream:
        make_backup(conn, client, keys, stream, with_audit=False)
    found = open_backup(path)
    assert set(found.settings) == {"moog_rate_limit", "slo_window_hours"}
    assert restore(found, replace=True).blockers == []
    assert restore(found).blockers != []


def test_a_member_of_another_form_is_named(backup: Backup, tmp_path: Path) -> None:
    path = tmp_path / "odd"
    members = {**members_of(backup.path), "api_keys.ndjson": b'{"nam": "x"}\n'}
    rewrite(path, _with_manifest(members, []))
    with pytest.raises(BackupError, match="a member is not of the form it should be"):
        open_backup(path)


def test_no_secret_is_in_it(backup: Backup) -> None:
    whole = b"".join(members_of(backup.path).values())
    for word in (b"INGEST_API_KEY", b"MOOG_API_KEY", b"password"):
        assert word not in whole


def _with_manifest(members: dict[str, bytes], migrations: list[str]) -> dict[str, bytes]:
    """`members` with a manifest that is right about them."""
    document = json.loads(members["manifest.json"])
    document["migrations"] = migrations
    for each in document["members"]:
        content = members[each["name"]]
        each["rows"], each["size_bytes"] = content.count(b"\n"), len(content)
        each["sha256"] = hashlib.sha256(content).hexdigest()
    return {**members, "manifest.json": json.dumps(document).encode()}
