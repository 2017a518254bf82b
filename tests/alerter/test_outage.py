"""While an outage of Moogsoft lasts, and until its backlog is gone, no alert is shed."""

from __future__ import annotations

import threading

from mutt_appliance.alerter.outage import OutageWatch
from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import blocking_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.shards import Shard
from mutt_appliance.secrets import Secrets
from tests.alerter.conftest import StartAlerter
from tests.conftest import MakeSettings, Stores
from tests.support.waiting import wait_until


def test_it_lasts_until_the_queue_is_shallow_again(make_settings: MakeSettings, stores: Stores) -> None:
    settings, client = make_settings(), stores.redis.client()
    keys = KeySpace(settings)
    shallow = threading.Event()
    home = Shard(0, blocking_client(settings, Secrets, "test"), keys)
    watch = OutageWatch(home, threading.Event(), shallow.is_set)

    def lasts() -> bool:
        watch.look()
        return watch.lasts

    assert not lasts()
    client.hset(keys.circuit, mapping={"opened_at": "1764000000000", "backlog": "1"})
    assert lasts()
    shallow.set()
    assert lasts(), "it is still open"
    shallow.clear()
    client.hdel(keys.circuit, "opened_at")
    assert lasts(), "its backlog waits"
    shallow.set()
    lasts()
    assert not lasts()
    assert client.exists(keys.circuit) == 0
    home.client.close()
    client.close()


def test_an_alerter_that_starts_while_the_backlog_waits_sheds_nothing(
    start: StartAlerter, stores: Stores
) -> None:
    keys = KeySpace(Settings())
    with stores.redis.client() as client:
        client.hset(keys.circuit, "backlog", "1")
        client.lpush(keys.alert_queue, "1", "2", "3")
    alerter = start(("contains", "down"), alerter_queue_warn_threshold=2, alerter_queue_shed_threshold=3)
    alerter.queue("down")
    wait_until(lambda: alerter.audited() == ["e0"], message="it is worked off")
    places = alerter.keys.alert_queue, alerter.keys.events.dead
    wait_until(lambda: sum(alerter.client.llen(place) for place in places) == 4, message="it is settled")
    assert alerter.client.llen(alerter.keys.events.dead) == 0
    assert alerter.client.hexists(keys.circuit, "backlog")
    alerter.client.delete(keys.alert_queue)
    wait_until(lambda: not alerter.client.exists(keys.circuit), message="now it is gone")
