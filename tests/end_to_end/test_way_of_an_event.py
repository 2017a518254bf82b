"""One event's way through the appliance, and what of the world outside changes it."""

from __future__ import annotations

import gzip
import json

from tests.support.line import MATCHED, Line, event, new_id
from tests.support.rules import add_rules, reload_rules, rule
from tests.support.waiting import wait_until

THRESHOLD = 5
ENVIRONMENT = {
    "UNHANDLED_THRESHOLD": str(THRESHOLD),
    "INGESTOR_WORKERS": "2",
    "ALERTER_WORKERS": "2",
    "FORWARDER_WORKERS": "2",
}


def test_a_correlation_id_reaches_the_audit_row_and_the_webhook(line: Line) -> None:
    event_id, correlation_id = new_id("event"), new_id("correlation")
    answer = line.post(event(event_id=event_id), {"X-Correlation-ID": correlation_id})
    assert answer.headers["X-Correlation-ID"] == answer.body["correlation_id"] == correlation_id
    delivered = line.wait_delivered(event_id)
    assert delivered["custom_info"]["correlation_id"] == correlation_id
    (row,) = line.rows(event_id)
    assert row["correlation_id"] == row["raw_event"]["correlation_id"] == correlation_id


def test_an_event_gets_ids_when_its_sender_gave_none(line: Line) -> None:
    answer = line.post(event())
    (event_id,) = answer.body["event_ids"]
    delivered = line.wait_delivered(event_id)
    assert delivered["custom_info"]["correlation_id"] == answer.headers["X-Correlation-ID"]
    assert delivered["external_id"] == line.rows(event_id)[0]["alert_id"]


def test_an_event_sent_again_is_audited_and_delivered_once(line: Line) -> None:
    event_id = new_id("again")
    once = event(event_id=event_id)
    assert line.post(once).body["queued"] == 1
    assert [line.post(once).body["duplicates"] for _ in range(3)] == [1, 1, 1]
    twice_in_one = line.post([once, once]).body
    assert (twice_in_one["queued"], twice_in_one["duplicates"]) == (0, 2)
    line.wait_delivered(event_id)
    line.good_event_passes()
    assert len(line.rows(event_id)) == 1
    assert len(line.delivered(event_id)) == 1


def test_one_id_twice_in_a_request_is_one_event(line: Line) -> None:
    event_id = new_id("twin")
    body = line.post([event(event_id=event_id), event(event_id=event_id)]).body
    assert (body["queued"], body["duplicates"]) == (1, 1)
    line.wait_delivered(event_id)
    line.good_event_passes()
    assert len(line.rows(event_id)) == 1


def test_gzip_is_unpacked_also_when_it_comes_in_members(line: Line) -> None:
    ids = [new_id("gzip") for _ in range(2)]
    body = b"".join(gzip.compress(json.dumps(event(event_id=each)).encode() + b"\n") for each in ids)
    assert line.post(body, {"Content-Encoding": "gzip"}).body["queued"] == 2
    for each in ids:
        line.wait_delivered(each)


def test_a_changed_rule_takes_effect_on_sighup_and_no_process_is_replaced(line: Line) -> None:
    before = line.appliance.children()
    word = new_id("NEWRULE")
    first, second = new_id("before"), new_id("after")
    assert line.post(event(event_id=first, message=word, hostname=first)).status == 200
    line.good_event_passes()
    add_rules(line.postgres, line.database, [rule(word, "Ticket_only", team_assignment="CORE")])
    reload_rules(line.appliance, alerters=2)
    assert line.post(event(event_id=second, message=word)).status == 200
    line.wait_delivered(second)
    (row,) = line.rows(second)
    assert (row["handling"], row["team"], row["forwarded"]) == ("Ticket_only", "CORE", True)
    assert line.rows(first) == []
    assert line.appliance.children() == before


def test_what_is_only_logged_or_suppressed_is_audited_and_not_delivered(line: Line) -> None:
    rules = [rule("LOGGED", "Log_only"), rule("SUPPRESSED", "Suppress")]
    add_rules(line.postgres, line.database, rules)
    reload_rules(line.appliance, alerters=2)
    for word in ("LOGGED", "SUPPRESSED"):
        event_id = new_id(word)
        line.post(event(event_id=event_id, message=f"{word} 7"))
        (row,) = wait_until(lambda event_id=event_id: line.rows(event_id), 15, word)  # type: ignore[misc]
        assert row["forwarded"] is False
        line.good_event_passes()
        assert line.delivered(event_id) == []


def test_a_development_host_is_handled_by_the_other_column(line: Line) -> None:
    host = new_id("lab")
    line.postgres.execute(f"INSERT INTO development_hosts (hostname) VALUES ('{host}')", line.database)
    reload_rules(line.appliance, alerters=2)
    event_id = new_id("dev")
    line.post(event(event_id=event_id, hostname=host.upper(), message=MATCHED))
    (row,) = wait_until(lambda: line.rows(event_id), 15, "the audit row")
    assert (row["environment"], row["handling"], row["forwarded"]) == ("dev", "Log_only", False)


def test_the_threshold_of_an_unmatched_pattern_makes_one_meta_alert(line: Line) -> None:
    host = new_id("chatty")
    ids = [f"{host}-{n}" for n in range(4 * THRESHOLD)]
    for n, event_id in enumerate(ids):
        body = event(event_id=event_id, hostname=host, message=f"fan {n} spins at {n * 100} rpm")
        assert line.post(body).body["queued"] == 1
    metas = wait_until(lambda: meta_rows(line, host), 15, "the meta-alert")
    wait_until(lambda: counted(line, host) == len(ids), 15, "all are counted")
    line.good_event_passes()
    assert len(meta_rows(line, host)) == 1
    (meta,) = metas
    assert meta.startswith(f"unhandled-{host}-")
    delivered = line.wait_delivered(meta)
    assert delivered["class"] == "unhandled"
    assert delivered["source"] == host
    assert int(delivered["custom_info"]["unhandled"]["count"]) >= THRESHOLD
    (row,) = line.rows(meta)
    assert (row["rule_id"], row["handling"], row["team"]) == (None, "Ticket_only", "NETO")


def meta_rows(line: Line, host: str) -> list[str]:
    """Event ids of the meta-alerts about a host."""
    sql = f"SELECT event_id FROM event_audit_log WHERE hostname = '{host}' AND raw_event ? 'mutt_meta'"
    return [str(event_id) for (event_id,) in line.postgres.execute(sql, line.database)]


def counted(line: Line, host: str) -> int:
    """Unmatched events of a host, before and after its threshold."""
    keys = [key for key in line.redis.scan_iter("mutt:unhandled:*") if f":{host}:".encode() in key]
    return sum(int(line.redis.get(key) or 0) for key in keys)
