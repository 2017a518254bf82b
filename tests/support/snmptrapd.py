"""A private snmptrapd with MUTT's shipped configuration, and snmptrap to send to it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from tests.support.rsyslog import ETC, find_server
from tests.support.waiting import wait_until

SHIPPED_CONF = ETC / "snmp" / "snmptrapd.conf"
COMMUNITY = "c0mmunity-secret"
ENGINE_ID = "0x80000009030000aabbccddee"
V3_USER = ("mutt-traps", "authentication password", "privacy password")


def free_udp_port() -> int:
    """A UDP port on the loopback address that nobody listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def shipped_conf_with_senders() -> str:
    """The shipped file with its examples made real."""
    text = SHIPPED_CONF.read_text(encoding="utf-8")
    user, authentication, privacy = V3_USER
    senders = (
        f"authCommunity log {COMMUNITY}\n"
        f'createUser -e {ENGINE_ID} {user} SHA "{authentication}" AES "{privacy}"\n'
        f"authUser log {user} priv\n"
    )
    return senders + text


class Snmptrapd:
    """snmptrapd in the foreground on a UDP port of the loopback address.

    Logs to `log`, or, with `dev_log` (a folder with a socket named `log`), to syslog: the folder takes
    the place of /dev in a mount namespace of its own, because syslog(3) knows no other way.
    """

    def __init__(self, folder: Path, conf: str, dev_log: Path | None = None) -> None:
        self.port = free_udp_port()
        self.log = folder / "traps.log"
        self._folder = folder
        self._conf = folder / "snmptrapd.conf"
        self._conf.write_text(conf, encoding="utf-8")
        self._dev_log = dev_log
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
            # Users and engine data go here and not into the system's folders.
            "SNMP_PERSISTENT_DIR": str(folder / "persistent"),
            "SNMPCONFPATH": str(folder),
            "LANG": "C",
        }

    def start(self) -> Snmptrapd:
        """Start and wait until the port is taken."""
        command = [
            *(find_server("snmptrapd"), "-f", "-n", "-C", "-c", str(self._conf), "-m", ""),
            *(["-Ls6"] if self._dev_log else ["-Lf", str(self.log)]),
            *("-p", str(self._folder / "snmptrapd.pid"), "-x", str(self._folder / "agentx")),
            f"udp:127.0.0.1:{self.port}",
        ]
        if self._dev_log:
            command = [*_in_namespace_with(self._dev_log), *command]
        self._process = subprocess.Popen(
            command, env=self._environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(lambda: self._listens() or self._process_ended(), 15, "snmptrapd listens")
        assert not self._process_ended(), "snmptrapd did not start"
        return self

    def close(self) -> None:
        """SIGTERM."""
        if self._process is not None and not self._process_ended():
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(15)
        self._process = None

    def send(self, version: str, *arguments: str) -> None:
        """`snmptrap` with credentials for `version` ("1", "2c", "3") and `arguments` after the address."""
        user, authentication, privacy = V3_USER
        credentials = {
            "1": ["-v1", "-c", COMMUNITY],
            "2c": ["-v2c", "-c", COMMUNITY],
            "3": [
                *("-v3", "-e", ENGINE_ID, "-u", user, "-l", "authPriv"),
                *("-a", "SHA", "-A", authentication, "-x", "AES", "-X", privacy),
            ],
        }[version]
        program = shutil.which("snmptrap")
        assert program, "snmptrap is not installed: apt-get install snmp"
        subprocess.run(
            [program, *credentials, "-m", "", f"udp:127.0.0.1:{self.port}", *arguments],
            env=self._environment,
            check=True,
            timeout=15,
        )

    def _listens(self) -> bool:
        listening = Path("/proc/net/udp").read_text()
        return f"0100007F:{self.port:04X} " in listening

    def _process_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None


def _in_namespace_with(folder: Path) -> list[str]:
    """Command prefix that replaces /dev by `folder` (with null and the random devices) for one program."""
    script = (
        'set -e; dir=$1; shift; for device in null urandom random; do touch "$dir/$device"; '
        'mount --bind "/dev/$device" "$dir/$device"; done; mount --rbind "$dir" /dev; exec "$@"'
    )
    user_namespace = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", *user_namespace, "sh", "-c", script, "sh", str(folder)]
