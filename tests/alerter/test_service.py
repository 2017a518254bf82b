"""The alerter on a real Redis and a real PostgreSQL, in this process."""

from __future__ import annotations

import hashlib
import json
import time

from mutt_appliance.queueing.client import blocking_client
from mutt_appliance.secrets import Secrets
from mutt_appliance.telemetry.metrics import secrets_in_use
from tests.alerter.conftest import RULE, Alerter, StartAlerter
from tests.conftest import MakeSettings, Stores
from tests.support.children import ChildFactory
from tests.support.waiting import free_port, wait_until


def test_matched_events_are_audited_once_and_alerted(start: StartAlerter) -> None:
    alerter = start(("contains", "down"))
    alerter.queue("link down", "hello", "LINK DOWN")
    wait_until(lambda: alerter.client.llen(alerter.keys.alert_queue) == 2, message="two alerts")
    assert alerter.audited() == ["e0", "e2"]
    # The same events again, as after a crash between audit and settlement: audited once all the same.
    alerter.queue("link down")
    wait_until(lambda: alerter.client.llen(alerter.keys.alert_queue) == 3, message="the alert comes again")
    assert alerter.audited() == ["e0", "e2"]
    assert alerter.metric('mutt_alerter_events_processed_total{status="handled"}') == 3
    assert alerter.metric('mutt_alerter_events_processed_total{status="unhandled"}') == 1


def test_a_stop_leaves_no_list_and_no_lease(start: StartAlerter) -> None:
    alerter = start(("contains", "x"))
    wait_until(lambda: alerter.client.keys("mutt:heartbeat:*"), message="it is registered")
    client = blocking_client(alerter.settings, Secrets(), "test")
    alerter.stop()
    assert client.keys("mutt:heartbeat:*") == []
    assert client.keys("mutt:processing:*") == []
    client.close()


def test_sighup_loads_a_changed_rule_and_tells_the_supervisor(
    start: StartAlerter, child_for: ChildFactory
) -> None:
    alerter = start(("contains", "first"))
    alerter.sql(RULE.format(kind="contains", text="second"))
    alerter.sql(RULE.format(kind="regex", text="broken("))
    alerter.child.request_reload()
    told = wait_until(
        lambda: [r for r in child_for.reports(alerter.child) if r["kind"] == "reload"],
        message="it is confirmed",
    )
    assert (told[0]["ok"], told[0]["rules"], told[0]["rule_errors"]) == (True, 2, 1)
    alerter.queue("second")
    wait_until(lambda: alerter.audited() == ["e0"], message="the new rule is in force")
    assert alerter.metric("mutt_alerter_cache_rule_errors") == 1


def test_a_changed_rule_is_taken_on_word_of_it(start: StartAlerter) -> None:
    alerter = start(("contains", "first"))
    wait_until(
        lambda: alerter.client.pubsub_numsub(alerter.keys.changes)[0][1] == 1,
        message="it listens for changes",
    )
    alerter.sql(RULE.format(kind="contains", text="second"))
    alerter.client.publish(alerter.keys.changes, "rules")
    wait_until(
        lambda: alerter.metric("mutt_alerter_cache_rules_count") == 2, message="the new rule is in force"
    )


def test_rules_are_loaded_again_by_themselves(start: StartAlerter) -> None:
    alerter = start(("contains", "first"), cache_reload_interval=1)
    alerter.sql(RULE.format(kind="contains", text="second"))
    wait_until(lambda: alerter.metric("mutt_alerter_cache_rules_count") == 2, message="the timed reload")


def test_unhandled_events_make_one_audited_meta_alert(start: StartAlerter) -> None:
    alerter = start(unhandled_threshold=10)
    alerter.queue(*[f"strange thing {number}" for number in range(25)])
    wait_until(lambda: alerter.client.llen(alerter.keys.alert_queue) == 1, message="the meta-alert")
    alert = json.loads(alerter.client.lindex(alerter.keys.alert_queue, 0))  # type: ignore[arg-type]
    assert alert["team"] == alerter.settings.unhandled_default_team
    assert alert["rule_id"] is None
    assert alerter.audited() == [alert["event_id"]]
    alerter.queue(*["strange thing 7"] * 30, first=100)
    wait_until(
        lambda: alerter.metric('mutt_alerter_events_processed_total{status="unhandled"}') == 55, message="all"
    )
    assert alerter.client.llen(alerter.keys.alert_queue) == 1


