"""/dev-hosts/bulk and /teams/bulk, on real stores."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webui.conftest import Api


def bulk(api: Api, what: str, text: str, *, dry_run: bool = False) -> Any:
    answer = api("POST", f"/{what}/bulk", {"text": text, "dry_run": dry_run})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "text", ["lab1\nLAB2\n", "lab1\r\nLAB2", "hostname\nlab1\nLAB2\n", "\ufeffhostname,note\nlab1,\nLAB2,\n"]
)
def test_a_host_on_each_line_is_enough(api: Api, text: str) -> None:
    plan = bulk(api, "dev-hosts", text)
    assert (plan["applied"], [each["hostname"] for each in plan["added"]]) == (True, ["lab1", "LAB2"])
    assert api("GET", "/dev-hosts").json()["total"] == 2


def test_hosts_that_are_there_stay_as_they_are(api: Api, history: Any) -> None:
    api("POST", "/dev-hosts", {"hostname": "Lab1", "note": "mine"})
    plan = bulk(api, "dev-hosts", 'lab1,other\nlab2,"a, b"\n', dry_run=True)
    assert plan["added"] == [{"hostname": "lab2", "value": "a, b"}]
    assert (plan["applied"], plan["unchanged"]) == (False, 1)
    assert api("GET", "/dev-hosts").json()["total"] == 1
    noted = len(history())
    bulk(api, "dev-hosts", "lab1\nlab2\n")
    assert len(history()) == noted + 1


def test_teams_are_set_and_changed_and_exported_again(api: Api) -> None:
    api("POST", "/teams", {"hostname": "core1", "team_assignment": "NETO"})
    plan = bulk(api, "teams", "hostname,team_assignment\nCORE1,CORE\nedge1,EDGE\n=x,=y\n")
    assert plan["changed"] == [{"hostname": "CORE1", "value": "CORE", "before": "NETO"}]
    assert len(plan["added"]) == 2
    text = api("GET", "/teams/export").content.decode()
    assert text.splitlines() == ["hostname,team_assignment", "'=x,'=y", "core1,CORE", "edge1,EDGE"]
    again = bulk(api, "teams", text)
    assert (again["added"], again["changed"], again["unchanged"]) == ([], [], 3)


@pytest.mark.parametrize(
    ("what", "text", "words"),
    [
        ("teams", "core1\n", "line 1: core1: has no team_assignment"),
        ("teams", "core1,\n", "line 1: core1: has no team_assignment"),
        ("teams", "hostname,team_assignment\na,b\nA,c\n", "line 3: A: is in line 2 already"),
        ("dev-hosts", "a\n" + "x" * 256 + "\n", "line 2"),
    ],
)
def test_one_fault_and_nothing_is_taken(api: Api, what: str, text: str, words: str) -> None:
    answer = api("POST", f"/{what}/bulk", {"text": text, "dry_run": False})
    assert answer.status_code == 422
    assert words in answer.json()["errors"][0]["message"]
    assert api("GET", f"/{what}").json()["total"] == 0
