"""What the doctor makes of facts, without any server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mutt_appliance.config.addresses import Address
from mutt_appliance.doctor.appliance import judge_health, ports_of_unit
from mutt_appliance.doctor.certificates import judge_key_mode, judge_names
from mutt_appliance.doctor.configuration import DAY_SECS, judge_expiry
from mutt_appliance.doctor.database import DatabaseFacts, judge_database
from mutt_appliance.doctor.feeders import (
    Hook,
    judge_hook,
    judge_selinux,
    judge_syntax,
    port_types,
    without_comments,
)
from mutt_appliance.doctor.findings import Finding, Status, exit_code
from mutt_appliance.doctor.host import (
    GIB,
    TIME_ERROR,
    judge_clock_state,
    judge_disk,
    judge_kernel,
    judge_program,
    judge_unpacking,
)
from mutt_appliance.doctor.outside import judge_vault
from mutt_appliance.doctor.programs import Answer
from mutt_appliance.doctor.redis_store import (
    RedisFacts,
    judge_clock,
    judge_redis,
    judge_replicas,
    judge_witnesses,
)
from mutt_appliance.queueing.locating import Heard, Word

REPOSITORY = Path(__file__).resolve().parents[2]
WELL_REDIS = RedisFacts(
    {"redis_version": "6.2.7", "role": "master", "connected_slaves": 1, "aof_enabled": 1},
    {"maxmemory-policy": "noeviction", "appendonly": "yes", "save": ""},
    ping_ms=0.1,
)
NOW = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
WELL_DATABASE = DatabaseFacts(
    130_010,
    in_recovery=False,
    ahead_secs=0.0,
    needed=frozenset({"0001_a", "0002_b"}),
    applied=frozenset({"0001_a", "0002_b"}),
    partitions=("event_audit_log_2026_12", "event_audit_log_2027_01"),
)
SEMANAGE = """SELinux Port Type              Proto    Port Number

