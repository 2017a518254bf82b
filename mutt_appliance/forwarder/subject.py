"""What an alert is about: the interface, the neighbour or the trap instance it names (pure).

Down and up of one thing must give the same subject, so it comes from names only, never from states.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# A message is searched this far; what it is about stands near its beginning.
SEARCHED_CHARS = 4096

IF_INDEX = "1.3.6.1.2.1.2.2.1.1"
IF_DESCR = "1.3.6.1.2.1.2.2.1.2"
IF_NAME = "1.3.6.1.2.1.31.1.1.1.1"
IF_ENTRY = "1.3.6.1.2.1.2.2.1"
BGP_PEER_ENTRY = "1.3.6.1.2.1.15.3.1"
OSPF_NEIGHBOUR_ENTRY = "1.3.6.1.2.1.14.10.1"
# BGP4-MIB and OSPF-MIB index a neighbour by its IPv4 address, which takes four arcs.
ADDRESS_ARCS = 4

_PORT = r"\d{1,4}(?:/\d{1,4}){0,3}(?:[.:]\d{1,6})?"
_CISCO = (
    r"(?:HundredGigE|HundredGigabitEthernet|FortyGigE|FortyGigabitEthernet|TwentyFiveGigE|FiftyGigE|"
    r"TwentyFiveGigabitEthernet|FourHundredGigE|FourHundredGigabitEthernet|TenGigE|TenGigabitEthernet|"
    r"TwoGigabitEthernet|FiveGigabitEthernet|GigabitEthernet|AppGigabitEthernet|FastEthernet|"
    r"Bundle-Ether|Bundle-POS|Port-channel|Ethernet|Loopback|Tunnel|Serial|Vlan|Dialer|Cellular|"
    r"Multilink|Async|Null|BVI|BDI|POS|ATM|MgmtEth|nve|mgmt|"
    r"Gig|Gi|Te|Fa|Fo|Hu|Tw|Twe|Et|Eth|Po|Lo|Tu|Se|Vl|BE) ?"
)
_JUNIPER = r"(?:fe|ge|xe|et|so|at|t1|t3|gr|ip|lt|mt|pe|pd|pp|vt|st)-\d{1,3}/\d{1,3}/\d{1,3}(?::\d{1,3})?(?:\.\d{1,5})?"
_JUNIPER_LOGICAL = (
    r"(?:ae|irb|reth|fxp|vme|vlan|lo|em|me|fab|st|sp)\d{0,4}\.\d{1,5}|(?:ae|reth|fxp|em|me|fab)\d{1,4}"
)
_LINUX = (
    r"(?:en[opsx][0-9a-zA-Z]{1,14}|eth\d{1,4}|bond\d{1,4}|br\d{1,4}|team\d{1,4}|wlan\d{1,4}|wl[ops][0-9a-z]{1,12}|"
    r"ib\d{1,4}|tun\d{1,4}|tap\d{1,4}|ppp\d{1,4}|veth[0-9a-f]{1,11}|docker\d{1,3}|virbr\d{1,3})(?:\.\d{1,4})?"
)
_INTERFACE = re.compile(
    rf"(?<![\w/.-])(?:{_JUNIPER}|{_JUNIPER_LOGICAL}|{_LINUX}|(?i:{_CISCO}){_PORT})(?![\w/-])"
)
_NEIGHBOUR = re.compile(
    r"\b(?:neighbou?r|nbr|peer|adjacency (?:to|with))\s*[:=]?\s*(?:ip\s+|address\s+|addr\s+)?"
    r"(?P<address>\d{1,3}(?:\.\d{1,3}){3}|(?=[0-9A-Fa-f]*:)[0-9A-Fa-f:]{2,39})(?![\w:])",
    re.IGNORECASE,
)
_OF_A_PROTOCOL = re.compile(r"BGP|OSPF|EIGRP|LDP|IS-?IS|BFD|RPD_|ADJCHA?N?G", re.IGNORECASE)


def managed_object(alert: Mapping[str, Any]) -> str:
    """The thing `alert` is about, or "".

    In this order: the counter of an unhandled pattern; interface or neighbour of a trap's varbinds;
    the neighbour a message of a routing protocol names; the first interface the message names.
    """
    event = alert.get("event")
    if isinstance(event, dict):
        meta = event.get("mutt_meta")
        if isinstance(meta, dict) and meta.get("kind") == "unhandled":
            counter = meta.get("counter")
            return counter if isinstance(counter, str) else "unhandled"
        found = object_of_varbinds(varbind_pairs(event.get("varbinds")))
        if found:
            return found
    message = alert.get("message")
    return object_of_message(message) if isinstance(message, str) else ""


def object_of_message(message: str) -> str:
    """Neighbour address or interface that a syslog message names, or ""."""
    text = message[:SEARCHED_CHARS]
    if _OF_A_PROTOCOL.search(text):
        neighbour = _NEIGHBOUR.search(text)
        if neighbour:
            return neighbour["address"].lower()
    interface = _INTERFACE.search(text)
    return interface[0].replace(" ", "") if interface else ""


def varbind_pairs(varbinds: object) -> list[tuple[str, str]]:
    """Varbinds as (numeric OID without a leading dot, value as text), whichever shape they came in.

    Known shapes: a list of {"oid": …, "value": …} and an object of OID to value.
    """
    pairs: Iterable[tuple[object, object]] = ()
    if isinstance(varbinds, dict):
        pairs = varbinds.items()
    elif isinstance(varbinds, list):
        pairs = [(v.get("oid"), v.get("value")) for v in varbinds if isinstance(v, dict)]
    return [
        (oid.lstrip("."), "" if value is None else str(value)) for oid, value in pairs if isinstance(oid, str)
    ]


def object_of_varbinds(pairs: list[tuple[str, str]]) -> str:
    """Interface name, else its index, else the neighbour's address; "" without any of them."""
    for column in (IF_NAME, IF_DESCR):
        for oid, value in pairs:
            if oid.startswith(column + ".") and value.strip():
                return value.strip()
    for oid, _ in pairs:
        # Any column of the interface's row ends in its index.
        if oid.startswith(IF_ENTRY + "."):
            return "ifIndex." + oid.rsplit(".", 1)[1]
    for oid, _ in pairs:
        for entry in (BGP_PEER_ENTRY, OSPF_NEIGHBOUR_ENTRY):
            if oid.startswith(entry + "."):
                arcs = oid[len(entry) + 1 :].split(".")[1 : 1 + ADDRESS_ARCS]
                if len(arcs) == ADDRESS_ARCS:
                    return ".".join(arcs)
    return ""
