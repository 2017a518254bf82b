"""Trap fields out of the lines that snmptrapd writes to syslog.

Understood are the format that `etc/snmp/snmptrapd.conf` sets (it starts with the marker word
`MUTT-TRAP`) and snmptrapd's own formats (snmptrapd.conf(5), `format`), as long as object identifiers
are numeric (`-On`, or no MIB files loaded). rsyslog's escapes for control characters (`#011` tab,
`#012` newline) count as the characters themselves. Nothing here raises, whatever the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

MARKER: Final = "MUTT-TRAP v="
MAX_VARBINDS: Final = 512

SNMP_TRAPS: Final = "1.3.6.1.6.3.1.1.5"
SYS_UP_TIME_0: Final = "1.3.6.1.2.1.1.3.0"
SNMP_TRAP_OID_0: Final = "1.3.6.1.6.3.1.1.4.1.0"
SNMP_TRAP_ADDRESS_0: Final = "1.3.6.1.6.3.18.1.3.0"
ENTERPRISE_SPECIFIC: Final = 6

SnmpVersion = Literal["1", "2c", "3"]
# The numbers of the message header, RFC 3416 section 3 and RFC 3412 section 6.
VERSION_OF_NUMBER: Final[dict[str, SnmpVersion]] = {"0": "1", "1": "2c", "3": "3"}
# snmptrapd writes the generic number only where it is told to; its own formats have these words.
GENERIC_NAMES: Final = {
    "Cold Start": 0,
    "Warm Start": 1,
    "Link Down": 2,
    "Link Up": 3,
    "Authentication Failure": 4,
    "EGP Neighbor Loss": 5,
    "Enterprise Specific": ENTERPRISE_SPECIFIC,
}

_BREAK = r"(?:\t|\n|#011|#012|\\[tn])"
_OID = r"(?:iso|\.?[012])(?:\.\d+)++"
_HEADER_END = re.compile(_BREAK)
# The look-behind keeps the search linear: a chain of arcs is tried from its beginning only.
_FIRST_VARBIND = re.compile(rf"(?:(?<=#011)|(?<=#012)|(?<=\\t)|(?<=\\n)|(?<![\w.]))({_OID}) = ")
_NEXT_VARBIND = re.compile(rf"(?:{_BREAK}|, )(?={_OID} = )")
_TYPE = re.compile(
    r"(?:Wrong Type \(should be [^)]{1,60}\): )?"
    r"(INTEGER|STRING|Hex-STRING|OID|Timeticks|IpAddress|Counter32|Counter64|Gauge32|Unsigned32|UInteger32"
    r"|BITS|Opaque|Network Address): ?"
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"?', re.DOTALL)
_BACKSLASHED = re.compile(r'\\(["\\])')
_ADDRESS = re.compile(r"\[(?:(?:UDP|TCP)[^\[\]]{0,12}\[)?([0-9A-Fa-f:.]{2,45})(?:%[\w.-]{1,16})?\]")
_OUR_FIELD = re.compile(r"(v|agent|enterprise|generic|specific|uptime)=(\S*)")
# 10.1.2.3 [10.1.2.3] (via UDP: [10.1.2.3]:161->[10.0.0.1]:162) TRAP, SNMP v1, community …
#     .1.3.6.1.4.1.9 Enterprise Specific Trap (77) Uptime: 1 day, 3:32:03.45
_PRINTED_V1 = re.compile(
    rf"\[([0-9.]{{7,15}})\] \(via ([^)]{{1,160}})\) TRAP, SNMP v1.{{0,300}}?{_BREAK}+({_OID}) "
    r"([A-Z][A-Za-z ]{1,30}) Trap \((\.?\d{1,10})\) Uptime: ([^\t\n#\\]{1,60})",
    re.DOTALL,
)
# 10.1.2.3: Link Down Trap (0) Uptime: 0:02:03.45, .1.3.6.1.2.1.2.2.1.1.3 = …
_SYSLOG_V1 = re.compile(
    r"([0-9.]{7,15}): ([A-Z][A-Za-z ]{1,30}) Trap \((\.?\d{1,10})\) Uptime: ((?:\d+ days?, )?[\d:.]{1,20})"
)
_COMMUNITY = re.compile(rf"(TRAP, SNMP v1, community )(?:(?!{_BREAK}).)+", re.DOTALL)
_SOURCE_V2 = re.compile(r"\[((?:UDP|TCP)[^ ]{0,5}: \[[^ ]{1,120})\]: ?(?:Trap |\t|\n|#01|\\[tn])")
_TICKS = re.compile(r"\((\d{1,10})\)|(\d{1,10})\Z")
_CLOCK = re.compile(r"(?:(\d{1,6}) days?, )?(\d{1,4}):(\d\d):(\d\d)(?:\.(\d\d))?\Z")


@dataclass(frozen=True, slots=True)
class Varbind:
    """One variable binding; `oid` without leading dot, `type` as snmptrapd names it, if it did."""

    oid: str
    value: str
    type: str | None = None

    def as_dict(self) -> dict[str, str]:
        """`{"oid": …, "type": …, "value": …}`; no `type` where none is known."""
        if self.type is None:
            return {"oid": self.oid, "value": self.value}
        return {"oid": self.oid, "type": self.type, "value": self.value}


@dataclass(frozen=True, slots=True)
class TrapFields:
    """What a trap says about itself.

    `trap_oid` is the notification's identifier in SNMPv2 terms. `agent_address` is the device the
    trap is about, which behind NAT or a proxy is not `source_address`, where the packet came from.
    `uptime` is as sent, `uptime_hundredths` the same in hundredths of a second where it is readable.
    """

    trap_oid: str | None
    agent_address: str | None
    source_address: str | None
    uptime: str | None
    uptime_hundredths: int | None
    version: SnmpVersion | None
    varbinds: list[Varbind] = field(default_factory=list)


def parse_snmptrapd_line(message: str) -> TrapFields | None:
    """Fields of a trap that snmptrapd logged as `message`; None for any other message.

    Runs for every event: a message that is none costs three searches for a short literal.
    """
    if message.startswith(MARKER, 1 if message.startswith(" ") else 0):
        return _parse_ours(message)
    if "TRAP, SNMP v1" in message:
        return _parse_printed_v1(message)
    if "P: [" in message or "6: [" in message or " Trap (" in message:
        return _parse_syslog_v1(message) or _parse_default_v2(message)
    return None


def may_be_trap(message: str) -> bool:
    """False for nearly every message that `parse_snmptrapd_line` knows nothing about; costs next to nothing."""
    return "TRAP" in message or ": [" in message or " Trap (" in message


def enrich(event: dict[str, object]) -> None:
    """Add the trap's fields to an event whose message is a snmptrapd line.

    Sets trap_oid, agent_address, trap_source_address, trap_uptime, trap_uptime_hundredths, varbinds
    and snmp_version, each only where it is known and the event does not have it yet. The syslog
    hostname of such a line is the host that snmptrapd runs on, the same for all devices; it moves to
    `trap_receiver`, and `hostname` becomes the agent address, so that rules, teams and alerts see the
    device. An event that came with a trap_oid was prepared by its sender and is left alone.
    snmptrapd's own SNMPv1 format contains the community string: it is a password, and is masked.
    """
    message = event.get("message")
    if not isinstance(message, str) or event.get("trap_oid"):
        return
    trap = parse_snmptrapd_line(message)
    if trap is None:
        return
    if "community" in message:
        event["message"] = _COMMUNITY.sub(r"\1***", message, count=1)
    found: dict[str, object] = {
        "trap_oid": trap.trap_oid,
        "agent_address": trap.agent_address,
        "trap_source_address": trap.source_address,
        "trap_uptime": trap.uptime,
        "trap_uptime_hundredths": trap.uptime_hundredths,
        "snmp_version": trap.version,
        "varbinds": [varbind.as_dict() for varbind in trap.varbinds] or None,
    }
    if trap.agent_address and "agent_address" not in event:
        found["trap_receiver"] = event.get("hostname")
        event["hostname"] = trap.agent_address
    for name, value in found.items():
        if value is not None:
            event.setdefault(name, value)


def v2_trap_oid(enterprise: str, generic: int, specific: int) -> str:
    """SNMPv2 notification identifier of an SNMPv1 trap, RFC 3584 section 3.1 (2) and (3)."""
    if 0 <= generic < ENTERPRISE_SPECIFIC:
        return f"{SNMP_TRAPS}.{generic + 1}"
    return f"{enterprise}.0.{specific}"


def uptime_hundredths(text: str) -> int | None:
    """Hundredths of a second of `12345`, `Timeticks: (12345) 0:02:03.45` or `1 day, 3:32:03.45`."""
    text = text.strip()
    if ticks := _TICKS.match(text):
        return int(ticks[1] or ticks[2])
    if clock := _CLOCK.match(text):
        days, hours, minutes, seconds, hundredths = (int(part or 0) for part in clock.groups())
        return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 100 + hundredths
    return None


def _parse_ours(message: str) -> TrapFields:
    end = _HEADER_END.search(message)
    header = message[: end.start()] if end else message
    head, _, source = header.partition(" from=")
    fields = dict(_OUR_FIELD.findall(head))
    version = VERSION_OF_NUMBER.get(fields.get("v", ""))
    varbinds = _varbinds(message, end.start() if end else len(message))
    if version != "1":
        return _v2_fields(varbinds, _address(source), version)
    return _v1_fields(
        varbinds,
        agent=fields.get("agent", ""),
        source=_address(source),
        enterprise=_numeric(fields.get("enterprise", "")),
        generic=_number(fields.get("generic", "")),
        specific=_number(fields.get("specific", "")),
        uptime=fields.get("uptime", ""),
    )


def _parse_printed_v1(message: str) -> TrapFields | None:
    head = _PRINTED_V1.search(message)
    if head is None:
        return None
    agent, via, enterprise, name, specific, uptime = head.groups()
    return _v1_fields(
        _varbinds(message, head.end()),
        agent=agent,
        source=_address(via),
        enterprise=_numeric(enterprise),
        generic=GENERIC_NAMES.get(name),
        specific=_number(specific),
        uptime=uptime,
    )


def _parse_syslog_v1(message: str) -> TrapFields | None:
    head = _SYSLOG_V1.search(message)
    if head is None:
        return None
    agent, name, specific, uptime = head.groups()
    return _v1_fields(
        _varbinds(message, head.end()),
        agent=agent,
        source=None,
        enterprise="",
        generic=GENERIC_NAMES.get(name),
        specific=_number(specific),
        uptime=uptime,
    )


def _parse_default_v2(message: str) -> TrapFields | None:
    head = _SOURCE_V2.search(message)
    if head is None:
        return None
    varbinds = _varbinds(message, head.end(1))
    # Any program may log a transport address; a notification has its identifier among the first two
    # varbinds (RFC 3416 section 4.2.6).
    if not any(varbind.oid == SNMP_TRAP_OID_0 for varbind in varbinds[:2]):
        return None
    return _v2_fields(varbinds, _address(head[1]), None)


def _v1_fields(
    varbinds: list[Varbind],
    *,
    agent: str,
    source: str | None,
    enterprise: str,
    generic: int | None,
    specific: int | None,
    uptime: str,
) -> TrapFields:
    trap_oid = None
    if generic is not None and (generic < ENTERPRISE_SPECIFIC or (enterprise and specific is not None)):
        trap_oid = v2_trap_oid(enterprise, generic, specific or 0)
    return TrapFields(
        trap_oid=trap_oid,
        agent_address=_usable(agent) or source,
        source_address=source,
        uptime=uptime or None,
        uptime_hundredths=uptime_hundredths(uptime),
        version="1",
        varbinds=varbinds,
    )


def _v2_fields(varbinds: list[Varbind], source: str | None, version: SnmpVersion | None) -> TrapFields:
    values: dict[str, str] = {}
    for varbind in varbinds:
        values.setdefault(varbind.oid, varbind.value)
    trap_oid = _numeric(values.get(SNMP_TRAP_OID_0, ""))
    uptime = values.get(SYS_UP_TIME_0)
    return TrapFields(
        trap_oid=trap_oid or None,
        agent_address=_usable(values.get(SNMP_TRAP_ADDRESS_0, "")) or source,
        source_address=source,
        uptime=uptime,
        uptime_hundredths=uptime_hundredths(uptime) if uptime else None,
        version=version,
        varbinds=varbinds,
    )


def _varbinds(message: str, position: int) -> list[Varbind]:
    """Variable bindings after `position`; a cut-off line gives those that are whole, and the rest of the last."""
    found: list[Varbind] = []
    start = _FIRST_VARBIND.search(message, position)
    while start is not None and len(found) < MAX_VARBINDS:
        oid = _numeric(start[1])
        type_name = _TYPE.match(message, start.end())
        value_at = type_name.end() if type_name else start.end()
        quoted = _QUOTED.match(message, value_at)
        following = _NEXT_VARBIND.search(message, quoted.end() if quoted else value_at)
        if quoted:
            value = _plain(_BACKSLASHED.sub(r"\1", quoted[1]))
        else:
            value = _value(
                type_name[1] if type_name else None, message[value_at : _start(following, message)]
            )
        found.append(Varbind(oid, value, type_name[1] if type_name else None))
        start = _FIRST_VARBIND.match(message, following.end()) if following else None
    return found


def _start(match: re.Match[str] | None, message: str) -> int:
    return match.start() if match else len(message)


def _value(type_name: str | None, text: str) -> str:
    """A value that was not in quotes, in one plain form a type."""
    text = _plain(text)
    if type_name in ("Hex-STRING", "BITS"):
        return " ".join(text.split())
    text = text.strip()
    if type_name == "OID":
        return _numeric(text) or text
    if type_name == "Timeticks" and (ticks := _TICKS.match(text)):
        return ticks[1] or ticks[2]
    return text


def _plain(text: str) -> str:
    return text.replace("#011", "\t").replace("#012", "\n").replace("#015", "\r")


def _numeric(oid: str) -> str:
    """`1.3.6.1…` of `.1.3.6.1…`, `iso.3.6.1…` or `1.3.6.1…`; empty when it is no numeric identifier."""
    plain = oid.strip().removeprefix(".")
    if plain.startswith("iso."):
        plain = "1" + plain[3:]
    return plain if re.fullmatch(r"\d+(?:\.\d+)+", plain, re.ASCII) else ""


def _number(text: str) -> int | None:
    """snmptrapd writes the specific number of an enterprise trap as `.77`."""
    plain = text.removeprefix(".")
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) <= 10 else None


def _address(transport: str) -> str | None:
    """`10.1.2.3` of `UDP: [10.1.2.3]:161->[10.0.0.1]:162`, `2001:db8::1` of `UDP/IPv6: [2001:db8::1]:161`."""
    match = _ADDRESS.search(transport)
    return match[1] if match else None


def _usable(address: str) -> str | None:
    """0.0.0.0 is how an agent says that it does not know its address; anything that is none is ignored."""
    is_address = re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", address)
    return address if is_address and address != "0.0.0.0" else None  # noqa: S104
