"""When certificates end: the metric, and a line in the log a day."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mutt_appliance.telemetry.metrics import TlsMetrics, enable_pool_metrics, exposition
from mutt_appliance.tls.inventory import StoreFiles
from mutt_appliance.tls.live import InUse
from mutt_appliance.tls.watch import DAY_SECS, LOOK_EVERY_SECS, CertificateWatch
from tests.conftest import MakeSettings
from tests.support.certificates import Authority
from tests.support.children import ChildFactory

START = 1_800_000_000.0


class Source:
    """One certificate that ends when a test says."""

    def __init__(self, ends: float) -> None:
        self.ends = ends

    def in_use(self) -> Sequence[InUse]:
        return [InUse("ingest", "INGEST_TLS_CERT_PATH=/x.pem", self.ends)]

    def reload(self) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (40, []),
        (29.5, [("warning", "certificate expires soon", 29)]),
        (-1, [("error", "certificate has expired", None)]),
    ],
)
def test_what_ends_soon_is_told_once_a_day(
    make_settings: MakeSettings,
    child_for: ChildFactory,
    days: float,
    told: list[tuple[str, str, int | None]],
) -> None:
    settings = make_settings(tls_expiry_warn_days=30)
    enable_pool_metrics(settings.mutt_runtime_dir, "ingestor", 0)
    now = START
    source = Source(START + days * DAY_SECS)
    watch = CertificateWatch(child_for("ingestor", settings), source, TlsMetrics(), clock=lambda: now)
    with capture_logs() as logs:
        for minute in range(600):
            now = START + minute * LOOK_EVERY_SECS
            watch.turn()
    assert [(line["log_level"], line["event"], line.get("days")) for line in logs] == told
    with capture_logs() as logs:
        for _ in range(3):
            now = START + DAY_SECS
            watch.turn()
    assert len(logs) == len(told)


def test_the_files_of_the_stores_are_read_again_at_each_look(
    make_settings: MakeSettings, child_for: ChildFactory, tmp_path: Path
) -> None:
    first, later = Authority(tmp_path, "first"), Authority(tmp_path, "later")
    settings = make_settings(
        redis_host="redis.example.net",
        redis_ca_cert_path=first.ca,
        db_host="db.example.net",
        db_tls_ca_cert_path=tmp_path / "none.pem",
    )
    enable_pool_metrics(settings.mutt_runtime_dir, "alerter", 0)
    source = StoreFiles(settings)
    (before,) = source.in_use()
    assert before.label == "redis_ca"
    first.ca.write_bytes(later.issue("short", "x", valid_days=1).cert.read_bytes())
    CertificateWatch(child_for("alerter", settings), source, TlsMetrics()).turn()
    (after,) = source.in_use()
    assert after.ends < before.ends
    name = 'mutt_tls_certificate_expiry_timestamp_seconds{certificate="redis_ca"}'
    text = exposition(settings.mutt_runtime_dir, "alerter").decode()
    (sample,) = [line for line in text.splitlines() if line.startswith(name)]
    assert float(sample.rpartition(" ")[2]) == after.ends


def test_stores_without_tls_have_no_certificates(make_settings: MakeSettings, tmp_path: Path) -> None:
    ca = Authority(tmp_path).ca
    off = {"redis_tls_enabled": False, "db_tls_enabled": False}
    away = {"redis_host": "r", "db_host": "d", "redis_ca_cert_path": ca, "db_tls_ca_cert_path": ca}
    assert [each.label for each in StoreFiles(make_settings(**away)).in_use()] == ["redis_ca", "db_ca"]
    assert StoreFiles(make_settings(**away, **off)).in_use() == []
