"""/rules/test and /rules/test-recent, on real stores."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.activity import activity_keys
from mutt_appliance.queueing.keys import KeySpace
from tests.support.audit import audit_row, write_audit_rows
from tests.support.waiting import wait_until
from tests.webui.conftest import Api

LINK = {
    "match_string": "LINK", "priority": 10, "prod_handling": "Page_and_ticket", "dev_handling": "Log_only",
    "team_assignment": "NETO",
}  # fmt: skip
EVENT = {"hostname": "r1", "message": "%LINK-3-UPDOWN: Gi0/1 down", "syslog_severity": 3}


def made(api: Api, **fields: Any) -> int:
    answer = api("POST", "/rules", {**LINK, **fields})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def tried(api: Api, event: dict[str, Any], **more: Any) -> Any:
    answer = api("POST", "/rules/test", {"event": event, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_winner_its_decision_and_why_the_others_lost(api: Api) -> None:
    won = made(api)
    later = made(api, match_string="UPDOWN", priority=20, team_assignment=None)
    severe = made(api, match_string="Gi0/1", priority=5, syslog_severity=1)
    made(api, match_string="nothing like it")
    found = tried(api, EVENT)
    assert (found["rule"]["id"], found["handling"], found["environment"]) == (won, "Page_and_ticket", "prod")
    assert (found["team"], found["team_from"], found["forwarded"]) == ("NETO", "rule", True)
    assert [(each["id"], each["why"]) for each in found["others"]] == [
        (severe, "it wants severity 1, the event has 3"),
        (later, "it matches too, but its priority 20 is tried later"),
    ]
    assert found["others_total"] == 2


def test_the_team_may_come_from_the_host_or_be_the_default(api: Api) -> None:
    made(api, team_assignment=None)
    assert (tried(api, EVENT)["team"], tried(api, EVENT)["team_from"]) == ("NETO", "default")
    api("POST", "/teams", {"hostname": "R1", "team_assignment": "CORE"})
    api("POST", "/dev-hosts", {"hostname": "lab"})

    wait_until(lambda: tried(api, EVENT)["team"] == "CORE", message="the host has a team")
    assert tried(api, EVENT)["team_from"] == "host"
    dev = tried(api, {**EVENT, "hostname": "LAB"})
    assert (dev["environment"], dev["handling"], dev["forwarded"]) == ("dev", "Log_only", False)


def test_an_event_without_a_rule_is_counted_by_its_pattern(api: Api) -> None:
    found = tried(api, {"hostname": "r1", "message": "fan 7 <script>"})
    assert (found["rule"], found["handling"], found["pattern"]) == (None, None, "fan # <script>")


def test_a_rule_that_is_not_saved_is_tried_beside_the_others(api: Api) -> None:
    there = made(api)
    draft = {**LINK, "match_string": "UPDOWN", "priority": 1}
    found = tried(api, EVENT, rule=draft)
    assert (found["rule"]["id"], found["rule"]["match_string"]) == (None, "UPDOWN")
    assert found["others"][0]["id"] == there
    assert api("GET", "/rules").json()["total"] == 1
    # The same priority: who is there first is tried first.
    assert tried(api, EVENT, rule={**draft, "priority": 10})["rule"]["id"] == there
    # It takes the place of the one it is to become.
    assert tried(api, EVENT, rule={**draft, "match_string": "no"}, replaces=there)["rule"] is None
    assert tried(api, EVENT, rule={**draft, "is_active": False})["rule"]["id"] == there


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"event": {"message": "m"}}, "body.event", "hostname is missing"),
        ({"event": {**EVENT, "syslog_severity": "loud"}}, "body.event", "syslog_severity"),
        ({"event": EVENT, "rule": {**LINK, "match_type": "regex", "match_string": "("}},
         "body.rule.match_string", "is not a regular expression"),
        ({"event": [1]}, "body.event", "dictionary"),
    ],
)  # fmt: skip
def test_what_cannot_be_tried_is_refused_in_words(api: Api, body: Any, field: str, words: str) -> None:
    answer = api("POST", "/rules/test", body)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["field"] == field
    assert words in fault["message"]


def test_a_rule_is_tried_on_what_came_in_lately(api: Api, settings: Settings, client: redis.Redis) -> None:
    there = made(api)
    now = datetime.now(UTC)
    write_audit_rows(
        settings,
        (
            audit_row(
                n, received_at=now - timedelta(seconds=n), message=f"%LINK-3-UPDOWN: Gi0/{n}", rule_id=there
            )
            for n in range(30)
        ),
    )
    *_, patterns, samples = activity_keys(KeySpace(settings), time.time())
    client.zadd(patterns, {"aa": 5})
    client.hset(samples, "aa", json.dumps({"hostname": "r2", "message": "UPDOWN of a fan"}))
    draft = {**LINK, "match_string": "UPDOWN", "priority": 50}
    found = api("POST", "/rules/test-recent", {"rule": draft, "last": 20}).json()
    assert (found["tried"], found["matched"], found["would_win"], found["unhandled_patterns"]) == (
        21,
        21,
        1,
        1,
    )
    assert len(found["samples"]) == 20
    assert found["samples"][0]["wins"] is False
    won = api("POST", "/rules/test-recent", {"rule": {**draft, "priority": 1}, "last": 20}).json()
    assert won["would_win"] == 21
