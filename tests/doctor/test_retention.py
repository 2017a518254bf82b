"""What the doctor makes of the months of the audit log, without any server."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mutt_appliance.doctor.retention import judge_folder, judge_retention
from mutt_appliance.store.retention import Archived, Part

PARTS = [Part(f"event_audit_log_2026_{month:02}", True, 10, 8192) for month in (1, 2, 3)]
MOMENT = datetime(2026, 4, 1, tzinfo=UTC)
GONE = [Archived(date(2025, 12, 1), "host-a", "/a/f", 1, 1, "x", MOMENT, MOMENT, MOMENT)]


@pytest.mark.parametrize(
    ("today", "status"),
    [(date(2026, 3, 3), "ok"), (date(2026, 3, 5), "ok"), (date(2026, 3, 6), "warning")],
)
def test_a_month_that_should_be_gone_for_days_is_a_warning(today: date, status: str) -> None:
    finding = judge_retention(PARTS, GONE, 30, today, Path("/archive"))
    assert finding.status == status
    if status == "warning":
        assert finding.seen == "past retention and still there: event_audit_log_2026_01"
        assert "/archive" in finding.advice


def test_without_retention_nothing_is_late() -> None:
    finding = judge_retention(PARTS, [], 0, date(2030, 1, 1), None)
    assert (finding.status, finding.seen) == ("ok", "all months are kept, 3 are there")


def test_what_is_in_files_is_told() -> None:
    seen = judge_retention(PARTS, GONE, 90, date(2026, 4, 1), None).seen
    assert (
        seen
        == "months are kept for 90 days after their end, 3 are there; 1 in files, the last since 2026-04-01"
    )


def test_a_folder_that_cannot_take_months_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert judge_folder(tmp_path / "file").status == "error"
    assert judge_folder(tmp_path / "later").status == "ok"
    assert judge_folder(tmp_path).status == "ok"
    assert judge_folder(None).status == "n/a"