def test_alerts_are_shed_to_the_dead_letters_above_the_threshold(start: StartAlerter) -> None:
    alerter = start(("contains", "down"), alerter_queue_warn_threshold=2, alerter_queue_shed_threshold=3)
    alerter.client.lpush(alerter.keys.alert_queue, "1", "2", "3")
    alerter.queue("down")
    wait_until(lambda: alerter.client.llen(alerter.keys.events.dead) == 1, message="it is shed")
    assert alerter.audited() == ["e0"], "what is shed is audited all the same"
    assert alerter.metric('mutt_alerter_shed_events_total{mode="dlq"}') == 1


def test_deferring_leaves_events_where_they_are_until_there_is_room(start: StartAlerter) -> None:
    alerter = start(
        ("contains", "down"),
        alerter_queue_warn_threshold=2,
        alerter_queue_shed_threshold=3,
        alerter_shed_mode="defer",
        alerter_defer_sleep_ms=20,
    )
    alerter.client.lpush(alerter.keys.alert_queue, "1", "2", "3")
    wait_until(
        lambda: alerter.metric('mutt_alerter_shed_events_total{mode="defer"}') > 5, 20, message="it defers"
    )
    alerter.queue(*["down"] * 50)
    before = alerter.metric('mutt_alerter_shed_events_total{mode="defer"}')
    wait_until(
        lambda: alerter.metric('mutt_alerter_shed_events_total{mode="defer"}') > before + 5, message="turns"
    )
    # A worker that was still waiting for an event when the queue became deep may have got one.
    assert alerter.client.llen(alerter.keys.ingest_queue) >= 50 - alerter.settings.alerter_batches_at_once
    alerter.client.delete(alerter.keys.alert_queue)
    wait_until(lambda: len(alerter.audited()) == 50, message="the work goes on")


def test_events_wait_while_the_database_is_away(start: StartAlerter, stores: Stores) -> None:
    alerter = start(("contains", "down"))
    stores.postgres.kill()
    try:
        alerter.queue(*["down"] * 20)
        wait_until(lambda: not alerter.child.health.ok, message="health tells")
    finally:
        stores.postgres.start()
    wait_until(lambda: len(alerter.audited()) == 20, 20, message="all are audited")
    wait_until(lambda: alerter.client.llen(alerter.keys.alert_queue) == 20, message="all are alerted")
    wait_until(lambda: alerter.child.health.ok, message="it is well again")


def test_a_killed_workers_events_come_to_another(start: StartAlerter) -> None:
    alerter = start(("contains", "down"), alerter_janitor_timeout=1)
    dead = alerter.keys.events.processing("killed")
    alerter.queue("down")
    wait_until(lambda: alerter.audited() == ["e0"], message="it works")
    alerter.client.sadd(alerter.keys.events.workers, "killed")
    alerter.client.lpush(
        dead,
        json.dumps(
            {"event_id": "lost", "hostname": "h", "message": "down", "received_at": "2026-11-24T02:00:00Z"}
        ),
    )
    wait_until(lambda: "lost" in alerter.audited(), message="the janitor brings it back")
    assert alerter.metric("mutt_alerter_recovered_events_total") == 1


def test_an_event_that_kills_is_given_up_with_its_reason(start: StartAlerter) -> None:
    alerter = start(("contains", "down"))
    item = json.dumps(
        {"event_id": "k", "hostname": "h", "message": "down", "received_at": "2026-11-24T02:00:00Z"}
    )
    digest = hashlib.sha1(item.encode(), usedforsecurity=False).hexdigest()
    alerter.client.hset(alerter.keys.events.suspects, digest, 2 + alerter.settings.alerter_max_retries)
    alerter.client.lpush(alerter.keys.ingest_queue, item)
    wait_until(lambda: alerter.client.llen(alerter.keys.events.dead) == 1, message="it is a dead letter")
    letter = json.loads(alerter.client.lindex(alerter.keys.events.dead, 0))  # type: ignore[arg-type]
    assert "workers died" in letter["reason"]
    assert letter["payload"]["event_id"] == "k"
    alerter.queue("down")
    wait_until(lambda: alerter.audited() == ["e0"], message="the others go on")


