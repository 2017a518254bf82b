"""`mutt rules` and `mutt migrate` as a user runs them, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mutt_appliance.cli.main import cli
from mutt_appliance.config import Settings
from mutt_appliance.resources import resource_folder
from tests.conftest import Stores

RULES = """\
rules:
- match_string: '%LINK-3-UPDOWN'
  priority: 20
  prod_handling: Page_and_ticket
  dev_handling: Ticket_only
  team_assignment: NETO
- trap_oid: 1.3.6.1.6.3.1.1.5.3
  match_type: oid_prefix
  prod_handling: Ticket_only
  dev_handling: Log_only
  description: linkDown
"""
Run = Callable[..., Result]


@pytest.fixture
def mutt(make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `mutt …` with an environment that names this test's database."""
    settings = make_settings()
    env_file = tmp_path / "mutt.env"
    values = {
        "REDIS_HOST": settings.redis_host,
        "DB_HOST": settings.db_host,
        "DB_PORT": settings.db_port,
        "DB_NAME": settings.db_name,
        "FORWARDER_WORKERS": 0,
        "MUTT_RUNTIME_DIR": settings.mutt_runtime_dir,
        "MUTT_DATA_DIR": settings.mutt_data_dir,
        "MUTT_SECRETS_FILE": settings.mutt_secrets_file,
    }
    env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    def run(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, ["--env-file", str(env_file), *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def rules_file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_migrate_tells_what_it_does_and_can_be_run_again(mutt: Run) -> None:
    first = mutt("migrate").output
    assert "migration 0001_configuration_tables applied\n" in first
    assert "partitions: event_audit_log_" in first
    count = len(list(resource_folder("sql").glob("*.sql")))
    assert f"is up to date ({count} migrations applied)" in first
    assert "is up to date (no migrations applied)" in mutt("migrate").output


def test_migrate_without_a_database_ends_with_a_message(mutt: Run, stores: Stores) -> None:
    stores.postgres.stop()
    try:
        output = mutt("migrate", "--wait", "0.5", code=1).output
    finally:
        stores.postgres.start()
    assert "Error: PostgreSQL at" in output
    assert "Traceback" not in output


def test_load_list_export_and_load_again(mutt: Run, rules_file: Path, tmp_path: Path) -> None:
    mutt("migrate")
    assert "rules: 2 added, 0 changed, 0 deleted, 0 as they were" in mutt("rules", "load", rules_file).output
    listed = mutt("rules", "list").output.splitlines()
    assert listed[1].split() == [
        *("1", "20", "yes", "contains", "Page_and_ticket/Ticket_only", "NETO", "%LINK-3-UPDOWN")
    ]
    assert listed[2].split()[-1] == "1.3.6.1.6.3.1.1.5.3"
    exported = tmp_path / "exported.yaml"
    assert f"2 rules written to {exported}" in mutt("rules", "export", exported).output
    assert mutt("rules", "export", "-").output == exported.read_text()
    assert "0 added, 0 changed, 0 deleted, 2 as they were" in mutt("rules", "load", exported).output


def test_replace_deletes_the_others(mutt: Run, rules_file: Path) -> None:
    mutt("migrate")
    mutt("rules", "load", rules_file)
    rules_file.write_text(RULES.split("- trap_oid")[0].replace("20", "30"))
    assert "0 added, 1 changed, 0 deleted" in mutt("rules", "load", rules_file).output
    output = mutt("rules", "load", "--replace", rules_file).output
    assert "0 added, 0 changed, 1 deleted, 1 as they were" in output
    assert "or at once on `mutt-ctl reload`" in output


def test_a_fault_in_one_file_loads_none(mutt: Run, rules_file: Path, tmp_path: Path) -> None:
    mutt("migrate")
    bad = tmp_path / "bad.yaml"
    bad.write_text(RULES.replace("Ticket_only", "Ticket"))
    output = mutt("rules", "load", rules_file, bad, code=1).output
    assert f"{bad}: rule 1: dev_handling='Ticket': must be one of" in output
    assert f"{bad}: rule 2: prod_handling='Ticket': must be one of" in output
    assert "Error: no rule was loaded: " in output
    assert len(mutt("rules", "list").output.splitlines()) == 1


def test_a_file_that_is_no_text_is_named(mutt: Run, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert f"{path}: cannot be read as UTF-8 text" in mutt("rules", "load", path, code=1).output


def test_a_database_without_a_schema_is_a_message(mutt: Run, rules_file: Path) -> None:
    output = mutt("rules", "load", rules_file, code=1).output
    assert 'relation "alert_rules" does not exist' in output
    assert "Traceback" not in output
