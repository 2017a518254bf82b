"""Rules of Prometheus: checked and tested by promtool."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mutt_appliance.telemetry.metrics import FAULTS_OF_SENDERS
from mutt_appliance.webui.slo import BURN_PAIRS, BURN_WINDOWS
from tests.monitoring.cases import CASES, Series
from tests.support.monitoring import (
    ALERTS,
    HOSTS,
    RECORDING,
    REPOSITORY,
    SCRAPE,
    Alert,
    alerts,
    groups_of,
    promtool,
    recorded,
)

EVERY = alerts()
# Names, expressions and times of the specification, to the letter.
SPECIFIED = {
    "MUTTIngestQueueFull": ("mutt_ingest_queue_depth > 900000", 5, "MUTT ingest queue near capacity"),
    "MUTTHighAlerterDLQ": ("mutt_alerter_dlq_depth > 100", 10, "High number of poison messages in Alerter DLQ"),
    "MUTTHighMoogDLQ": ("mutt_moog_dlq_depth > 50", 10, "High number of failed alerts in Moog DLQ"),
    "MUTTMoogRateLimitHit": (
        "rate(mutt_moog_rate_limit_hits_total[5m]) > 10", 5, "Moog Forwarder hitting rate limit frequently",
    ),
}  # fmt: skip


def name(alert: Alert) -> str:
    return alert.name


@pytest.fixture(scope="module")
def bare_rules(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Copies of both files without annotations, which promtool would want to be repeated in full."""
    folder = tmp_path_factory.mktemp("rules")
    made = []
    for path in (RECORDING, ALERTS):
        groups = groups_of(path)
        for group in groups:
            for rule in group["rules"]:
                rule.pop("annotations", None)
        made.append(folder / path.name)
        made[-1].write_text(yaml.safe_dump({"groups": groups}))
    return made


def run_test(bare_rules: list[Path], folder: Path, series: Series, *expectations: dict[str, Any]) -> None:
    """Have promtool check what alerts there are with `series`."""
    document = {
        "rule_files": [str(path) for path in bare_rules],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": one, "values": values} for one, values in series.items()],
                "alert_rule_test": list(expectations),
            }
        ],
    }
    file = folder / "test.yml"
    # JSON is YAML.
    file.write_text(json.dumps(document))
    promtool("test", "rules", file)


def test_promtool_finds_no_fault() -> None:
    promtool("check", "rules", RECORDING, ALERTS)
    promtool("check", "config", SCRAPE)


@pytest.mark.parametrize("alert", EVERY, ids=name)
def test_an_alert_fires_when_it_should_and_not_before_its_time(
    alert: Alert, bare_rules: list[Path], tmp_path: Path
) -> None:
    case = CASES[alert.name]
    expected = {"exp_labels": {**case.labels, **alert.labels}}
    early = {"eval_time": f"{max(alert.waits_minutes - 1, 0)}m", "alertname": alert.name, "exp_alerts": []}
    late = {"eval_time": f"{case.minutes}m", "alertname": alert.name, "exp_alerts": [expected]}
    run_test(bare_rules, tmp_path, case.fires, *([early] if alert.waits_minutes else []), late)


@pytest.mark.parametrize("alert", EVERY, ids=name)
def test_an_alert_is_silent_when_it_should_be(alert: Alert, bare_rules: list[Path], tmp_path: Path) -> None:
    case = CASES[alert.name]
    never = {"eval_time": f"{case.minutes}m", "alertname": alert.name, "exp_alerts": []}
    run_test(bare_rules, tmp_path, case.silent, never)


def test_every_alert_has_a_case_and_every_case_an_alert() -> None:
    assert sorted(alert.name for alert in EVERY) == sorted(CASES)


@pytest.mark.parametrize("name", SPECIFIED)
def test_the_alerts_of_the_specification_are_there_to_the_letter(name: str) -> None:
    (alert,) = (one for one in EVERY if one.name == name)
    assert (alert.expr, alert.waits_minutes, alert.annotations["summary"]) == SPECIFIED[name]


@pytest.mark.parametrize("alert", EVERY, ids=name)
def test_an_alert_says_how_urgent_it_is_what_it_means_and_where_to_read_on(alert: Alert) -> None:
    assert alert.labels["severity"] in ("critical", "warning")
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    assert alert.annotations["runbook_url"] == f"docs/runbook.md#{alert.name.lower()}"
    assert f"\n### {alert.name}\n" in (REPOSITORY / "docs" / "runbook.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("alert", EVERY, ids=name)
def test_an_annotation_uses_only_labels_that_the_alert_has(alert: Alert) -> None:
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(alert.annotations.values())))
    assert used <= set(CASES[alert.name].labels)


def test_the_runbook_has_no_alert_that_is_not_there() -> None:
    page = (REPOSITORY / "docs" / "runbook.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (MUTT\w+)$", page, re.MULTILINE) == [alert.name for alert in EVERY]


def test_what_is_recorded_for_service_levels_leaves_out_what_senders_did_wrong() -> None:
    selector = f'reason!~"{"|".join(FAULTS_OF_SENDERS)}"'
    for window in BURN_WINDOWS:
        for what in ("requests", "failures"):
            ingestor, forwarder = recorded()[f"appliance_component:mutt_slo_{what}:rate{window}"]
            assert selector in ingestor
            assert "reason" not in forwarder


def test_burn_alerts_have_the_pairs_of_the_dashboard() -> None:
    by_urgency = {"page": "MUTTSLOFastBurn", "ticket": "MUTTSLOSlowBurn"}
    expressions = {alert.name: alert.expr for alert in EVERY}
    for pair in BURN_PAIRS:
        for window in (pair.long, pair.short):
            wanted = f"appliance_component:mutt_slo_burn:rate{window} > {pair.factor:g}"
            assert wanted in expressions[by_urgency[pair.urgency]]


def test_scraping_has_every_port_with_metrics_and_the_labels_that_rules_go_by() -> None:
    jobs = {job["job_name"]: job for job in yaml.safe_load(SCRAPE.read_text())["scrape_configs"]}
    ports = {name: job["relabel_configs"][-1]["replacement"] for name, job in jobs.items()}
    assert ports == {
        "mutt-ingestor": "${1}:8080",
        "mutt-alerter": "${1}:8081",
        "mutt-forwarder": "${1}:8083",
        "mutt-webui": "${1}:8090",
    }
    assert all(job["relabel_configs"][0]["target_label"] == "instance" for job in jobs.values())
    for group in yaml.safe_load(HOSTS.read_text()):
        assert group["labels"]["appliance"]
        assert all(":" not in target for target in group["targets"])
