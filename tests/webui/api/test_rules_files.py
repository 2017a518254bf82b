"""/rules/export and /rules/import, on real stores."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webui.conftest import Api

RULE = {"match_string": "LINK", "priority": 10, "prod_handling": "Ticket_only", "dev_handling": "Log_only"}
HOSTILE = "=cmd|' /C calc'!A0 <script>\u202e\x1b[31m, \"x\""


def exported(api: Api, form: str) -> str:
    answer = api("GET", f"/rules/export?format={form}")
    assert answer.status_code == 200
    assert f'filename="mutt-rules.{form}"' in answer.headers["Content-Disposition"]
    return answer.content.decode()


def imported(api: Api, text: str, form: str, **options: Any) -> Any:
    answer = api("POST", "/rules/import", {"format": form, "text": text, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("form", ["yaml", "csv"])
def test_an_export_imported_again_changes_nothing(api: Api, form: str) -> None:
    for number, text in enumerate(("LINK", HOSTILE, "naïve\nline")):
        api("POST", "/rules", {**RULE, "match_string": text, "priority": number, "description": text})
    before = exported(api, form)
    plan = imported(api, before, form, mode="replace", dry_run=False)
    assert (plan["applied"], plan["unchanged"]) == (True, 3)
    assert (plan["added"], plan["changed"], plan["removed"]) == ([], [], [])
    assert exported(api, form) == before


def test_a_dry_run_tells_what_would_change_and_changes_nothing(api: Api, history: Any) -> None:
    there = api("POST", "/rules", RULE).json()["id"]
    gone = api("POST", "/rules", {**RULE, "match_string": "old"}).json()["id"]
    text = (
        "rules:\n"
        "- {match_string: LINK, priority: 20, prod_handling: Page_only, dev_handling: Log_only}\n"
        "- {match_string: new, prod_handling: Page_only, dev_handling: Log_only}\n"
    )
    noted = len(history())
    plan = imported(api, text, "yaml", mode="replace")
    assert plan["applied"] is False
    (changed,) = plan["changed"]
    assert (changed["id"], changed["fields"]) == (there, ["priority", "prod_handling"])
    assert (changed["before"]["priority"], changed["after"]["priority"]) == (10, 20)
    assert [each["match_string"] for each in plan["added"]] == ["new"]
    assert [each["id"] for each in plan["removed"]] == [gone]
    assert len(history()) == noted
    assert api("GET", f"/rules/{there}").json()["priority"] == 10
    assert imported(api, text, "yaml", dry_run=False)["removed"] == []
    assert {rule["match_string"] for rule in api("GET", "/rules").json()["items"]} == {"LINK", "old", "new"}
    assert len(history()) == noted + 2


def test_one_fault_and_nothing_is_imported(api: Api) -> None:
    text = "match_string,prod_handling,dev_handling\ngood,Log_only,Log_only\nbad,Loud,Log_only\n"
    answer = api("POST", "/rules/import", {"format": "csv", "text": text, "dry_run": False})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["field"] == "body.text"
    assert fault["message"].startswith("line 3: prod_handling='Loud'")
    assert api("GET", "/rules").json()["total"] == 0


def test_a_viewer_exports_and_imports_nothing(api: Api) -> None:
    viewer = api.named("vera", "viewer")
    assert viewer("GET", "/rules/export").status_code == 200
    assert viewer("POST", "/rules/import", {"text": "rules: []"}).status_code == 403
