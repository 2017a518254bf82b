"""mutt-ctl audit on a real database: export, status, and files back into a table."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mutt_appliance.cli.ctl import cli
from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.connecting import connect
from mutt_appliance.store.prepare import prepare_database
from mutt_appliance.store.retention import retire
from tests.conftest import MakeSettings, Stores
from tests.support.audit import audit_row, write_audit_rows
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
OCTOBER = datetime(2026, 10, 5, 12, tzinfo=UTC)
Ctl = Callable[..., Result]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def settings(make_settings: MakeSettings, archive: Path) -> Settings:
    made = make_settings(audit_archive_dir=archive, audit_retention_days=30)
    prepare_database(made, Secrets(), "test", patience_secs=20, stop=threading.Event())
    return made


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """Variables that name this test's stores."""
    names = ("redis_host", "db_host", "db_port", "db_name", "mutt_runtime_dir", "mutt_secrets_file")
    more = ("audit_archive_dir", "audit_retention_days")
    chosen = {name.upper(): str(getattr(settings, name)) for name in (*names, *more)}
    return {**chosen, "FORWARDER_WORKERS": "0", "MUTT_ENV_FILE": "/dev/null"}


@pytest.fixture
def ctl(environment: dict[str, str]) -> Ctl:
    def run(*words: object, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, ["audit", *map(str, words)], env=dict(environment))
        assert result.exit_code == code, result.output
        return result

    return run


def fill(settings: Settings, count: int = 5, moment: datetime = OCTOBER) -> None:
    write_audit_rows(
        settings,
        [
            audit_row(
                n, received_at=moment + timedelta(hours=n), hostname=f"r{n % 2}", rule_id=n,
                message=f"=1+{n}\u2028ü\n\"x\"", raw_event='{"n": 1e400, "x": [1]}',
            )
            for n in range(count)
        ],
    )  # fmt: skip


def test_rows_are_written_the_oldest_first(ctl: Ctl, settings: Settings) -> None:
    fill(settings)
    result = ctl("export")
    rows = [json.loads(line) for line in result.stdout.split("\n") if line]
    assert [row["event_id"] for row in rows] == [f"e00{n}" for n in range(5)]
    assert rows[0]["received_at"] == "2026-10-05T12:00:00+00:00"
    assert rows[0]["raw_event"]["x"] == [1]
    assert result.stderr == "5 rows written\n"


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (("--since", "2026-10-05T13:00", "--until", "2026-10-05T15:00:00Z"), [1, 2]),
        (("--since", "2026-10-05T15:00:00+01:00"), [2, 3, 4]),
        (("--until", "2026-10-05"), []),
        (("--hostname", "r1"), [1, 3]),
        (("--rule-id", "4"), [4]),
        (("--hostname", "r1", "--rule-id", "4"), []),
    ],
)
def test_only_what_is_asked_for(
    ctl: Ctl, settings: Settings, options: tuple[str, ...], numbers: list[int]
) -> None:
    fill(settings)
    table = ctl("export", "--format", "csv", *options).stdout
    assert [row["event_id"] for row in csv.DictReader(io.StringIO(table))] == [f"e00{n}" for n in numbers]


def test_csv_has_a_head_the_same_cells_and_no_formulas(ctl: Ctl, settings: Settings) -> None:
    fill(settings, 1)
    (row,) = csv.DictReader(io.StringIO(ctl("export", "--format", "csv").stdout, newline=""))
    assert row["message"] == '\'=1+0\u2028ü\n"x"'
    assert (row["received_at"], row["forwarded"], row["trap_oid"]) == (
        "2026-10-05T12:00:00+00:00",
        "true",
        "",
    )
    assert json.loads(row["raw_event"])["x"] == [1]


def test_a_file_gets_its_name_when_it_is_complete(ctl: Ctl, settings: Settings, tmp_path: Path) -> None:
    fill(settings, 4500)
    target = tmp_path / "rows.ndjson.gz"
    assert f"4500 rows written to {target}" in ctl("export", "--output", target).stderr
    assert len(gzip.decompress(target.read_bytes()).splitlines()) == 4500
    assert list(tmp_path.glob(".*")) == []
    plain = tmp_path / "rows.ndjson"
    ctl("export", "--output", plain)
    assert plain.read_bytes() == gzip.decompress(target.read_bytes())


def test_a_folder_that_is_not_there_is_named(ctl: Ctl, settings: Settings, tmp_path: Path) -> None:
    result = ctl("export", "--output", tmp_path / "none" / "x", code=1)
    assert f"{tmp_path}/none/x: cannot be written: No such file or directory" in result.output


def test_a_time_that_is_none_says_what_it_must_be(ctl: Ctl) -> None:
    assert "must be a time such as 2026-11-24" in ctl("export", "--since", "yesterday", code=2).output


def test_a_reader_that_has_enough_is_no_error(settings: Settings, environment: dict[str, str]) -> None:
    fill(settings, 4500)
    program = f"{sys.executable} -m mutt_appliance.cli.ctl audit export"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program} | head -n 2"],
        env={**os.environ, **environment},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 2


