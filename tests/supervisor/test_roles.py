"""The table of pools."""

from __future__ import annotations

from mutt_appliance.config import Settings
from mutt_appliance.config.checks import PORTS
from mutt_appliance.supervisor.roles import new_run_id, pools


def test_the_schema_comes_first_and_the_intake_last() -> None:
    table = sorted(pools(Settings()), key=lambda pool: pool.level)
    assert [pool.role for pool in table] == ["migrator", "webui", "alerter", "forwarder", "ingestor"]


def test_every_port_has_exactly_one_pool() -> None:
    assert sorted(field for pool in pools(Settings()) for field in pool.sockets.values()) == sorted(PORTS)


def test_without_forwarders_there_is_no_pool_of_them() -> None:
    assert "forwarder" not in {pool.role for pool in pools(Settings(forwarder_workers=0))}


def test_worker_names_follow_the_specification() -> None:
    run_id = new_run_id()
    by_role = {pool.role: pool for pool in pools(Settings())}
    assert by_role["alerter"].worker_name(None, run_id, 2) == f"alerter-{run_id}-2"
    assert by_role["forwarder"].worker_name(None, run_id, 0) == f"moog-forwarder-{run_id}-0"
    assert by_role["forwarder"].worker_name("pod-7", run_id, 0) == "pod-7-0"
    assert new_run_id() != run_id
