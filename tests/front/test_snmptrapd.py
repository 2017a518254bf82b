"""Debian's snmptrapd with the shipped configuration, and real traps of all three versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mutt_appliance.events.snmptrap import SNMP_TRAP_OID_0, TrapFields, Varbind, enrich, parse_snmptrapd_line
from tests.support.ingest_stub import IngestStub
from tests.support.rsyslog import Rsyslog, private_omprog_conf
from tests.support.snmptrapd import COMMUNITY, SHIPPED_CONF, Snmptrapd, shipped_conf_with_senders
from tests.support.waiting import wait_until

IF_INDEX, IF_DESCR = "1.3.6.1.2.1.2.2.1.1.3", "1.3.6.1.2.1.2.2.1.2.3"
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
AWKWARD = 'Gi0/1 "up", .1.3.6.1 = INTEGER: 7\tback\\slash'


@pytest.fixture
def snmptrapd(short_tmp_path: Path) -> Iterator[Snmptrapd]:
    daemon = Snmptrapd(short_tmp_path, shipped_conf_with_senders()).start()
    yield daemon
    daemon.close()


def the_trap(snmptrapd: Snmptrapd) -> TrapFields:
    """The one trap in the log."""

    def trap() -> TrapFields | None:
        text = snmptrapd.log.read_text() if snmptrapd.log.exists() else ""
        position = text.find("MUTT-TRAP")
        return parse_snmptrapd_line(text[position:].rstrip("\n")) if position >= 0 else None

    found = wait_until(trap, 15, "a trap in the log")
    assert found is not None
    assert COMMUNITY not in snmptrapd.log.read_text()
    return found


def test_a_v1_generic_trap(snmptrapd: Snmptrapd) -> None:
    snmptrapd.send(
        "1",
        *("1.3.6.1.4.1.9.1.516", "10.1.2.3", "2", "0", "12345"),
        *(IF_INDEX, "i", "3", IF_DESCR, "s", AWKWARD),
    )
    trap = the_trap(snmptrapd)
    assert (trap.version, trap.trap_oid) == ("1", LINK_DOWN)
    assert (trap.agent_address, trap.source_address) == ("10.1.2.3", "127.0.0.1")
    assert (trap.uptime, trap.uptime_hundredths) == ("12345", 12345)
    assert trap.varbinds == [Varbind(IF_INDEX, "3", "INTEGER"), Varbind(IF_DESCR, AWKWARD, "STRING")]


def test_a_v1_enterprise_trap(snmptrapd: Snmptrapd) -> None:
    snmptrapd.send("1", "1.3.6.1.4.1.9.9.41.2", "10.1.2.3", "6", "1", "4294967295")
    trap = the_trap(snmptrapd)
    assert trap.trap_oid == "1.3.6.1.4.1.9.9.41.2.0.1"
    assert trap.uptime_hundredths == 4294967295
    assert trap.varbinds == []


def test_a_v2c_trap_with_every_type(snmptrapd: Snmptrapd) -> None:
    snmptrapd.send(
        "2c",
        *("12345678", LINK_DOWN, IF_INDEX, "i", "-3", IF_DESCR, "s", "two\nlines"),
        *("1.3.6.1.6.3.18.1.3.0", "a", "10.9.8.7", "1.3.6.1.4.1.5.1", "o", "1.3.6.1.4.1.9.9"),
        *("1.3.6.1.4.1.5.2", "C", "18446744073709551615", "1.3.6.1.4.1.5.3", "x", "00ff" * 20),
        *("1.3.6.1.4.1.5.4", "t", "4711", "1.3.6.1.4.1.5.5", "u", "7", "1.3.6.1.4.1.5.6", "s", ""),
        *("1.3.6.1.4.1.5.7", "c", "9", "1.3.6.1.4.1.5.8", "s", "naïve"),
    )
    trap = the_trap(snmptrapd)
    assert (trap.version, trap.trap_oid, trap.uptime_hundredths) == ("2c", LINK_DOWN, 12345678)
    assert (trap.agent_address, trap.source_address) == ("10.9.8.7", "127.0.0.1")
    values = {varbind.oid: (varbind.type, varbind.value) for varbind in trap.varbinds}
    assert values == {
        "1.3.6.1.2.1.1.3.0": (None, "12345678"),
        SNMP_TRAP_OID_0: ("OID", LINK_DOWN),
        IF_INDEX: ("INTEGER", "-3"),
        IF_DESCR: ("STRING", "two\nlines"),
        "1.3.6.1.6.3.18.1.3.0": ("IpAddress", "10.9.8.7"),
        "1.3.6.1.4.1.5.1": ("OID", "1.3.6.1.4.1.9.9"),
        "1.3.6.1.4.1.5.2": ("Counter64", "18446744073709551615"),
        "1.3.6.1.4.1.5.3": ("Hex-STRING", " ".join(["00 FF"] * 20)),
        "1.3.6.1.4.1.5.4": (None, "4711"),
        "1.3.6.1.4.1.5.5": ("Gauge32", "7"),
        "1.3.6.1.4.1.5.6": (None, ""),
        "1.3.6.1.4.1.5.7": ("Counter32", "9"),
        "1.3.6.1.4.1.5.8": ("Hex-STRING", "6E 61 C3 AF 76 65"),
    }


def test_a_v3_trap(snmptrapd: Snmptrapd) -> None:
    snmptrapd.send("3", "42", "1.3.6.1.6.3.1.1.5.4", IF_INDEX, "i", "3")
    trap = the_trap(snmptrapd)
    assert (trap.version, trap.trap_oid, trap.uptime_hundredths) == ("3", "1.3.6.1.6.3.1.1.5.4", 42)
    assert trap.varbinds[2:] == [Varbind(IF_INDEX, "3", "INTEGER")]


def test_the_shipped_file_lets_nobody_in_by_itself() -> None:
    directives = [
        line.split()[0] for line in SHIPPED_CONF.read_text().splitlines() if line and line[0] != "#"
    ]
    assert directives == ["outputOption", "format1", "format2"]


@pytest.mark.parametrize("own_format", [True, False], ids=["the shipped format", "snmptrapd's own format"])
def test_traps_come_through_syslog_and_rsyslog_to_the_ingestor(
    short_tmp_path: Path, own_format: bool
) -> None:
    dev = short_tmp_path / "dev"
    dev.mkdir(mode=0o755)
    key_file = short_tmp_path / "key"
    key_file.touch(mode=0o600)
    key_file.write_text("test-ingest-key")
    conf = shipped_conf_with_senders()
    if not own_format:
        conf = "\n".join(line for line in conf.splitlines() if not line.startswith("format")) + "\n"
    with IngestStub() as stub:
        arguments = ("--url", stub.url, "--api-key-file", str(key_file))
        rsyslog = Rsyslog(
            short_tmp_path, private_omprog_conf(short_tmp_path / "forward.log", *arguments), dev / "log"
        ).start()
        snmptrapd = Snmptrapd(short_tmp_path, conf, dev).start()
        try:
            snmptrapd.send("1", "1.3.6.1.4.1.9.9.41.2", "10.1.2.3", "6", "1", "77", IF_DESCR, "s", AWKWARD)
            snmptrapd.send("2c", "12345678", LINK_DOWN, IF_INDEX, "i", "3")
            snmptrapd.send("3", "42", "1.3.6.1.6.3.1.1.5.4", IF_INDEX, "i", "3")
            wait_until(lambda: len(traps_of(stub)) == 3, 20, "three traps")
        finally:
            snmptrapd.close()
            rsyslog.close()
        v1, v2, v3 = traps_of(stub)
    assert (v1["trap_oid"], v1["hostname"], v1["trap_uptime_hundredths"]) == (
        "1.3.6.1.4.1.9.9.41.2.0.1",
        "10.1.2.3",
        77,
    )
    assert v1["varbinds"] == [{"oid": IF_DESCR, "type": "STRING", "value": AWKWARD}]
    assert (v2["trap_oid"], v2["hostname"], v2["agent_address"]) == (LINK_DOWN, "127.0.0.1", "127.0.0.1")
    assert (v3["trap_oid"], v3["trap_uptime"]) == ("1.3.6.1.6.3.1.1.5.4", "42")
    versions = [event.get("snmp_version") for event in (v1, v2, v3)]
    assert versions == (["1", "2c", "3"] if own_format else ["1", None, None])
    for event in (v1, v2, v3):
        assert (event["program"], event["syslog_facility"]) == ("snmptrapd", "local6")
        assert event["trap_receiver"]
        assert COMMUNITY not in json.dumps(event)


def traps_of(stub: IngestStub) -> list[dict[str, Any]]:
    """Events with a trap OID after what the ingestor does with each event."""
    with stub.lock:
        events = [dict(event) for event in stub.events.values()]
    for event in events:
        enrich(event)
    return [event for event in events if "trap_oid" in event]
