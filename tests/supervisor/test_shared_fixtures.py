"""The fixtures that other tests stand on."""

from __future__ import annotations

import psycopg2
import pytest
import redis

from tests.conftest import MakeSettings, Stores
from tests.support.children import ChildFactory
from tests.support.servers import RedisServer


def test_settings_lead_to_an_empty_redis_and_an_empty_database(make_settings: MakeSettings) -> None:
    settings = make_settings(alerter_batch_size=7)
    client = redis.Redis(unix_socket_path=settings.redis_address)
    assert client.dbsize() == 0
    connection = psycopg2.connect(
        host=settings.db_address, port=settings.db_port, user=settings.db_user, dbname=settings.db_name
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,)
    connection.close()
    client.close()
    assert settings.alerter_batch_size == 7


def test_child_reports_reach_the_test(make_settings: MakeSettings, child_for: ChildFactory) -> None:
    child = child_for("alerter", make_settings())
    child.ready(rules=3)
    assert [m["kind"] for m in child_for.reports(child)] == ["ready", "beat"]


def test_a_redis_killed_with_appendfsync_always_has_its_data_after_restart() -> None:
    server = RedisServer(appendfsync="always")
    try:
        server.start()
        with server.client() as client:
            client.set("kept", "yes")
        server.kill()
        server.start()
        with server.client() as client:
            assert client.get("kept") == b"yes"
    finally:
        server.close()


def test_a_paused_postgres_is_silent_and_answers_after_resume(stores: Stores) -> None:
    stores.postgres.pause()
    with pytest.raises(psycopg2.OperationalError, match="timeout"):
        stores.postgres.connect(timeout_secs=2)
    stores.postgres.resume()
    assert stores.postgres.execute("SELECT 1") == [(1,)]
