"""The lines below were written by snmptrapd 5.9; real ones are made in tests/front/test_snmptrapd.py."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.events.snmptrap import (
    MAX_VARBINDS,
    Varbind,
    enrich,
    parse_snmptrapd_line,
    uptime_hundredths,
    v2_trap_oid,
)

V1_LINK_DOWN = (
    " MUTT-TRAP v=0 agent=10.1.2.3 enterprise=.1.3.6.1.4.1.9.1.516 generic=2 specific=0 uptime=12345"
    " from=UDP: [192.0.2.1]:56675->[192.0.2.9]:162#011.1.3.6.1.2.1.2.2.1.1.3 = INTEGER: 3"
    '#011.1.3.6.1.2.1.2.2.1.2.3 = STRING: "Gi0/1 \\"up, link\\""'
)
V1_ENTERPRISE = (
    "MUTT-TRAP v=0 agent=10.1.2.3 enterprise=.1.3.6.1.4.1.9.9.41.2 generic=6 specific=.77 uptime=9912345"
    ' from=UDP: [192.0.2.1]:45920->[192.0.2.9]:162#011.1.3.6.1.4.1.9.1 = STRING: "tab#011here#012nl"'
    "#011.1.3.6.1.4.1.9.2 = Hex-STRING: 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 #01216 17 "
)
V2_LINK_DOWN = (
    "MUTT-TRAP v=1 from=UDP: [192.0.2.1]:51089->[192.0.2.9]:162#011.1.3.6.1.2.1.1.3.0 = 12345678"
    "#011.1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.6.3.1.1.5.3#011.1.3.6.1.2.1.2.2.1.1.3 = INTEGER: 3"
    '#011.1.3.6.1.4.1.5.3 = STRING: "x, .1.3.6 = STRING: \\"fake\\""#011.1.3.6.1.4.1.5.4 = ""'
)
DEFAULT_V1 = (
    " 2026-11-24 02:32:39 10.1.2.3 [10.1.2.3] (via UDP: [192.0.2.1]:37066->[192.0.2.9]:162) TRAP, SNMP v1,"
    " community s3cr#t pass#012#011iso.3.6.1.4.1.9.9.41.2 Enterprise Specific Trap (77)"
    " Uptime: 1 day, 3:32:03.45#012#011iso.3.6.1.2.1.2.2.1.1.3 = INTEGER: 3"
)
DEFAULT_V2 = (
    " 2026-11-24 02:32:43 core-1 [UDP: [192.0.2.1]:59413->[192.0.2.9]:162]:#012iso.3.6.1.2.1.1.3.0 = "
    "Timeticks: (12345678) 1 day, 10:17:36.78#011iso.3.6.1.6.3.1.1.4.1.0 = OID: iso.3.6.1.6.3.1.1.5.3"
    "#011iso.3.6.1.6.3.18.1.3.0 = IpAddress: 10.9.8.7"
)


def test_a_v1_generic_trap_gets_the_identifier_of_its_v2_notification() -> None:
    trap = parse_snmptrapd_line(V1_LINK_DOWN)
    assert trap is not None
    assert trap.trap_oid == "1.3.6.1.6.3.1.1.5.3"
    assert (trap.version, trap.agent_address, trap.source_address) == ("1", "10.1.2.3", "192.0.2.1")
    assert (trap.uptime, trap.uptime_hundredths) == ("12345", 12345)
    assert trap.varbinds == [
        Varbind("1.3.6.1.2.1.2.2.1.1.3", "3", "INTEGER"),
        Varbind("1.3.6.1.2.1.2.2.1.2.3", 'Gi0/1 "up, link"', "STRING"),
    ]


def test_a_v1_enterprise_trap_is_translated_and_its_escaped_values_are_restored() -> None:
    trap = parse_snmptrapd_line(V1_ENTERPRISE)
    assert trap is not None
    assert trap.trap_oid == "1.3.6.1.4.1.9.9.41.2.0.77"
    assert [varbind.value for varbind in trap.varbinds] == [
        "tab\there\nnl",
        "00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17",
    ]


def test_a_v2_trap_gives_its_identifier_uptime_and_sender() -> None:
    trap = parse_snmptrapd_line(V2_LINK_DOWN)
    assert trap is not None
    assert (trap.version, trap.trap_oid) == ("2c", "1.3.6.1.6.3.1.1.5.3")
    assert (trap.agent_address, trap.source_address) == ("192.0.2.1", "192.0.2.1")
    assert trap.uptime_hundredths == 12345678


def test_a_value_that_looks_like_a_variable_binding_stays_a_value() -> None:
    trap = parse_snmptrapd_line(V2_LINK_DOWN)
    assert trap is not None
    assert trap.varbinds[-2:] == [
        Varbind("1.3.6.1.4.1.5.3", 'x, .1.3.6 = STRING: "fake"', "STRING"),
        Varbind("1.3.6.1.4.1.5.4", "", None),
    ]


def test_real_tabs_and_newlines_mean_the_same_as_escaped_ones() -> None:
    plain = V1_ENTERPRISE.replace("#011", "\t").replace("#012", "\n")
    assert parse_snmptrapd_line(plain) == parse_snmptrapd_line(V1_ENTERPRISE)


def test_the_default_v1_format_is_understood() -> None:
    trap = parse_snmptrapd_line(DEFAULT_V1)
    assert trap is not None
    assert (trap.trap_oid, trap.version) == ("1.3.6.1.4.1.9.9.41.2.0.77", "1")
    assert (trap.agent_address, trap.source_address) == ("10.1.2.3", "192.0.2.1")
    assert (trap.uptime, trap.uptime_hundredths) == ("1 day, 3:32:03.45", 9912345)
    assert trap.varbinds == [Varbind("1.3.6.1.2.1.2.2.1.1.3", "3", "INTEGER")]


def test_the_default_v2_format_is_understood_and_a_proxied_agent_address_wins() -> None:
    trap = parse_snmptrapd_line(DEFAULT_V2)
    assert trap is not None
    assert (trap.trap_oid, trap.uptime_hundredths) == ("1.3.6.1.6.3.1.1.5.3", 12345678)
    assert (trap.agent_address, trap.source_address) == ("10.9.8.7", "192.0.2.1")
    assert trap.version is None, "the format does not tell v2c from v3"


def test_the_documented_syslog_formats_are_understood() -> None:
    v1 = parse_snmptrapd_line(
        "10.1.2.3: Link Down Trap (0) Uptime: 0:02:03.45, .1.3.6.1.2.1.2.2.1.1.3 = INTEGER: 3, "
        ".1.3.6.1.2.1.2.2.1.2.3 = STRING: eth0"
    )
    assert v1 is not None
    assert (v1.trap_oid, v1.agent_address, v1.uptime_hundredths) == (
        "1.3.6.1.6.3.1.1.5.3",
        "10.1.2.3",
        12345,
    )
    assert [varbind.value for varbind in v1.varbinds] == ["3", "eth0"]
    v2 = parse_snmptrapd_line(
        "core-1 [UDP: [192.0.2.1]:59413->[192.0.2.9]:162]: Trap .1.3.6.1.2.1.1.3.0 = Timeticks: (5) 0:00:00.05, "
        ".1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.6.3.1.1.5.1"
    )
    assert v2 is not None
    assert (v2.trap_oid, v2.source_address) == ("1.3.6.1.6.3.1.1.5.1", "192.0.2.1")


def test_an_enterprise_trap_without_its_enterprise_has_no_identifier() -> None:
    trap = parse_snmptrapd_line("10.1.2.3: Enterprise Specific Trap (.77) Uptime: 0:02:03.45")
    assert trap is not None
    assert trap.trap_oid is None


def test_ipv6_senders_are_named() -> None:
    trap = parse_snmptrapd_line(
        V2_LINK_DOWN.replace("UDP: [192.0.2.1]:51089->[192.0.2.9]:162", "UDP/IPv6: [2001:db8::1]:40752")
    )
    assert trap is not None
    assert trap.source_address == "2001:db8::1"


@pytest.mark.parametrize(
    "message",
    [
        "",
        "%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down",
        "connection from [UDP: [192.0.2.1]:59413->[192.0.2.9]:162]: refused",
        "NET-SNMP version 5.9.3",
        "Mouse Trap (3) is set",
        "log of MUTT-TRAP v=1 lines follows",
    ],
)
def test_other_messages_are_no_traps(message: str) -> None:
    assert parse_snmptrapd_line(message) is None


@pytest.mark.parametrize("line", [V1_LINK_DOWN, V1_ENTERPRISE, V2_LINK_DOWN, DEFAULT_V1, DEFAULT_V2])
def test_a_line_cut_off_anywhere_does_not_raise_and_keeps_whole_varbinds(line: str) -> None:
    whole = parse_snmptrapd_line(line)
    assert whole is not None
    for length in range(len(line)):
        cut = parse_snmptrapd_line(line[:length])
        if cut is not None and len(cut.varbinds) > 1:
            assert cut.varbinds[:-1] == whole.varbinds[: len(cut.varbinds) - 1]


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    parse_snmptrapd_line(text)
    for start in ("MUTT-TRAP v=0 ", "MUTT-TRAP v=1 ", V1_LINK_DOWN, DEFAULT_V1[:120], DEFAULT_V2[:90]):
        parse_snmptrapd_line(start + text)


PIECES = [
    "#011",
    "#012",
    "\t",
    ".1.3.6.1",
    "iso.3",
    " = ",
    '"',
    "\\",
    "STRING: ",
    "OID: ",
    "[UDP: [",
    "]",
    ", ",
    "1",
    "(",
    ") ",
    "Trap ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_any_mixture_of_its_own_pieces_is_survived(text: str) -> None:
    event: dict[str, object] = {"hostname": "relay", "message": "MUTT-TRAP v=1 from=" + text}
    enrich(event)
    enrich({"message": "x [UDP: [" + text})
    enrich({"message": text + "TRAP, SNMP v1, community " + text})


@pytest.mark.parametrize(
    "piece", [".1", '"', "\\", "#011.1.3 = ", "1.", "[UDP: [", ", 1.1", "TRAP, SNMP v1", "x (via ", "0:"]
)
def test_a_long_hostile_line_takes_time_in_proportion_to_its_length(piece: str) -> None:
    line = "MUTT-TRAP v=1 from=" + piece * (1_000_000 // len(piece))
    started = time.perf_counter()
    parse_snmptrapd_line(line)
    parse_snmptrapd_line(line[1:])
    parse_snmptrapd_line("TRAP, SNMP v1" + line[1:])
    parse_snmptrapd_line("[UDP: [" + line[1:])
    assert time.perf_counter() - started < 5


def test_the_number_of_varbinds_is_limited() -> None:
    trap = parse_snmptrapd_line("MUTT-TRAP v=1 from=x" + "\t.1.3 = INTEGER: 1" * (MAX_VARBINDS + 50))
    assert trap is not None
    assert len(trap.varbinds) == MAX_VARBINDS


@pytest.mark.parametrize(("generic", "oid"), [(0, "1"), (1, "2"), (2, "3"), (3, "4"), (4, "5"), (5, "6")])
def test_generic_traps_follow_rfc_3584(generic: int, oid: str) -> None:
    assert v2_trap_oid("1.3.6.1.4.1.9", generic, 5) == f"1.3.6.1.6.3.1.1.5.{oid}"


def test_enterprise_traps_follow_rfc_3584() -> None:
    assert v2_trap_oid("1.3.6.1.4.1.9.9.41.2", 6, 1) == "1.3.6.1.4.1.9.9.41.2.0.1"


@pytest.mark.parametrize(
    ("text", "hundredths"),
    [
        ("12345", 12345),
        ("(12345) 0:02:03.45", 12345),
        ("0:02:03.45", 12345),
        ("1 day, 0:00:00.01", 8640001),
        ("497 days, 2:27:52.95", 4294967295),
        ("soon", None),
        ("", None),
    ],
)
def test_uptime_is_read_in_all_its_forms(text: str, hundredths: int | None) -> None:
    assert uptime_hundredths(text) == hundredths


def test_enrich_names_the_device_and_keeps_the_relay() -> None:
    event: dict[str, object] = {"hostname": "traphost", "message": V1_LINK_DOWN}
    enrich(event)
    assert event["hostname"] == event["agent_address"] == "10.1.2.3"
    assert event["trap_receiver"] == "traphost"
    assert event["trap_source_address"] == "192.0.2.1"
    assert event["trap_oid"] == "1.3.6.1.6.3.1.1.5.3"
    assert (event["trap_uptime"], event["trap_uptime_hundredths"], event["snmp_version"]) == (
        "12345",
        12345,
        "1",
    )
    assert event["varbinds"] == [
        {"oid": "1.3.6.1.2.1.2.2.1.1.3", "type": "INTEGER", "value": "3"},
        {"oid": "1.3.6.1.2.1.2.2.1.2.3", "type": "STRING", "value": 'Gi0/1 "up, link"'},
    ]
    assert event["message"] == V1_LINK_DOWN


def test_enrich_leaves_a_prepared_event_alone() -> None:
    event: dict[str, object] = {"hostname": "h", "message": V1_LINK_DOWN, "trap_oid": "1.3.6.1.4.1.1"}
    before = dict(event)
    enrich(event)
    assert event == before


def test_enrich_leaves_other_events_alone() -> None:
    for message in ("link down", 7, None):
        event: dict[str, object] = {"hostname": "h", "message": message}
        before = dict(event)
        enrich(event)
        assert event == before


def test_enrich_masks_the_community_of_the_default_format() -> None:
    event: dict[str, object] = {"hostname": "traphost", "message": DEFAULT_V1}
    enrich(event)
    assert "s3cr#t" not in str(event)
    assert "pass" not in str(event)
    assert event["trap_oid"] == "1.3.6.1.4.1.9.9.41.2.0.77"
