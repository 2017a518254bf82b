"""Messages as Cisco, Juniper and Linux devices write them, and traps as snmptrapd logs them (pure)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

DOMAIN: Final = "demo.example"
CISCO: Final = tuple(
    f"{site}-{kind}-0{n}" for site in ("ams", "fra") for kind in ("core", "edge") for n in (1, 2)
)
JUNIPER: Final = ("lon-mx-01", "lon-mx-02", "par-srx-01")
LINUX: Final = ("web-01", "web-02", "db-01", "mail-01")
UPS: Final = "ups-01"
# On the list of development hosts that the demonstration loads: rules treat it more gently.
DEV_HOST: Final = "lab-sw-01"
# snmptrapd runs here; the agent addresses are the devices.
TRAP_RECEIVER: Final = "trap-relay"
AGENTS: Final = tuple(f"192.0.2.{n}" for n in range(11, 19))

HOSTNAMES: Final = frozenset(
    [*(f"{name}.{DOMAIN}" for name in (*CISCO, *JUNIPER, *LINUX, UPS, DEV_HOST, TRAP_RECEIVER)), *AGENTS]
)

# The enumerations of RFC 5424 section 6.2.1.
ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO = 1, 2, 3, 4, 5, 6
Make = Callable[[random.Random], str]


@dataclass(frozen=True)
class Source:
    """One kind of message: how often (weight), who sends it, how severe it is, and its text."""

    weight: float
    hosts: tuple[str, ...]
    severity: int
    program: str
    text: Make


def _port(chance: random.Random) -> str:
    return f"GigabitEthernet{chance.randint(0, 1)}/0/{chance.randint(1, 24)}"


def _juniper_port(chance: random.Random) -> str:
    return f"xe-0/0/{chance.randint(0, 11)}"


def _address(chance: random.Random) -> str:
    return f"198.51.100.{chance.randint(1, 254)}"


def _link(chance: random.Random) -> str:
    return f"%LINK-3-UPDOWN: Interface {_port(chance)}, changed state to down"


def _line_protocol(chance: random.Random) -> str:
    return f"%LINEPROTO-5-UPDOWN: Line protocol on Interface {_port(chance)}, changed state to down"


def _bgp(chance: random.Random) -> str:
    return f"%BGP-5-ADJCHANGE: neighbor {_address(chance)} Down BGP Notification sent"


def _ospf(chance: random.Random) -> str:
    return (
        f"%OSPF-5-ADJCHG: Process 1, Nbr {_address(chance)} on {_port(chance)} from FULL to DOWN, "
        "Neighbor Down: Dead timer expired"
    )


def _memory(chance: random.Random) -> str:
    return (
        f"%SYS-2-MALLOCFAIL: Memory allocation of {chance.randint(1, 64) * 1024} bytes failed "
        f"from 0x{chance.getrandbits(32):08X}, alignment 0"
    )


def _fan(chance: random.Random) -> str:
    return f"%ENVMON-2-FAN_FAILED: Fan {chance.randint(1, 4)} not rotating"


def _config(chance: random.Random) -> str:
    return f"%SYS-5-CONFIG_I: Configured from console by netops on vty{chance.randint(0, 4)} ({_address(chance)})"


def _junos_link(chance: random.Random) -> str:
    n = chance.randint(500, 560)
    return (
        f"SNMP_TRAP_LINK_DOWN: ifIndex {n}, ifAdminStatus up(1), ifOperStatus down(2), "
        f"ifName {_juniper_port(chance)}"
    )


def _junos_bgp(chance: random.Random) -> str:
    return (
        f"RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer {_address(chance)} (External AS {chance.randint(64512, 64530)}) "
        "changed state from Established to Idle (event HoldTime) (instance master)"
    )


def _junos_alarm(chance: random.Random) -> str:
    return f"CHASSISD_FRU_OFFLINE_NOTICE: Taking FPC {chance.randint(0, 3)} offline: Error"


def _oom(chance: random.Random) -> str:
    pid = chance.randint(1000, 32000)
    return f"Out of memory: Killed process {pid} (java) total-vm:{chance.randint(1, 9)}123456kB, anon-rss:812345kB"


def _disk(chance: random.Random) -> str:
    return f"blk_update_request: I/O error, dev sd{chance.choice('abcd')}, sector {chance.randint(1, 10**9)}"


def _login(chance: random.Random) -> str:
    return f"Failed password for root from {_address(chance)} port {chance.randint(1024, 65535)} ssh2"


def _cron(chance: random.Random) -> str:
    return f"(root) CMD (run-parts /etc/cron.hourly) #{chance.randint(1000, 32000)}"


def _dhcp(chance: random.Random) -> str:
    mac = ":".join(f"{chance.getrandbits(8):02x}" for _ in range(6))
    return f"DHCPACK on {_address(chance)} to {mac} via eth0"


def _postfix(chance: random.Random) -> str:
    return f"{chance.getrandbits(44):011X}: client=mx.example.org[{_address(chance)}]"


def _acl(chance: random.Random) -> str:
    return (
        f"%SEC-6-IPACCESSLOGP: list EDGE-IN denied tcp {_address(chance)}({chance.randint(1024, 65535)}) "
        f"-> 203.0.113.10(445), {chance.randint(1, 9)} packets"
    )


def _battery(chance: random.Random) -> str:
    """No rule is made for it, and there is much of it: it is what meta-alerts are for."""
    return (
        f"acme-ups: self test {chance.randint(1000, 9999)} put off, charge {chance.randint(70, 99)} percent"
    )


def _trap_head(version: int) -> str:
    return f"MUTT-TRAP v={version} from=UDP: [{{agent}}]:161->[203.0.113.5]:162"


def _varbinds(*pairs: str) -> str:
    return "".join(f"\t{pair}" for pair in pairs)


def _trap_link_down(chance: random.Random) -> str:
    index = chance.randint(1, 48)
    return _trap_head(1) + _varbinds(
        f".1.3.6.1.2.1.1.3.0 = Timeticks: ({chance.randint(1, 2**31)}) 0:00:00.00",
        ".1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.6.3.1.1.5.3",
        f".1.3.6.1.2.1.2.2.1.1.{index} = INTEGER: {index}",
        f'.1.3.6.1.2.1.31.1.1.1.1.{index} = STRING: "Gi1/0/{index}"',
        f".1.3.6.1.2.1.2.2.1.8.{index} = INTEGER: 2",
    )


def _trap_cold_start(chance: random.Random) -> str:
    return (
        "MUTT-TRAP v=0 agent={agent} enterprise=.1.3.6.1.4.1.9.1.516 generic=0 specific=0 "
        f"uptime=0:00:{chance.randint(10, 59)}.00 from=UDP: [{{agent}}]:161->[203.0.113.5]:162"
    )


def _trap_bgp(chance: random.Random) -> str:
    peer = _address(chance)
    return _trap_head(1) + _varbinds(
        f".1.3.6.1.2.1.1.3.0 = Timeticks: ({chance.randint(1, 2**31)}) 0:00:00.00",
        ".1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.2.1.15.0.2",
        f".1.3.6.1.2.1.15.3.1.14.{peer} = Hex-STRING: 04 00",
        f".1.3.6.1.2.1.15.3.1.2.{peer} = INTEGER: 1",
    )


def _trap_unknown(chance: random.Random) -> str:
    return _trap_head(1) + _varbinds(
        f".1.3.6.1.2.1.1.3.0 = Timeticks: ({chance.randint(1, 2**31)}) 0:00:00.00",
        ".1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.4.1.99999.7.0.3",
        f".1.3.6.1.4.1.99999.7.1.1.0 = INTEGER: {chance.randint(1, 9)}",
    )


SOURCES: Final = (
    Source(7, (*CISCO, DEV_HOST), ERROR, "", _link),
    Source(5, (*CISCO, DEV_HOST), NOTICE, "", _line_protocol),
    Source(4, CISCO, NOTICE, "", _bgp),
    Source(3, CISCO, NOTICE, "", _ospf),
    Source(1, CISCO, CRITICAL, "", _memory),
    Source(1, CISCO, CRITICAL, "", _fan),
    Source(3, (*CISCO, DEV_HOST), NOTICE, "", _config),
    Source(4, JUNIPER, WARNING, "mib2d", _junos_link),
    Source(3, JUNIPER, WARNING, "rpd", _junos_bgp),
    Source(1, JUNIPER, NOTICE, "chassisd", _junos_alarm),
    Source(1, LINUX, ERROR, "kernel", _oom),
    Source(1, LINUX, ERROR, "kernel", _disk),
    Source(5, LINUX, INFO, "sshd", _login),
    Source(7, LINUX, INFO, "CRON", _cron),
    Source(9, LINUX, INFO, "dhcpd", _dhcp),
    Source(9, ("mail-01",), INFO, "postfix/smtpd", _postfix),
    Source(9, CISCO, INFO, "", _acl),
    Source(8, (UPS,), NOTICE, "acme-ups", _battery),
    Source(5, (TRAP_RECEIVER,), NOTICE, "snmptrapd", _trap_link_down),
    Source(1, (TRAP_RECEIVER,), NOTICE, "snmptrapd", _trap_cold_start),
    Source(2, (TRAP_RECEIVER,), NOTICE, "snmptrapd", _trap_bgp),
    Source(2, (TRAP_RECEIVER,), NOTICE, "snmptrapd", _trap_unknown),
)
_WEIGHTS: Final = [source.weight for source in SOURCES]
# Share of events that the ingestor has to refuse.
FAULTY_SHARE: Final = 0.003


class MessageMaker:
    """Makes events one after the other; the same seed gives the same messages.

    Their ids are `demo-<run>-<number>`, so that the ledger knows them from events of others.
    """

    def __init__(self, run: str, seed: int = 1) -> None:
        self.prefix = f"demo-{run}-"
        self.made = 0
        self._chance = random.Random(seed)  # noqa: S311 - sample traffic, not secrets

    def next(self, now: datetime | None = None) -> dict[str, Any]:
        """One event as a relay would send it; a few lack their hostname."""
        chance = self._chance
        (source,) = chance.choices(SOURCES, _WEIGHTS)
        text = source.text(chance).replace("{agent}", chance.choice(AGENTS))
        self.made += 1
        event: dict[str, Any] = {
            "event_id": f"{self.prefix}{self.made}",
            "timestamp": (now or datetime.now(UTC)).isoformat(),
            "hostname": f"{chance.choice(source.hosts)}.{DOMAIN}",
            "message": text,
            "syslog_severity": source.severity,
            "fromhost_ip": "127.0.0.1",
        }
        if source.program:
            event["program"] = source.program
        if chance.random() < FAULTY_SHARE:
            del event["hostname"]
        return event
