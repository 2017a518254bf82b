"""Debian's rsyslogd with the shipped omprog configuration, `mutt rsyslog-forward`, and a stub ingestor."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ingest_stub import IngestStub, accept_and_hang_up, hang, status
from tests.support.rsyslog import OMHTTP_CONF, OMPROG_CONF, Rsyslog, find_server, private_omprog_conf
from tests.support.waiting import wait_until


@pytest.fixture
def stub() -> Iterator[IngestStub]:
    with IngestStub() as server:
        yield server


@pytest.fixture
def rsyslog(short_tmp_path: Path, stub: IngestStub) -> Iterator[Rsyslog]:
    key_file = short_tmp_path / "key"
    key_file.touch(mode=0o600)
    key_file.write_text(stub.api_key)
    rules = private_omprog_conf(
        short_tmp_path / "forward.log",
        *(
            "--spool",
            str(short_tmp_path / "forward.spool"),
            "--url",
            stub.url,
            "--api-key-file",
            str(key_file),
            "--give-up-after",
            "1",
            "--timeout",
            "2",
        ),
    )
    daemon = Rsyslog(short_tmp_path, rules)
    daemon.start()
    yield daemon
    daemon.close()


def syslog_lines(name: str, count: int) -> list[str]:
    return [
        f'<187>Nov 24 01:02:03 core-{n % 7} app[{n}]: {name} number {n:05d} "quoted"' for n in range(count)
    ]


def arrived(stub: IngestStub) -> list[str]:
    """What arrived of `syslog_lines`: rsyslog reports its own troubles to MUTT as well."""
    return sorted(message for message in stub.messages if " number " in message)


def texts(name: str, count: int) -> set[str]:
    return {f'{name} number {n:05d} "quoted"' for n in range(count)}


def forward_log(rsyslog: Rsyslog) -> str:
    """What the forwarder said; rsyslog makes the file when it says something."""
    path = rsyslog.folder / "forward.log"
    return path.read_text() if path.exists() else ""


def forwarder_pid(rsyslog: Rsyslog) -> int:
    children = Path(f"/proc/{rsyslog.pid}/task").glob("*/children")
    (pid,) = {int(pid) for path in children for pid in path.read_text().split()}
    return pid


def test_a_message_arrives_with_all_its_fields(rsyslog: Rsyslog, stub: IngestStub) -> None:
    rsyslog.send_tcp(['<187>Nov 24 01:02:03 core-1 rpd[77]: BGP peer 10.0.0.1 "down" \\ éè\ttab'])
    wait_until(lambda: stub.events, message="the event")
    (event,) = stub.events.values()
    event_id = event.pop("event_id")
    assert len(event_id) == 32
    received_at, timestamp = event.pop("relay_received_at"), event.pop("timestamp")
    assert "T01:02:03" in timestamp
    assert "T" in received_at
    assert event == {
        "hostname": "core-1",
        "fromhost_ip": "127.0.0.1",
        "message": 'BGP peer 10.0.0.1 "down" \\ éè#011tab',
        "syslog_severity": "3",
        "syslog_facility": "local7",
        "program": "rpd",
        "structured_data": "-",
    }


@pytest.mark.parametrize(
    ("sent", "hostname", "message"),
    [
        (
            "<187>Nov 24 02:00:00 10.2.3.4 %LINK-3-UPDOWN: Interface Gi0/1, changed state to down",
            "10.2.3.4",
            "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down",
        ),
        (
            "<189>45: *Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured from console",
            "127.0.0.1",
            "*Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured from console",
        ),
        (
            "<189>: 2026 Nov 24 02:00:00 UTC: %ETHPORT-5-IF_DOWN_LINK_FAILURE: Interface Ethernet1/1 is down",
            None,
            "%ETHPORT-5-IF_DOWN_LINK_FAILURE: Interface Ethernet1/1 is down",
        ),
        (
            "<28>1 2026-11-24T02:00:00.123Z mx1 rpd 1234 RPD_OSPF_NBRDOWN "
            '[junos@2636.1.1.1.2.18 neighbor-address="10.0.0.1"] OSPF neighbor 10.0.0.1 state changed',
            "mx1",
            "RPD_OSPF_NBRDOWN: OSPF neighbor 10.0.0.1 state changed",
        ),
        (
            "<28>Nov 24 02:00:00 mx1 rpd[1234]: RPD_OSPF_NBRDOWN: OSPF neighbor 10.0.0.1 state changed",
            "mx1",
            "RPD_OSPF_NBRDOWN: OSPF neighbor 10.0.0.1 state changed",
        ),
        (
            "<2>Nov 24 02:00:00 web1 kernel: EXT4-fs error (device sda1)",
            "web1",
            "EXT4-fs error (device sda1)",
        ),
    ],
)
def test_the_mnemonic_of_a_device_stays_in_the_message(
    rsyslog: Rsyslog, stub: IngestStub, sent: str, hostname: str | None, message: str
) -> None:
    rsyslog.send_udp([sent])
    wait_until(lambda: stub.events, message="the event")
    (event,) = stub.events.values()
    assert message in event["message"]
    if hostname:
        assert event["hostname"] == hostname
        assert event["message"] == message


def test_messages_sent_while_mutt_is_away_arrive_once_when_it_is_back(
    rsyslog: Rsyslog, stub: IngestStub
) -> None:
    rsyslog.send_tcp(syslog_lines("before", 1000))
    wait_until(lambda: len(arrived(stub)) == 1000, 30, "all before the outage")
    stub.stop()
    rsyslog.send_tcp(syslog_lines("during", 1500))
    rsyslog.send_udp(syslog_lines("udp", 200))
    wait_until(lambda: "Connection refused" in forward_log(rsyslog), 15, "the outage is noticed")
    stub.start()
    wait_until(lambda: len(arrived(stub)) == 2700, 60, "all after the outage")
    assert arrived(stub) == sorted(texts("before", 1000) | texts("during", 1500) | texts("udp", 200))


def test_lost_answers_make_no_second_event(rsyslog: Rsyslog, stub: IngestStub) -> None:
    stub.behaviours = [accept_and_hang_up, status(503)] * 6
    rsyslog.send_tcp(syslog_lines("lost", 2000))
    wait_until(lambda: len(arrived(stub)) == 2000 and not stub.behaviours, 60, "all events")
    assert arrived(stub) == sorted(texts("lost", 2000))


def test_a_killed_forwarder_is_started_again_and_its_batch_is_sent_again(
    rsyslog: Rsyslog, stub: IngestStub
) -> None:
    release = threading.Event()
    stub.behaviours = [hang(release)]
    rsyslog.send_tcp(syslog_lines("killed", 500))
    wait_until(lambda: stub.requests, 15, "a request under way")
    os.kill(forwarder_pid(rsyslog), signal.SIGKILL)
    release.set()
    wait_until(lambda: len(arrived(stub)) == 500, 60, "all events")
    assert arrived(stub) == sorted(texts("killed", 500))


def test_what_rsyslog_had_when_it_was_stopped_arrives_once_after_its_restart(
    rsyslog: Rsyslog, stub: IngestStub
) -> None:
    """Also the batch under way, which rsyslog does not write to disk."""
    stub.behaviours = [accept_and_hang_up]
    rsyslog.send_tcp(syslog_lines("seen", 10))
    wait_until(lambda: len(arrived(stub)) == 10, 15, "the first events")
    stub.stop()
    rsyslog.send_tcp(syslog_lines("spooled", 3000))
    wait_until(lambda: rsyslog.received(" number ") == 3010, 15, "rsyslog has all messages")
    wait_until(lambda: "Connection refused" in forward_log(rsyslog), 15, "a batch is under way")
    rsyslog.stop()
    assert list(rsyslog.spool.glob("mutt.0*")), "the queue is on disk"
    stub.start()
    rsyslog.start()
    wait_until(lambda: len(arrived(stub)) >= 3010, 60, "all events")
    assert arrived(stub) == sorted(texts("seen", 10) | texts("spooled", 3000))


def test_a_wrong_key_loses_nothing(rsyslog: Rsyslog, stub: IngestStub) -> None:
    stub.api_key = "changed"
    rsyslog.send_tcp(syslog_lines("refused", 20))
    wait_until(lambda: "refused the API key (401)" in forward_log(rsyslog), 15, "what to do")
    (rsyslog.folder / "key").write_text("changed")
    wait_until(lambda: len(arrived(stub)) == 20, 30, "all events")


def check(conf: Path) -> list[str]:
    done = subprocess.run(
        [find_server("rsyslogd"), "-N1", "-f", conf], capture_output=True, text=True, check=False
    )
    return [line for line in done.stderr.splitlines() if "config validation run" not in line]


def test_rsyslog_accepts_the_omprog_file() -> None:
    assert check(OMPROG_CONF) == []


def test_rsyslog_accepts_the_omhttp_file_but_for_the_module_that_debian_lacks() -> None:
    complaints = check(OMHTTP_CONF)
    assert all("omhttp" in line for line in complaints), complaints


def test_both_files_make_the_same_event() -> None:
    def event_part(path: Path) -> str:
        text = path.read_text()
        return text[text.index('template(name="mutt_event"') : text.index("  action(\n")]

    assert event_part(OMHTTP_CONF) == event_part(OMPROG_CONF)
