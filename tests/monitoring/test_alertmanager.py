"""The example of an Alertmanager, checked and asked by amtool."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.support.monitoring import REPOSITORY, Alert, alerts, amtool

CONFIG = REPOSITORY / "etc" / "alertmanager" / "mutt-alertmanager.yml"
RECEIVERS = {"critical": "mutt-pager", "warning": "mutt-mail"}


def name(alert: Alert) -> str:
    return alert.name


def test_amtool_finds_no_fault() -> None:
    amtool("check-config", CONFIG)


@pytest.mark.parametrize("alert", alerts(), ids=name)
def test_an_alert_goes_where_its_severity_says(alert: Alert) -> None:
    severity = alert.labels["severity"]
    amtool(
        "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={RECEIVERS[severity]}",
        f"alertname={alert.name}", f"severity={severity}", "appliance=hq",
    )  # fmt: skip


def test_somebody_elses_critical_alert_does_not_go_to_our_pager() -> None:
    amtool(
        "config", "routes", "test", f"--config.file={CONFIG}", "--verify.receivers=mutt-mail",
        "alertname=DiskFull", "severity=critical",
    )  # fmt: skip


def test_every_alert_that_is_inhibited_exists() -> None:
    known = {alert.name for alert in alerts()}
    for rule in yaml.safe_load(CONFIG.read_text())["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            pattern = re.fullmatch(r'alertname=~?"(.+)"', matcher)
            assert pattern is not None
            for part in pattern[1].split("|"):
                assert any(re.fullmatch(part, one) for one in known), part
