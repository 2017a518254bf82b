"""The table and the JSON object."""

from __future__ import annotations

import json

from bench.report import Figure, json_line, table

KEYS = [
    "ingest_batch_ratio",
    "ingest_single_ratio",
    "alerter_ratio",
    "frozen_alerter_ratio",
    "matcher_scale_ratio",
    "matcher_vs_re_ratio",
    "e2e_p50_ms",
    "e2e_p99_ms",
    "pss_idle_mb",
    "pss_loaded_mb",
    "ready_running_stores_s",
    "ready_first_embedded_s",
    "ctl_status_s",
    "webui_first_page_p95_ms",
    "webui_far_page_p95_ms",
    "webui_by_host_p95_ms",
    "webui_by_rule_p95_ms",
    "webui_by_day_p95_ms",
    "webui_rules_p95_ms",
    "webui_dashboard_p95_ms",
    "webui_ingest_ratio",
]


def test_the_json_object_has_every_key_and_null_for_what_was_not_measured() -> None:
    line = json_line(
        [Figure("alerter_ratio", "alerter", "9", 31.23456, "1"), Figure(None, "aside", "1", 1.0)]
    )
    document = json.loads(line)
    assert list(document) == KEYS
    assert document["alerter_ratio"] == 31.235
    assert document["e2e_p50_ms"] is None
    assert "\n" not in line


def test_the_table_says_whether_a_target_is_reached() -> None:
    text = table(
        [
            Figure("alerter_ratio", "alerter", "100 events/s", 29.0, "4 events/s"),
            Figure("matcher_scale_ratio", "matching", "1 µs", 1.5, "1 µs", remark="quiet"),
            Figure("e2e_p50_ms", "latency", "5 ms", 5.0),
        ]
    ).splitlines()
    assert text[0].split() == ["figure", "reference", "ratio", "target", "reached"]
    assert text[2].split()[-4:] == ["at", "least", "30", "NO"]
    assert text[3].split()[-4:] == ["at", "most", "2", "yes"]
    assert text[4] == "    quiet"
    assert text[5].split() == ["latency", "5", "ms"]
