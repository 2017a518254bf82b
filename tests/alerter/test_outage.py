"""While an outage of Moogsoft lasts, and until its backlog is gone, no alert is shed."""

from __future__ import annotations

import threading

from mutt_appliance.alerter.outage import OutageWatch
from mutt_appliance.queueing.client import blocking_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.shards import Shard
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings, Stores


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
