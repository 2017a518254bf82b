"""Writes etc/grafana/dashboards/mutt.json (make docs).

A dashboard is a list of rows of panels here; ids, places, variables and what all panels have in common
are added, so that nothing of it can be forgotten or overlap.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

TARGET = Path(__file__).resolve().parents[1] / "etc" / "grafana" / "dashboards" / "mutt.json"
# That of Grafana 9.2, which RHEL 8 has; newer ones translate it when they load it.
SCHEMA_VERSION = 37
COLUMNS = 24
HEIGHT = 8
STAT_HEIGHT = 4
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Of whoever is chosen at the top of the page; an appliance without the label is matched by `.*`, too.
HOST = 'appliance=~"$appliance",instance=~"$instance"'
APPLIANCE = 'appliance=~"$appliance"'


@dataclass(frozen=True)
class Panel:
    """One panel: `queries` are (PromQL, legend); `red_from` colours a figure at that value and above."""

    title: str
    description: str
    unit: str
    queries: Sequence[tuple[str, str]]
    kind: Literal["timeseries", "stat"] = "timeseries"
    red_from: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def rate(metric: str, by: str, selector: str = "") -> str:
    """Increase a second of a counter, added up by `by`."""
    return f"sum by ({by}) (rate({metric}{{{_joined(HOST, selector)}}}[$__rate_interval]))"


def quantiles(histogram: str) -> list[tuple[str, str]]:
    """Half, 95 % and 99 % of what a histogram has seen."""
    return [
        (
            f"histogram_quantile({share}, sum by (le) "
            f"(rate({histogram}_bucket{{{HOST}}}[$__rate_interval])))",
            f"{share:.0%} up to",
        )
        for share in (0.5, 0.95, 0.99)
    ]


def deepest(metric: str) -> str:
    """A depth that every host of an appliance tells of the same queue."""
    return f"max by (appliance) ({metric}{{{HOST}}})"


def _joined(*selectors: str) -> str:
    return ",".join(part for part in selectors if part)


def stat(title: str, description: str, unit: str, expr: str, red_from: float | None = None) -> Panel:
    """One figure."""
    return Panel(title, description, unit, [(expr, "")], "stat", red_from)


ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "At a glance",
        [
            stat(
                "Events",
                "Events taken in a second",
                "eps",
                f'sum(rate(mutt_ingest_events_total{{{HOST},outcome="queued"}}[$__rate_interval]))',
            ),
            stat(
                "Ingest queue",
                "Events that wait for an alerter",
                "short",
                f"max(mutt_ingest_queue_depth{{{HOST}}})",
                100_000,
            ),
            stat(
                "Alert queue",
                "Alerts that wait for a forwarder",
                "short",
                f"max(mutt_alerter_queue_depth{{{HOST}}})",
                1000,
            ),
            stat(
                "Dead letters",
                "Events and alerts that were given up, all three queues",
                "short",
                f"sum(appliance_queue:mutt_dlq_depth:max{{{APPLIANCE}}})",
                100,
            ),
            stat(
                "Processes down",
                "Processes that do not serve",
                "short",
                f"count(mutt_process_up{{{HOST}}} == 0) or vector(0)",
                1,
            ),
            stat(
                "Error budget left",
                "The smallest of all components, by MUTT's own counters",
                "percentunit",
                f"min(mutt_slo_error_budget_remaining{{{HOST}}} > -Inf)",
            ),
        ],
    ),
    (
        "Intake",
        [
            Panel(
                "Events by outcome",
                "Queued, seen before (duplicate), refused because of their form",
                "eps",
                [(rate("mutt_ingest_events_total", "outcome"), "{{outcome}}")],
            ),
            Panel(
                "Requests by result",
                "Requests to the ingestor; the reason where they failed",
                "reqps",
                [(rate("mutt_ingest_requests_total", "status, reason"), "{{status}} {{reason}}")],
            ),
            Panel(
                "Time of a request",
                "From the request to the answer, Redis included",
                "s",
                quantiles("mutt_ingest_latency_seconds"),
            ),
            Panel(
                "Ingest queue",
                "Events that wait; at MAX_INGEST_QUEUE_SIZE senders get 503",
                "short",
                [(deepest("mutt_ingest_queue_depth"), "{{appliance}}")],
            ),
        ],
    ),
    (
        "Alerter",
        [
            Panel(
                "Events by what became of them",
                "Handled by a rule, unhandled, poison; error: attempts that a store failed",
                "eps",
                [(rate("mutt_alerter_events_processed_total", "status"), "{{status}}")],
            ),
            Panel(
                "Time of a batch",
                "From claim to settled",
                "s",
                quantiles("mutt_alerter_processing_latency_seconds"),
            ),
            Panel(
                "Time of a database write",
                "Audit rows of a batch",
                "ms",
                quantiles("mutt_db_write_latency_ms"),
            ),
            Panel(
                "In hand",
                "Events that alerters have claimed and not settled",
                "short",
                [(f"sum by (instance) (mutt_alerter_processing_list_depth{{{HOST}}})", "{{instance}}")],
            ),
            Panel(
                "Rules",
                "In force, left out because of an error; what else is in the alerters' memory",
                "short",
                [
                    (f"max(mutt_alerter_cache_rules_count{{{HOST}}})", "rules"),
                    (f"max(mutt_alerter_cache_rule_errors{{{HOST}}})", "rules left out"),
                    (f"max(mutt_alerter_cache_dev_hosts_count{{{HOST}}})", "development hosts"),
                    (f"max(mutt_alerter_cache_teams_count{{{HOST}}})", "devices with a team"),
                ],
            ),
            Panel(
                "Back-pressure and recovery",
                "Alerts shed or pauses (defer), failed reloads, events of dead workers",
                "ops",
                [
                    (rate("mutt_alerter_shed_events_total", "mode"), "shed: {{mode}}"),
                    (
                        f"sum(rate(mutt_alerter_cache_reload_failures_total{{{HOST}}}[$__rate_interval]))",
                        "failed reloads",
                    ),
                    (
                        f"sum(rate(mutt_alerter_recovered_events_total{{{HOST}}}[$__rate_interval]))",
                        "recovered events",
                    ),
                ],
            ),
        ],
    ),
    (
        "Forwarder",
        [
            Panel(
                "Requests to Moogsoft by result",
                "The reason where they failed",
                "reqps",
                [(rate("mutt_moog_requests_total", "status, reason"), "{{status}} {{reason}}")],
            ),
            Panel(
                "Time of a request to Moogsoft",
                "Until its answer",
                "s",
                quantiles("mutt_moog_request_latency_seconds"),
            ),
            Panel(
                "Alerts by what became of them",
                "Delivered, dead letter (dlq), to be tried again (error)",
                "ops",
                [(rate("mutt_moog_alerts_processed_total", "status"), "{{status}}")],
            ),
            Panel(
                "Alerts that wait",
                "In the alert queue, for another attempt, in hand",
                "short",
                [
                    (deepest("mutt_alerter_queue_depth"), "{{appliance}} queued"),
                    (deepest("mutt_moog_retry_depth"), "{{appliance}} to be tried again"),
                    (
                        f"sum by (appliance) (mutt_moog_processing_list_depth{{{HOST}}})",
                        "{{appliance}} in hand",
                    ),
                ],
            ),
            Panel(
                "Rate limit",
                "Times a second that MOOG_RATE_LIMIT was reached; alerts wait meanwhile",
                "ops",
                [(rate("mutt_moog_rate_limit_hits_total", "instance"), "{{instance}}")],
            ),
            Panel(
                "Recovered alerts",
                "Alerts of dead forwarders that were put back",
                "ops",
                [(rate("mutt_moog_recovered_alerts_total", "instance"), "{{instance}}")],
            ),
        ],
    ),
    (
        "Dead letters",
        [
            Panel(
                "Dead letters",
                "By queue: ingest (refused), alerter (poison, shed), moog (given up)",
                "short",
                [(f"appliance_queue:mutt_dlq_depth:max{{{APPLIANCE}}}", "{{appliance}} {{queue}}")],
            ),
            Panel(
                "Dead letters of the last hour",
                "How much each queue has changed",
                "short",
                [
                    (
                        f"delta(appliance_queue:mutt_dlq_depth:max{{{APPLIANCE}}}[1h])",
                        "{{appliance}} {{queue}}",
                    )
                ],
            ),
        ],
    ),
    (
        "Service levels",
        [
            Panel(
                "Availability",
                "Share of requests that succeeded in SLO_WINDOW_HOURS, by MUTT's own counters",
                "percentunit",
                [
                    (
                        f"max by (appliance, component) (mutt_slo_availability{{{HOST}}})",
                        "{{appliance}} {{component}}",
                    ),
                    (f"max by (component) (mutt_slo_target{{{HOST}}})", "target of {{component}}"),
                ],
            ),
            Panel(
                "Error budget left",
                "1: nothing spent; below 0: overspent",
                "percentunit",
                [
                    (
                        f"max by (appliance, component) (mutt_slo_error_budget_remaining{{{HOST}}})",
                        "{{appliance}} {{component}}",
                    )
                ],
            ),
            Panel(
                "Burn rates, MUTT's counters",
                "1 spends the budget exactly in the window of the service level",
                "short",
                [(f"max by (component, window) (mutt_slo_burn_rate{{{HOST}}})", "{{component}} {{window}}")],
            ),
            Panel(
                "Burn rates, Prometheus",
                "The same from the recording rules, which the alerts go by",
                "short",
                [
                    (
                        f"appliance_component:mutt_slo_burn:rate{window}{{{APPLIANCE}}}",
                        "{{appliance}} {{component}} " + window,
                    )
                    for window in ("5m", "1h", "6h", "24h")
                ],
            ),
        ],
    ),
    (
        "Stores and processes",
        [
            Panel(
                "What processes depend on",
                "1: well, 0: not; the worst of all processes of a host",
                "short",
                [
                    (
                        f"min by (instance, component) (mutt_component_up{{{HOST}}})",
                        "{{instance}} {{component}}",
                    )
                ],
                extra={"max": 1, "min": 0},
            ),
            Panel(
                "Processes",
                "1: serves, or has done its one task; 0: does not",
                "short",
                [(f"min by (instance, process) (mutt_process_up{{{HOST}}})", "{{instance}} {{process}}")],
                extra={"max": 1, "min": 0},
            ),
            Panel(
                "Restarts in 15 minutes",
                "Processes that were started again",
                "short",
                [
                    (
                        f"sum by (instance, process) (increase(mutt_process_restarts_total{{{HOST}}}[15m]))",
                        "{{instance}} {{process}}",
                    )
                ],
            ),
            Panel(
                "Partitions ahead",
                "Months after the present one that have a partition of the audit log",
                "short",
                [(f"min by (appliance) (mutt_audit_partitions_ahead{{{HOST}}})", "{{appliance}}")],
            ),
            Panel(
                "Circuit to Moogsoft",
                "1: open, Moogsoft is away and only probes go out; and the probes a minute",
                "short",
                [
                    (f"max by (appliance) (mutt_moog_circuit_state{{{HOST}}})", "{{appliance}}: open"),
                    (
                        f"sum by (appliance, result) (rate(mutt_moog_probes_total{{{HOST}}}[$__rate_interval])) * 60",
                        "{{appliance}}: probes {{result}}",
                    ),
                ],
            ),
            Panel(
                "Free disk",
                "Share of the disks of MUTT_DATA_DIR and AUDIT_ARCHIVE_DIR that is free",
                "percentunit",
                [
                    (
                        f"mutt_disk_free_bytes{{{HOST}}} / mutt_disk_size_bytes{{{HOST}}}",
                        "{{instance}} {{path}}",
                    )
                ],
            ),
            Panel(
                "Retention",
                "Months past retention that are still there, and rows archived",
                "short",
                [
                    (f"max by (appliance) (mutt_audit_months_due{{{HOST}}})", "{{appliance}}: months due"),
                    (
                        f"sum by (appliance) (increase(mutt_audit_archive_rows_total{{{HOST}}}[1h]))",
                        "{{appliance}}: rows archived in an hour",
                    ),
                ],
            ),
            Panel(
                "Requests to the web UI",
                "Pages and API by status",
                "reqps",
                [(rate("mutt_webui_api_requests_total", "status"), "{{status}}")],
            ),
            Panel(
                "Time of the web UI's queries",
                "95 % of the queries of an operation are faster",
                "ms",
                [
                    (
                        f"histogram_quantile(0.95, sum by (le, operation) "
                        f"(rate(mutt_webui_db_query_latency_ms_bucket{{{HOST}}}[$__rate_interval])))",
                        "{{operation}}",
                    )
                ],
            ),
        ],
    ),
    (
        "Certificates and secrets (empty where TLS or Vault is not used)",
        [
            Panel(
                "Certificates end in",
                "Time until a certificate in use ends",
                "s",
                [
                    (
                        f"mutt_tls_certificate_expiry_timestamp_seconds{{{HOST}}} - time()",
                        "{{instance}} {{certificate}}",
                    )
                ],
            ),
            Panel(
                "TLS handshakes",
                "Of clients, with and without a certificate of their own; the reason of those that failed",
                "ops",
                [(rate("mutt_tls_handshakes_total", "result, reason"), "{{result}} {{reason}}")],
            ),
            Panel(
                "API keys in use",
                "While a key is changed: who still uses the current one, who the next",
                "reqps",
                [(rate("mutt_secrets_used_total", "secret, which"), "{{secret}} {{which}}")],
            ),
            Panel(
                "Vault",
                "1: gave the secrets at the last look",
                "short",
                [(f"mutt_vault_up{{{HOST}}}", "{{instance}}")],
                extra={"max": 1, "min": 0},
            ),
            Panel(
                "Vault token",
                "What is left of it; it is renewed at VAULT_TOKEN_RENEW_THRESHOLD",
                "s",
                [(f"mutt_vault_token_ttl_seconds{{{HOST}}}", "{{instance}}")],
            ),
            Panel(
                "Version of the secrets",
                "In Vault; hosts that share an appliance are to agree",
                "short",
                [(f"mutt_secrets_version{{{HOST}}}", "{{instance}}")],
            ),
        ],
    ),
)


def dashboard() -> dict[str, Any]:
    """The whole dashboard."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append(_row(title, len(panels) + 1, top))
        top += 1
        stats = all(panel.kind == "stat" for panel in row)
        in_a_line = len(row) if stats else 2
        width, height = COLUMNS // in_a_line, STAT_HEIGHT if stats else HEIGHT
        for place, panel in enumerate(row):
            line, column = divmod(place, in_a_line)
            where = {"h": height, "w": width, "x": column * width, "y": top + line * height}
            panels.append(_panel(panel, len(panels) + 1, where))
        top += -(-len(row) // in_a_line) * height
    return {
        "id": None,
        "uid": "mutt",
        "title": "MUTT",
        "description": "The way of events through MUTT. Needs mutt-recording.yml in Prometheus.",
        "tags": ["mutt"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "annotations": {"list": []},
        "links": [],
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("appliance", "Appliance", 'label_values(up{job=~"mutt-.+"}, appliance)'),
                _variable(
                    "instance",
                    "Host",
                    'label_values(up{job=~"mutt-.+",appliance=~"$appliance"}, instance)',
                ),
            ]
        },
        "panels": panels,
    }


def _row(title: str, number: int, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
        "panels": [],
    }


def _panel(panel: Panel, number: int, where: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        **panel.extra,
    }
    if panel.kind == "timeseries":
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never"}
        options: dict[str, Any] = {
            "legend": {
                "displayMode": "table",
                "placement": "right",
                "showLegend": True,
                "calcs": ["lastNotNull", "max"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    else:
        options = {
            "colorMode": "value",
            "graphMode": "area",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": where,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": DATASOURCE,
                "expr": expr,
                "legendFormat": legend or panel.title,
                "range": True,
            }
            for place, (expr, legend) in enumerate(panel.queries)
        ],
    }


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    """Values of a label, any number of them; all of them are `.*`."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def text() -> str:
    """The file as it is to be."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
