"""Seeded rules and events in the manner of network devices: the same generator for every bench and size.

A `Subject` is one kind of message (facility, mnemonic, daemon, trap OID). Rules are made from some
subjects, messages from any: a message about a subject that no rule was made of is unmatched.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from mutt_appliance.store.rules import RuleData, RuleRow

SEED = 20240229


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FACILITIES = _words(
    "AAA ACL ARP ATM BFD BGP CDP CEF CLNS COPP CRYPTO DHCP DOT1X DTP DUAL EEM EIGRP ENVMON ETHCNTR FABRIC "
    "FIB FLOW FMANFP HA HSRP IFMGR IKE IOSXE IPNAT IPSLA ISIS LACP LDP LINEPROTO LINK LLDP LOADBAL MAB MCAST "
    "MPLS MSDP NAT NDP NTP OSPF PARITY PIM PLATFORM PM PORTSEC POE QOS RADIUS REDUNDANCY RSVP RTMGR SEC SNMP "
    "SPANTREE SSH STACKMGR STORM SYSMGR TACACS TCAM TUNNEL UDLD VLAN VPC VRRP VTP VXLAN WCCP ZBFW"
)
NOUNS = _words(
    "adjacency bundle cache channel circuit client cluster config database fan feature filter gateway group "
    "interface keepalive label license link lookup module neighbor packet path peer policy pool port power "
    "prefix process queue record route sensor server session signal slot socket station supply table timer "
    "topology transceiver trunk tunnel vlan voltage zone"
)
STATES = _words(
    "aborted blocked changed cleared conflict corrupted deleted denied detected disabled down duplicate "
    "exceeded exhausted expired failed flapping full inconsistent invalid lost mismatch missing overflow "
    "recovered rejected reset restarted stale stopped suspended timeout unreachable unstable"
)
DAEMONS = _words(
    "bgpd chronyd cron dhcpd dockerd haproxy isisd kernel keepalived lldpd mgd named nginx ospfd pimd postfix "
    "rpd rsyslogd smartd snmpd sshd sudo systemd vrrpd zebra"
)
PORTS = ("GigabitEthernet", "TenGigabitEthernet", "HundredGigE", "Ethernet", "xe-", "ge-", "Port-channel")
ENTERPRISES = (9, 311, 2011, 2636, 6527, 8072, 12356, 14988, 25461, 30065)
HOSTS = 400

Form = Literal["cisco", "daemon", "trap"]


@dataclass(frozen=True)
class Subject:
    """One kind of message."""

    form: Form
    facility: str
    severity: int
    noun: str
    state: str
    daemon: str
    oid: str
    shape: str

    @property
    def mnemonic(self) -> str:
        """As Cisco writes it: `PEER_RESET`, `RESET_PEER` or `PEERRESET`."""
        return self.shape.format(self.noun.upper(), self.state.upper())

    @property
    def tag(self) -> str:
        """What a Cisco message begins with: `%BGP-3-PEER_RESET`."""
        return f"%{self.facility}-{self.severity}-{self.mnemonic}"


def subjects(count: int, seed: int = SEED) -> list[Subject]:
    """`count` kinds of message, all different; a longer list begins with the shorter one."""
    rng = random.Random(seed)
    seen: set[tuple[str, str, str]] = set()
    found: list[Subject] = []
    while len(found) < count:
        words = (rng.choice(FACILITIES), rng.choice(NOUNS), rng.choice(STATES))
        if words in seen:
            continue
        seen.add(words)
        number = len(found)
        found.append(
            Subject(
                form=rng.choices(("cisco", "daemon", "trap"), (62, 28, 10))[0],
                facility=words[0],
                severity=rng.choice((1, 2, 3, 3, 4, 4, 5, 5, 6)),
                noun=words[1],
                state=words[2],
                daemon=rng.choice(DAEMONS),
                oid=f"1.3.6.1.4.1.{rng.choice(ENTERPRISES)}.{number // 100 + 1}.{number % 100}",
                shape=rng.choice(("{0}_{1}", "{1}_{0}", "{0}{1}")),
            )
        )
    return found


def rules_of(chosen: Sequence[Subject], seed: int = SEED) -> RuleData:
    """One rule for each subject, in the order they are tried; every handling is forwarded."""
    rng = random.Random(seed + 1)
    rows = [_rule(number, subject, rng) for number, subject in enumerate(chosen, 1)]
    teams = {f"host-{n:03}.example.net": f"TEAM{n % 7}" for n in range(0, HOSTS, 5)}
    return RuleData(tuple(sorted(rows, key=lambda row: (row.priority, row.id))), teams=teams)


def _rule(number: int, subject: Subject, rng: random.Random) -> RuleRow:
    kind, text, oid = _condition(subject, rng)
    by_severity = subject.form == "cisco" and rng.random() < 0.1
    return RuleRow(
        id=number,
        match_string=text,
        trap_oid=oid,
        syslog_severity=subject.severity if by_severity else None,
        match_type=kind,
        priority=rng.choice((10, 20, 50, 100, 100, 100, 200)),
        prod_handling=rng.choice(("Page_and_ticket", "Ticket_only")),
        dev_handling="Ticket_only",
        team_assignment=rng.choice((None, "NETO", "CORE")),
        description=None,
    )


def _condition(subject: Subject, rng: random.Random) -> tuple[str, str | None, str | None]:
    """(match type, match_string, trap_oid): people copy a mnemonic, or write a regex around what varies."""
    if subject.form == "trap":
        return "oid_prefix", None, subject.oid
    regex = rng.random() < 0.4
    if subject.form == "cisco":
        if not regex:
            return "contains", subject.tag, None
        head = f"%{subject.facility}-[0-{subject.severity}]-{subject.mnemonic}"
        tail = rng.choice((r": \w+ \S+ on \S+", r": .*(?:GigabitEthernet|Ethernet|xe-|ge-)?\d+/\d+", r"\b"))
        return "regex", head + tail, None
    words = f"{subject.facility.lower()} {subject.noun}"
    if not regex:
        return "contains", f"{words} {subject.state}", None
    return "regex", rf"{subject.daemon}\[\d+\]: {words} (?:is |was )?{subject.state}", None


@dataclass(frozen=True)
class Traffic:
    """Rules, and subjects that they do and do not match."""

    rules: RuleData
    covered: tuple[Subject, ...]
    uncovered: tuple[Subject, ...]


def traffic(rules: int, uncovered: int = 1500) -> Traffic:
    """`rules` rules; the unmatched messages are about the same subjects whatever their number."""
    everything = subjects(uncovered + rules)
    covered = everything[uncovered:]
    return Traffic(rules_of(covered), tuple(covered), tuple(everything[:uncovered]))


def events(source: Traffic, count: int, matched_every: int = 10, seed: int = SEED) -> list[dict[str, Any]]:
    """`count` events as a device's relay would send them; each `matched_every`-th matches a rule, no other does.

    A few hosts talk most and a few subjects come up most, as in real logs.
    """
    rng = random.Random(seed + 2)
    start = datetime.now(UTC)
    found = []
    for number in range(count):
        matched = number % matched_every == matched_every - 1
        choices = source.covered if matched else source.uncovered
        found.append(_event(choices[_uneven(len(choices), rng)], rng, start, number))
    return found


def _uneven(size: int, rng: random.Random) -> int:
    """A number below `size`, low ones more often: the first tenth gets nearly half."""
    return int(size * rng.random() ** 3)


def _event(subject: Subject, rng: random.Random, start: datetime, number: int) -> dict[str, Any]:
    event: dict[str, Any] = {
        "timestamp": (start + timedelta(milliseconds=number)).isoformat(timespec="milliseconds"),
        "hostname": f"host-{_uneven(HOSTS, rng):03}.example.net",
        "message": _message(subject, rng),
        "syslog_severity": subject.severity,
        "facility": "local7",
        "program": subject.daemon if subject.form == "daemon" else "-",
        "fromhost_ip": f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}",
    }
    if subject.form == "trap":
        event["trap_oid"] = f"{subject.oid}.{rng.randrange(1, 9)}"
    return event


def _message(subject: Subject, rng: random.Random) -> str:
    port = f"{rng.choice(PORTS)}{rng.randrange(4)}/{rng.randrange(48)}"
    peer = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
    number = rng.randrange(1, 60_000)
    module = f"module {rng.randrange(9)}, cpu {rng.randrange(100)}%"
    if subject.form == "cisco":
        return (
            f"{number:06}: {subject.tag}: {subject.noun} {peer} on {port} {subject.state}, "
            f"count {rng.randrange(100)}, {module}"
        )
    words = f"{subject.facility.lower()} {subject.noun} {subject.state}"
    if subject.form == "daemon":
        return f"{subject.daemon}[{number}]: {words} for {peer} via {port} after {rng.randrange(300)} s, {module}"
    return f"trap {subject.oid} from {peer}: {words}, ifIndex {number}, ifDescr {port}, {module}"


def plain_patterns(rules: RuleData, *, only_re: bool = False) -> list[tuple[str, Any]]:
    """Rules as the plain way keeps them, in the order they are tried.

    ("contains", text in lower case), ("regex", compiled pattern), ("oid", prefix with a dot at its end).
    With `only_re`, contains is a compiled pattern that ignores case, too.
    """
    patterns: list[tuple[str, Any]] = []
    for rule in rules.rules:
        if rule.match_type == "oid_prefix":
            patterns.append(("oid", f"{rule.trap_oid}."))
        elif rule.match_type == "regex":
            patterns.append(("regex", re.compile(rule.match_string or "")))
        elif only_re:
            patterns.append(("regex", re.compile(re.escape(rule.match_string or ""), re.IGNORECASE)))
        else:
            patterns.append(("contains", (rule.match_string or "").lower()))
    return patterns
