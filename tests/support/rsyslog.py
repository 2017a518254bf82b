"""A private rsyslogd with MUTT's shipped configuration, on high ports of the loopback address."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.servers import accepts_connections
from tests.support.waiting import free_port, wait_until

ETC = Path(__file__).resolve().parents[2] / "etc"
OMPROG_CONF = ETC / "rsyslog.d" / "60-mutt-omprog.conf"
OMHTTP_CONF = ETC / "rsyslog.d" / "60-mutt-omhttp.conf"
SHIPPED_PROGRAM = "/usr/bin/mutt rsyslog-forward --spool /var/spool/rsyslog/mutt-forward.spool"
SHIPPED_OUTPUT = 'output="/var/log/mutt-rsyslog-forward.log"'


def find_server(name: str) -> str:
    """A server program; they are not on the PATH of ordinary users."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    assert found, f"{name} is not installed: apt-get install rsyslog snmptrapd snmp"
    return found


def private_omprog_conf(log: Path, *arguments: str) -> str:
    """The shipped omprog configuration with this checkout's program, its arguments and another log."""
    text = OMPROG_CONF.read_text(encoding="utf-8")
    program = " ".join([sys.executable, "-m", "mutt_appliance", "rsyslog-forward", *arguments])
    for shipped, private in (
        (SHIPPED_PROGRAM, program),
        (SHIPPED_OUTPUT, f'output="{log}"'),
    ):
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, private)
    return text


class Rsyslog:
    """rsyslogd in the foreground with TCP and UDP inputs on `port`, its spool and files in `folder`.

    `rules` is what follows the inputs. With `socket_path` it also reads a Unix socket as /dev/log is.
    """

    def __init__(self, folder: Path, rules: str, socket_path: Path | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.spool = folder / "spool"
        self.conf = folder / "rsyslog.conf"
        self._log = folder / "rsyslogd.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.spool.mkdir(exist_ok=True)
        unix = f'input(type="imuxsock" Socket="{socket_path}" CreatePath="off")\n' if socket_path else ""
        self.conf.write_text(
            f'global(workDirectory="{self.spool}" maxMessageSize="64k" net.enableDNS="off")\n'
            'module(load="imuxsock" SysSock.Use="off")\nmodule(load="imtcp")\nmodule(load="imudp")\n'
            f'input(type="imtcp" address="127.0.0.1" port="{self.port}")\n'
            f'input(type="imudp" address="127.0.0.1" port="{self.port}" rcvbufSize="4m")\n{unix}{rules}\n'
            f'action(type="omfile" file="{folder / "received.log"}")\n',
            encoding="utf-8",
        )

    @property
    def log(self) -> str:
        """What rsyslogd said on its standard error."""
        return self._log.read_text(errors="replace")

    def received(self, text: str) -> int:
        """How many messages with `text` rsyslog has taken in."""
        path = self.folder / "received.log"
        return path.read_text(errors="replace").count(text) if path.exists() else 0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Rsyslog:
        """Start and wait until the TCP input listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [find_server("rsyslogd"), "-n", "-f", self.conf, "-i", self.folder / "rsyslogd.pid"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        wait_until(lambda: self._ended() or accepts_connections(self.port), 15, "rsyslogd listens")
        assert not self._ended(), self.log
        return self

    def stop(self, timeout_secs: float = 60) -> None:
        """SIGTERM, as systemd would; what is not delivered goes to the spool."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout_secs)
            self._process = None

    def close(self) -> None:
        """End it at once, with the programs it started."""
        if self._process is not None and not self._ended():
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def send_tcp(self, messages: list[str]) -> None:
        """Messages with their PRI, newline-framed (RFC 6587 section 3.4.2)."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            for message in messages:
                connection.sendall(message.encode() + b"\n")

    def send_udp(self, messages: list[str]) -> None:
        """One datagram a message."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for message in messages:
                sender.sendto(message.encode(), ("127.0.0.1", self.port))

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None