def test_ctrl_c_leaves_no_file(
    settings: Settings, environment: dict[str, str], stores: Stores, tmp_path: Path
) -> None:
    fill(settings, 10)
    target = tmp_path / "rows.ndjson"
    with closing(stores.postgres.connect(settings.db_name)) as other, other.cursor() as cursor:
        # The export waits for this lock in the middle of its work.
        cursor.execute("BEGIN; LOCK TABLE event_audit_log IN ACCESS EXCLUSIVE MODE")
        process = subprocess.Popen(
            [sys.executable, "-m", "mutt_appliance.cli.ctl", "audit", "export", "--output", str(target)],
            env={**os.environ, **environment},
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: list(tmp_path.glob(".rows.ndjson.partial")), 20, "it has begun")
        process.send_signal(signal.SIGINT)
        cursor.execute("ROLLBACK")
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert [path for path in tmp_path.iterdir() if "rows" in path.name] == []


def test_without_a_database_there_is_a_message(ctl: Ctl, settings: Settings, stores: Stores) -> None:
    stores.postgres.stop()
    try:
        result = ctl("status", code=1)
    finally:
        stores.postgres.start()
    assert "Error: PostgreSQL at" in result.output


def test_status_says_what_leaves_when_and_what_left_where_to(
    ctl: Ctl, settings: Settings, archive: Path, stores: Stores
) -> None:
    fill(settings)
    fill(settings, 3, moment=datetime(2026, 3, 1, tzinfo=UTC))
    with closing(connect(settings, Secrets(), "test")) as conn:
        retire(conn, settings, datetime(2026, 6, 1, tzinfo=UTC))
    stores.postgres.execute("ANALYZE", settings.db_name)
    text = ctl("status").output
    assert f"months are kept for 30 days after their end, then archived in {archive}" in text
    (line,) = (line for line in text.splitlines() if line.startswith("event_audit_log_2026_10"))
    assert (line.split()[1], line.split()[4]) == ("5", "2026-12-01")
    assert f"{archive}/event_audit_log_2026_03.ndjson.gz" in text
    document = json.loads(ctl("status", "--json").stdout)
    (october,) = (part for part in document["parts"] if part["name"].endswith("2026_10"))
    assert (october["rows"], october["leaves_on"]) == (5, "2026-12-01")
    assert [(each["month"], each["rows"]) for each in document["archives"]] == [("2026-03-01", 3)]
    assert document["disks"][0]["folder"] == str(archive)
    assert document["disks"][0]["free_bytes"] > 0


@pytest.fixture
def month(settings: Settings, archive: Path) -> Path:
    """An archived month with five rows."""
    fill(settings)
    with closing(connect(settings, Secrets(), "test")) as conn:
        retire(conn, settings, datetime(2027, 1, 1, tzinfo=UTC))
    return archive / "event_audit_log_2026_10.ndjson.gz"


def test_an_archived_month_goes_into_a_table_of_its_own(
    ctl: Ctl, settings: Settings, month: Path, stores: Stores
) -> None:
    assert f"{month}: 5 rows, 5 new in audit_imported" in ctl("import", month).output
    assert "5 rows, 0 new in audit_imported" in ctl("import", month).output
    rows = stores.postgres.execute(
        "SELECT count(*), min(raw_event->>'x'), min(message) FROM audit_imported", settings.db_name
    )
    assert rows == [(5, "[1]", '=1+0\u2028ü\n"x"')]
    assert stores.postgres.execute("SELECT count(*) FROM event_audit_log", settings.db_name) == [(0,)]


def test_a_damaged_month_is_not_imported(ctl: Ctl, month: Path, settings: Settings, stores: Stores) -> None:
    month.write_bytes(month.read_bytes()[:-1])
    assert "the file is damaged" in ctl("import", month, code=1).output
    assert "the file is damaged" in ctl("verify", month, code=1).output
    assert stores.postgres.execute("SELECT to_regclass('audit_imported')", settings.db_name) == [(None,)]


def test_verify_says_what_a_file_holds(ctl: Ctl, month: Path) -> None:
    assert f"{month}: 5 rows, 2026-10-05T12:00:00+00:00 to" in ctl("verify", month).output


def test_a_month_without_its_manifest_is_imported_with_a_warning(ctl: Ctl, month: Path) -> None:
    month.with_name(month.name + ".manifest.json").unlink()
    assert "there is no manifest beside it" in ctl("import", month).stderr


@pytest.mark.parametrize("table", ["event_audit_log", "event_audit_log_2026_10", "Rows", "x; DROP TABLE y"])
def test_a_table_must_have_a_name_of_its_own(ctl: Ctl, month: Path, table: str) -> None:
    assert "must be the name of a table of its own" in ctl("import", month, "--table", table, code=1).output


def test_another_table_is_not_written_into(ctl: Ctl, month: Path) -> None:
    assert "is another table" in ctl("import", month, "--table", "alert_rules", code=1).output


def test_a_file_of_something_else_is_named(ctl: Ctl, settings: Settings, tmp_path: Path) -> None:
    other = tmp_path / "other.ndjson"
    other.write_text('{"a": 1}\nnot json\n')
    assert f"{other}: is no archive of the audit log" in ctl("import", other, code=1).output
    other.write_text("[1]\n")
    assert f"{other}: is no archive of the audit log" in ctl("import", other, code=1).output
