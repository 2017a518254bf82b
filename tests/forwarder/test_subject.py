"""What an alert is about."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.forwarder.subject import managed_object, object_of_message, varbind_pairs

IF = "1.3.6.1.2.1.2.2.1"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down", "GigabitEthernet0/1"),
        ("%LINEPROTO-5-UPDOWN: Line protocol on Interface Vlan10, changed state to up", "Vlan10"),
        ("%ETHPORT-5-IF_DOWN_LINK_FAILURE: Interface Ethernet1/1 is down (Link failure)", "Ethernet1/1"),
        ("%EC-5-UNBUNDLE: Interface Te1/0/1 left the port-channel Po1", "Te1/0/1"),
        ("%ETH_PORT_CHANNEL-5-PORT_DOWN: port-channel20: Ethernet1/3 is down", "port-channel20"),
        ("SNMP_TRAP_LINK_DOWN: ifIndex 513, ifOperStatus down(2), ifName ge-0/0/0.0", "ge-0/0/0.0"),
        ("SNMP_TRAP_LINK_DOWN: ifIndex 513, ifName ae12, down", "ae12"),
        ("kernel: eth0: Link is Down", "eth0"),
        ("e1000e 0000:00:1f.6 enp0s31f6: NIC Link is Down", "enp0s31f6"),
        ("bond0: link status definitely down for interface ens192, disabling it", "bond0"),
        ("Interface Gi0/0.100 is down", "Gi0/0.100"),
        ("Interface Serial0/0/0:1, changed state to down", "Serial0/0/0:1"),
        ("%BGP-5-ADJCHANGE: neighbor 10.1.1.1 Down BGP Notification sent", "10.1.1.1"),
        ("%BGP-5-ADJCHANGE: neighbor 2001:DB8::1 Up", "2001:db8::1"),
        ("%OSPF-5-ADJCHG: Process 1, Nbr 10.0.0.2 on GigabitEthernet0/1 from FULL to DOWN", "10.0.0.2"),
        ("%DUAL-5-NBRCHANGE: EIGRP-IPv4 100: Neighbor 10.1.1.2 (Gi0/0) is down", "10.1.1.2"),
        ("RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer 10.0.0.1 (External AS 65001) changed state", "10.0.0.1"),
        ("%SYS-5-CONFIG_I: Configured from console by admin on vty0 (10.9.9.9)", ""),
        ("Out of memory: Killed process 4242 (java)", ""),
        ("disk /dev/sda1 94% full, 12 of 200 GB left", ""),
        ("temperature 41.5 on sensor 3", ""),
    ],
)
def test_a_message_names_its_interface_or_neighbour(message: str, expected: str) -> None:
    assert object_of_message(message) == expected


def test_down_and_up_of_one_interface_have_one_subject() -> None:
    text = "%LINK-3-UPDOWN: Interface TenGigabitEthernet1/0/48, changed state to "
    assert object_of_message(text + "down") == object_of_message(text + "up") == "TenGigabitEthernet1/0/48"


@pytest.mark.parametrize(
    ("varbinds", "expected"),
    [
        ([{"oid": f"{IF}.1.3", "value": "3"}, {"oid": f"{IF}.2.3", "value": "Gi0/3"}], "Gi0/3"),
        ([{"oid": ".1.3.6.1.2.1.31.1.1.1.1.3", "value": "ge-0/0/3"}], "ge-0/0/3"),
        ([{"oid": f"{IF}.7.3", "value": 2}, {"oid": f"{IF}.8.3", "value": 2}], "ifIndex.3"),
        ({f"{IF}.1.12": 12}, "ifIndex.12"),
        ([{"oid": "1.3.6.1.2.1.15.3.1.2.10.0.0.9", "value": 1}], "10.0.0.9"),
        ([{"oid": "1.3.6.1.2.1.14.10.1.6.10.0.0.7.0", "value": 1}], "10.0.0.7"),
        ([{"oid": "1.3.6.1.4.1.9.9.43.1.1.6.1.3.5", "value": 1}], ""),
        ([{"oid": None, "value": 1}, "x", 5], ""),
        ("text", ""),
        (None, ""),
    ],
)
def test_a_trap_names_its_interface_or_neighbour(varbinds: object, expected: str) -> None:
    assert managed_object({"message": "", "event": {"varbinds": varbinds}}) == expected


def test_an_unhandled_pattern_is_its_counter_whatever_the_sample_names() -> None:
    event = {"mutt_meta": {"kind": "unhandled", "count": 100, "counter": "mutt:unhandled:r1:abc"}}
    assert managed_object({"message": "Interface eth0 down", "event": event}) == "mutt:unhandled:r1:abc"


@given(st.text())
def test_no_message_raises(message: str) -> None:
    assert isinstance(object_of_message(message), str)


def test_a_long_hostile_message_takes_no_time() -> None:
    started = time.perf_counter()
    for text in ("1/" * 100_000, "neighbor " * 30_000, "BGP neighbor " + "1" * 200_000, "Gi" * 100_000):
        object_of_message(text)
    assert time.perf_counter() - started < 0.5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_no_shape_of_varbinds_raises(varbinds: object) -> None:
    assert all(isinstance(oid, str) and isinstance(value, str) for oid, value in varbind_pairs(varbinds))