def test_a_changed_setting_is_in_force_at_once(start: StartAlerter) -> None:
    alerter = start(unhandled_threshold=1000)
    alerter.queue(*["odd message"] * 20)
    wait_until(
        lambda: alerter.metric('mutt_alerter_events_processed_total{status="unhandled"}') == 20,
        message="counted",
    )
    wait_until(lambda: alerter.client.pubsub_numsub(alerter.keys.changes)[0][1] == 1, message="it listens")
    alerter.client.hset(alerter.keys.config, "unhandled_threshold", '{"value":25,"version":1}')
    alerter.client.publish(alerter.keys.changes, "config")

    def reported() -> bool:
        # An event at a time: the fifth of them is the 25th, and none is reported by the old threshold.
        alerter.queue("odd message", first=100)
        return int(alerter.client.llen(alerter.keys.alert_queue)) == 1

    wait_until(reported, 5, "the meta-alert of the new threshold")


def test_a_frozen_database_costs_no_life_and_no_event(
    start: StartAlerter, stores: Stores, child_for: ChildFactory
) -> None:
    alerter = start(("contains", "down"), db_statement_timeout=1, db_connect_timeout=2, liveness_timeout=1)
    alerter.queue("link down")
    wait_until(lambda: alerter.audited() == ["e0"], message="it works")
    child_for.reports(alerter.child)
    stores.postgres.pause()
    try:
        alerter.queue("link down", first=1)
        silence_secs, last_beat = 0.0, time.monotonic()
        until = last_beat + 5
        while time.monotonic() < until:
            if any(report["kind"] == "beat" for report in child_for.reports(alerter.child)):
                last_beat = time.monotonic()
            silence_secs = max(silence_secs, time.monotonic() - last_beat)
            time.sleep(0.05)
        assert silence_secs < 1, "the supervisor would have killed it"
        component = json.loads((alerter.settings.mutt_runtime_dir / "health/alerter-0.json").read_text())
        assert "given up" in component["components"]["database"]["detail"]
    finally:
        stores.postgres.resume()
    wait_until(lambda: alerter.audited() == ["e0", "e1"], 20, "the event is audited")


def test_an_alerter_that_starts_without_a_database_leaves_the_events_where_they_are(
    start: StartAlerter, stores: Stores, child_for: ChildFactory, make_settings: MakeSettings
) -> None:
    first = start(("contains", "down"))
    first.stop()
    other_ports = {name: free_port() for name in ("metrics_port_alerter", "health_port_alerter")}
    stores.postgres.kill()
    try:
        second = Alerter(child_for("alerter", make_settings(**other_ports)), stores)
        second.queue("link down", first=7)
        health = second.settings.mutt_runtime_dir / "health/alerter-0.json"
        wait_until(
            lambda: "so no event is processed" in (health.read_text() if health.exists() else ""),
            message="it says what it waits for",
        )
        assert second.client.llen(second.keys.ingest_queue) == 1
        assert second.client.keys("mutt:processing:*") == []
    finally:
        stores.postgres.start()
    wait_until(lambda: second.audited() == ["e7"], 20, "the event is audited")
    second.stop()


def test_a_reload_makes_every_connection_anew(start: StartAlerter) -> None:
    # One for each process; this one has been several alerters.
    secrets_in_use.cache_clear()
    alerter = start(("contains", "down"))

    def backends() -> set[int]:
        name = alerter.settings.db_name
        rows = alerter.sql(
            f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND application_name LIKE 'mutt alerter%'"
        )
        return {row[0] for row in rows}

    before = wait_until(backends, message="it is connected")
    alerter.child.request_reload()
    wait_until(lambda: (now := backends()) and not now & before, message="every connection is new")
    assert alerter.metric('mutt_secrets_in_use{secret="db_pass",which="current"}') == 1
    assert alerter.metric('mutt_secrets_in_use{secret="db_pass",which="next"}') == 0
