"""The dashboard of Grafana: its form. That its queries return data is in test_live.py."""

from __future__ import annotations

import copy
import itertools
import json
import re
import runpy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.support.monitoring import DASHBOARD, REPOSITORY, metrics_in, recorded

WHOLE: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
PANELS = [panel for panel in WHOLE["panels"] if panel["type"] != "row"]
COLUMNS = 24
# Ids of Grafana's valueFormats/categories.
UNITS = {"short", "eps", "reqps", "ops", "s", "ms", "percentunit"}
PROVISIONING = REPOSITORY / "etc" / "grafana" / "provisioning"


def title(panel: dict[str, Any]) -> str:
    return str(panel["title"])


def test_the_file_is_what_its_script_writes() -> None:
    script = runpy.run_path(str(REPOSITORY / "packaging" / "grafana_dashboard.py"))
    assert DASHBOARD.read_text(encoding="utf-8") == script["text"]()


def differences(given: Any, read: Any, where: str = "dashboard") -> Iterator[str]:
    """What of `given` is not in `read` as it was; null is as good as nothing."""
    if isinstance(given, dict) and isinstance(read, dict):
        for name, value in given.items():
            if name in read:
                yield from differences(value, read[name], f"{where}.{name}")
            elif value is not None:
                yield f"{where}.{name} is unknown"
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for place, (one, other) in enumerate(zip(given, read, strict=True)):
            yield from differences(one, other, f"{where}[{place}]")
    elif given != read:
        yield f"{where}: {given!r} is read as {read!r}"


def read_by_grafana(document: dict[str, Any]) -> dict[str, Any]:
    """`document` through the types of Grafana's schema, defaults added."""
    register_default_plugins()
    read: dict[str, Any] = json.loads(JSONEncoder().encode(Dashboard.from_json(document)))
    return read


def test_the_types_of_grafanas_schema_know_every_field() -> None:
    assert list(differences(WHOLE, read_by_grafana(WHOLE))) == []


def test_a_misspelt_field_would_be_found() -> None:
    wrong = copy.deepcopy(WHOLE)
    wrong["panels"][1]["fieldConfig"]["defaults"]["units"] = "s"
    assert list(differences(wrong, read_by_grafana(wrong))) == [
        "dashboard.panels[1].fieldConfig.defaults.units is unknown"
    ]


def test_ids_are_unique_and_the_dashboard_has_a_name_of_its_own() -> None:
    ids = [panel["id"] for panel in WHOLE["panels"]]
    assert len(ids) == len(set(ids))
    assert (WHOLE["uid"], WHOLE["id"]) == ("mutt", None)


def test_no_panel_lies_on_another_or_beside_the_grid() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in WHOLE["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= COLUMNS
        cells = set(
            itertools.product(
                range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
            )
        )
        assert not taken & cells, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", PANELS, ids=title)
def test_a_panel_says_what_it_shows_in_which_unit_and_asks_the_chosen_data_source(
    panel: dict[str, Any],
) -> None:
    assert panel["title"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    references = [target["refId"] for target in panel["targets"]]
    assert len(references) == len(set(references))
    for part in (panel, *panel["targets"]):
        assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("panel", PANELS, ids=title)
def test_every_query_follows_the_choice_of_appliance_or_host(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert '=~"$appliance"' in target["expr"]


def test_a_data_source_an_appliance_and_a_host_can_be_chosen() -> None:
    variables = {each["name"]: each for each in WHOLE["templating"]["list"]}
    assert list(variables) == ["datasource", "appliance", "instance"]
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    for name in ("appliance", "instance"):
        assert variables[name]["includeAll"]
        assert variables[name]["allValue"] == ".*"


def test_every_recorded_series_of_the_dashboard_is_recorded() -> None:
    used = set(re.findall(r"\b[a-z_]+:[a-z_]+:[a-z0-9_]+", DASHBOARD.read_text(encoding="utf-8")))
    assert used
    assert used <= recorded().keys()


def test_every_metric_of_the_dashboard_is_documented() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| (mutt_[a-z_]+)", page, re.MULTILINE))
    used = metrics_in(target["expr"] for panel in PANELS for target in panel["targets"])
    assert {name.removesuffix("_bucket") for name in used} <= documented


def test_provisioning_finds_the_dashboard_where_the_package_puts_it() -> None:
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "mutt.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] == "/usr/share/mutt/etc/grafana/dashboards"
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "mutt.yml").read_text())["datasources"]
    assert (source["type"], source["access"]) == ("prometheus", "proxy")