http_cache_port_t              tcp      8080, 8118, 8123, 10001-10010
syslogd_port_t                 tcp      601, 20514
syslogd_port_t                 udp      514, 601, 20514
unreserved_port_t              tcp      61001-65535, 1024-32767
"""


def bad(findings: Iterable[Finding]) -> dict[str, Status]:
    """Status by id of all that is not well; whatever is not well has a way out."""
    found: dict[str, Status] = {}
    for finding in findings:
        if finding.status != "ok":
            assert finding.advice, finding
            found[finding.id] = finding.status
    return found


def test_a_redis_as_it_should_be_has_nothing_against_it() -> None:
    assert bad(judge_redis(WELL_REDIS)) == {}


@pytest.mark.parametrize(
    ("info", "config", "identity", "status"),
    [
        ({"redis_version": "6.0.16"}, {}, "redis.version", "error"),
        ({"redis_version": "5.0.3"}, {}, "redis.version", "error"),
        ({}, {"maxmemory-policy": "allkeys-lru"}, "redis.eviction", "error"),
        ({"aof_enabled": 0}, {"save": "3600 1"}, "redis.persistence", "warning"),
        ({"aof_enabled": 0}, {}, "redis.persistence", "warning"),
        ({"aof_last_write_status": "err"}, {}, "redis.persistence", "error"),
        ({"role": "slave"}, {}, "redis.role", "error"),
        ({"maxmemory": 1000, "used_memory": 800}, {}, "redis.memory", "warning"),
        ({"maxmemory": 1000, "used_memory": 1000}, {}, "redis.memory", "error"),
        ({"total_system_memory": 1000, "used_memory": 800}, {}, "redis.memory", "warning"),
    ],
)
def test_what_is_wrong_with_a_redis(
    info: dict[str, object], config: dict[str, str], identity: str, status: Status
) -> None:
    facts = replace(WELL_REDIS, info=WELL_REDIS.info | info, config=WELL_REDIS.config | config)
    assert bad(judge_redis(facts)) == {identity: status}


def test_where_config_is_forbidden_info_has_the_policy() -> None:
    facts = replace(WELL_REDIS, info=WELL_REDIS.info | {"maxmemory_policy": "volatile-ttl"}, config={})
    assert bad(judge_redis(facts)) == {"redis.eviction": "error"}


ONE, OTHER = (Word(epoch, Address(f"192.0.2.{epoch}", 6379)) for epoch in (1, 2))
FOLLOWED = {
    "slave0": {"ip": "192.0.2.2", "port": 6379, "state": "online"},
    "slave1": {"ip": "192.0.2.3", "port": 6379, "state": "online"},
    "min_slaves_good_slaves": 2,
}


@pytest.mark.parametrize(
    ("words", "findings"),
    [
        ([ONE, ONE, ONE], {}),
        ([ONE, ONE, None], {"redis.sentinels": "warning"}),
        ([ONE, None, None], {"redis.sentinels": "error"}),
        ([None, None, None], {"redis.sentinels": "error"}),
        ([ONE, OTHER, OTHER], {"redis.sentinels-agree": "warning"}),
    ],
)
def test_sentinels_that_are_silent_or_disagree_are_told(
    words: list[Word | None], findings: dict[str, str]
) -> None:
    heard = [Heard(Address(f"s{n}", 26379), word, "" if word else "timeout") for n, word in enumerate(words)]
    assert bad(judge_witnesses("Sentinels", heard)) == findings


@pytest.mark.parametrize(
    ("info", "wanted", "status"),
    [
        (FOLLOWED, 1, "ok"),
        (FOLLOWED, 2, "warning"),
        (FOLLOWED, 3, "error"),
        ({"slave0": {"state": "wait_bgsave"}}, 1, "error"),
        ({"slave0": {"state": "online"}}, 0, "warning"),
        ({}, 0, "ok"),
    ],
)
def test_replicas_are_held_against_what_is_waited_for(info: dict[str, Any], wanted: int, status: str) -> None:
    assert judge_replicas(info, wanted).status == status


def test_a_slow_redis_and_one_with_another_time_are_told() -> None:
    facts = replace(WELL_REDIS, ping_ms=50.0, ahead_secs=-61.0)
    assert bad(judge_redis(facts)) == {"redis.latency": "warning", "redis.clock": "warning"}
    assert judge_clock("redis.clock", "Redis", -61.0).seen == "the clock of Redis is 61 s behind"


def test_a_database_as_it_should_be_has_nothing_against_it() -> None:
    assert bad(judge_database(WELL_DATABASE, NOW)) == {}
    assert bad(judge_database(replace(WELL_DATABASE, hosts=2, synchronous_standbys="*"), NOW)) == {}


@pytest.mark.parametrize(
    ("facts", "identity", "status"),
    [
        (replace(WELL_DATABASE, version_number=100_023), "database.version", "error"),
        (replace(WELL_DATABASE, in_recovery=True), "database.writable", "error"),
        (replace(WELL_DATABASE, applied=frozenset({"0001_a"})), "database.migrations", "error"),
        (replace(WELL_DATABASE, needed=frozenset({"0001_a"})), "database.migrations", "warning"),
        (
            replace(WELL_DATABASE, partitions=("event_audit_log_2026_12",)),
            "database.partitions",
            "warning",
        ),
        (replace(WELL_DATABASE, ahead_secs=7.0), "database.clock", "warning"),
        (replace(WELL_DATABASE, hosts=2), "database.replication", "warning"),
    ],
)
def test_what_is_wrong_with_a_database(facts: DatabaseFacts, identity: str, status: Status) -> None:
    assert bad(judge_database(facts, NOW)) == {identity: status}


def hook_of(name: str, mode: int = 0o600, **changes: str) -> Hook:
    path = REPOSITORY / "etc" / "rsyslog.d" / f"60-mutt-{name}.conf"
    text = without_comments(path.read_text(encoding="utf-8"))
    for old, new in changes.items():
        text = text.replace(old.replace("_", "-"), new)
    return Hook(path, text, name, mode)


def test_our_own_rsyslog_files_have_nothing_against_them_but_the_placeholder() -> None:
    assert bad(judge_hook(hook_of("omprog"), 8080)) == {}
    assert bad(judge_hook(hook_of("omhttp"), 8080)) == {"rsyslog.key": "error"}
    assert bad(judge_hook(hook_of("omhttp", CHANGE_ME="a-key"), 8080)) == {}


@pytest.mark.parametrize(
    ("old", "new", "identity"),
    [
        ('batch="off"', 'batch="on"', "rsyslog.batch"),
        ('errorfile="/var/log/mutt-omhttp-errors.log"', "", "rsyslog.errorfile"),
        ('action.resumeRetryCount="-1"', "", "rsyslog.retry"),
        ('queue.filename="mutt"', "", "rsyslog.queue"),
        ('serverport="8080"', 'serverport="8514"', "rsyslog.port"),
    ],
)
def test_each_setting_that_loses_events_is_told(old: str, new: str, identity: str) -> None:
    hook = hook_of("omhttp", CHANGE_ME="a-key")
    assert old in hook.text
    assert set(bad(judge_hook(replace(hook, text=hook.text.replace(old, new)), 8080))) == {identity}


@pytest.mark.parametrize(
    ("module", "old", "new", "wrong"),
    [
        ("omhttp", "", "", True),
        ("omhttp", 'usehttps="off"', 'usehttps="on"', False),
        ("omhttp", 'server="127.0.0.1"', 'server="mutt.example.net"', False),
        ("omprog", "", "", True),
        ("omprog", "rsyslog-forward", "rsyslog-forward --url http://127.0.0.1:8080/ingest", True),
        ("omprog", "rsyslog-forward", "rsyslog-forward --url https://mutt:8080/ingest", False),
    ],
)
def test_an_output_without_tls_to_a_door_with_tls_is_an_error(
    module: str, old: str, new: str, wrong: bool
) -> None:
    hook = hook_of(module, CHANGE_ME="a-key")
    changed = replace(hook, text=hook.text.replace(old, new) if old else hook.text)
    assert bad(judge_hook(changed, 8080, secure=True)) == ({"rsyslog.tls": "error"} if wrong else {})


def test_a_file_with_the_key_is_for_root_alone() -> None:
    hook = hook_of("omhttp", 0o644, CHANGE_ME="a-key")
    assert bad(judge_hook(hook, 8080)) == {"rsyslog.private": "warning"}


def test_a_fault_of_rsyslogs_configuration_is_quoted() -> None:
    assert judge_syntax(Answer(0, "End of config validation run.")).status == "ok"
    finding = judge_syntax(Answer(1, "rsyslogd: version 8\nrsyslogd: error during parsing file x\n"))
    assert finding.status == "warning"
    assert "error during parsing file x" in finding.seen


@pytest.mark.parametrize(
    ("port", "status", "way_out"),
    [
        (20514, "ok", ""),
        (8080, "error", "semanage port -m -t syslogd_port_t -p tcp 8080"),
        (10005, "error", "semanage port -m -t syslogd_port_t -p tcp 10005"),
        (8514, "error", "semanage port -a -t syslogd_port_t -p tcp 8514"),
    ],
)
def test_selinux_lets_rsyslog_connect_only_to_its_own_ports(port: int, status: Status, way_out: str) -> None:
    finding = judge_selinux(True, Answer(0, SEMANAGE), port)
    assert (finding.status, finding.advice) == (status, way_out)


def test_a_permissive_selinux_only_warns() -> None:
    assert judge_selinux(False, Answer(0, SEMANAGE), 8080).status == "warning"
    assert judge_selinux(True, None, 8080).advice == "dnf install policycoreutils-python-utils"
    assert judge_selinux(True, Answer(1, ""), 8080).advice == "run this as root"


def test_udp_ports_and_catch_all_types_do_not_count() -> None:
    assert [name for name, _ in port_types(SEMANAGE)] == ["http_cache_port_t", "syslogd_port_t"]


def test_the_clock_of_the_kernel() -> None:
    assert judge_clock_state(0).status == "ok"
    assert judge_clock_state(TIME_ERROR).status == "warning"
    assert judge_clock_state(-1).status == "n/a"


@pytest.mark.parametrize(
    ("size", "free", "read_only", "status"),
    [
        (100 * GIB, 50 * GIB, False, "ok"),
        (100 * GIB, 9 * GIB, False, "warning"),
        (8 * GIB, GIB - 1, False, "warning"),
        (GIB, GIB // 2, False, "ok"),
        (100 * GIB, 50 * GIB, True, "error"),
    ],
)
def test_a_disk_that_is_nearly_full_warns(size: int, free: int, read_only: bool, status: Status) -> None:
    assert judge_disk("disk.data", Path("/data"), size, free, read_only=read_only).status == status


def test_kernel_settings_that_redis_needs_matter_only_when_we_run_it() -> None:
    def judged(*, embedded: bool) -> dict[str, Status]:
        return bad(
            judge_kernel(
                available_bytes=GIB,
                overcommit="0",
                huge_pages="[always] madvise never",
                somaxconn="128",
                embedded=embedded,
            )
        )

    assert judged(embedded=False) == {"kernel.somaxconn": "warning"}
    assert set(judged(embedded=True)) == {"kernel.somaxconn", "kernel.overcommit", "kernel.huge_pages"}


@pytest.mark.parametrize(
    ("version", "status"), [("6.2", "ok"), ("7.0", "ok"), ("6.0", "error"), ("5.0", "error"), (None, "error")]
)
def test_a_server_program_of_an_old_module_stream_is_an_error(version: str | None, status: Status) -> None:
    finding = judge_program("embedded.redis", "/usr/bin/redis-server", version, (6, 2), "dnf module enable x")
    assert finding.status == status


def test_little_memory_warns() -> None:
    findings = judge_kernel(available_bytes=1, overcommit="1", huge_pages="", somaxconn="4096", embedded=True)
    assert bad(findings) == {"memory.available": "warning"}


def test_a_folder_that_forbids_programs_is_an_error_with_a_way_out() -> None:
    assert judge_unpacking(Path("/tmp"), noexec=False).status == "ok"
    assert "TMPDIR" in judge_unpacking(Path("/tmp"), noexec=True).advice


def test_expiry_is_told_thirty_days_before() -> None:
    statuses = [judge_expiry("x", "it", days * DAY_SECS, 0).status for days in (-1, 0, 29, 31)]
    assert statuses == ["error", "error", "warning", "ok"]


@pytest.mark.parametrize(
    ("status", "seen"), [(200, "active"), (429, "standby"), (503, "sealed"), (501, "initialised")]
)
def test_vault_says_its_state_by_its_status(status: int, seen: str) -> None:
    finding = judge_vault("https://vault.example.net", status)
    assert seen in finding.seen
    assert finding.status == ("ok" if status in (200, 429) else "error")


def test_ports_of_a_socket_unit() -> None:
    shown = "Listen=[::]:8080 (Stream)\nListen=0.0.0.0:8514 (Stream)\nActiveState=active\n"
    assert ports_of_unit(shown) == {8080, 8514}
    assert ports_of_unit(shown.replace("=active", "=inactive")) == set()


def test_health_names_the_components_that_are_not_well() -> None:
    document: dict[str, object] = {
        "status": "degraded",
        "role": "alerter",
        "processes": {"alerter:0": {"components": {"database": {"ok": False, "detail": "refused"}}}},
    }
    assert "alerter:0: database: refused" in judge_health("ports.x", "X=1", document).seen
    assert judge_health("ports.x", "X=1", {"status": "ok", "role": "alerter"}).status == "ok"


def test_warnings_count_only_when_strict() -> None:
    warning, error, fine = (Finding("x", status, "") for status in ("warning", "error", "n/a"))
    assert exit_code([fine, warning], strict=False) == 0
    assert exit_code([fine, warning], strict=True) == 1
    assert exit_code([error], strict=False) == 1


@pytest.mark.parametrize(("mode", "status"), [(0o600, "ok"), (0o640, "ok"), (0o644, "warning")])
def test_a_private_key_is_not_for_everybody(mode: int, status: Status) -> None:
    assert judge_key_mode("x", "KEY", mode).status == status


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (("mutt.example.net", "192.0.2.1"), "ok"),
        (("*.example.net",), "ok"),
        (("other.example.net",), "n/a"),
        (("*.net",), "n/a"),
        ((), "error"),
    ],
)
def test_the_names_of_a_certificate_are_something_to_know(names: tuple[str, ...], status: Status) -> None:
    finding = judge_names("x", "CERT", names, "mutt.example.net")
    assert finding.status == status
    assert all(name in finding.seen for name in names)


def test_the_days_of_warning_are_a_setting() -> None:
    assert judge_expiry("x", "it", 40 * DAY_SECS, 0, 60).status == "warning"
    assert judge_expiry("x", "it", 40 * DAY_SECS, 0, 30).status == "ok"
