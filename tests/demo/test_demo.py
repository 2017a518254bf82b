"""`mutt demo` as a user starts it: what it says, how it ends, and that it leaves nothing behind."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from mutt_appliance.config.settings import Settings
from tests.support.waiting import wait_until

START_TIMEOUT_SECS = 120.0
REPOSITORY = Path(__file__).resolve().parents[2]


class Demo:
    """A running `mutt demo` whose folder is below `folder`; remembers every process it ever had."""

    def __init__(self, folder: Path, arguments: Sequence[str], *, terminal: bool = False) -> None:
        self.folder = folder
        self.text = ""
        master, slave = pty.openpty() if terminal else os.pipe()
        self._master = master
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mutt_appliance", "demo", *arguments],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "TMPDIR": str(folder),
                "TERM": "xterm-256color",
                "COLUMNS": "120",
                "LINES": "45",
            },
            stdin=slave if terminal else subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
            process_group=0,
        )
        os.close(slave)
        self._ever: dict[int, psutil.Process] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._master, 65536)
            except OSError:
                return
            if not chunk:
                return
            self.text += chunk.decode("utf-8", "replace")

    def plain(self) -> str:
        """What was written, without control sequences."""
        return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", self.text)

    def wait_for(self, words: str, timeout_secs: float = START_TIMEOUT_SECS) -> None:
        wait_until(
            lambda: words in self.plain() or self.process.poll() is not None,
            timeout_secs,
            f"{words!r} in {self.text}",
        )
        assert words in self.plain(), self.plain()

    def processes(self) -> list[psutil.Process]:
        """Every process below it now."""
        try:
            alive: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            return []
        self._ever.update({process.pid: process for process in alive})
        return alive

    def child(self, words: str) -> psutil.Process:
        """The process with these words in its title."""
        return next(p for p in self.processes() if words in _command_of(p))

    def leftovers(self) -> list[int]:
        """Those of them that still run."""
        return [pid for pid, process in self._ever.items() if _runs(process)]

    def wait(self) -> int:
        """Exit code."""
        code = self.process.wait(120)
        self._reader.join(10)
        return code

    def places(self) -> list[Path]:
        """Folders that it made and did not remove."""
        return list(self.folder.iterdir())

    def close(self) -> None:
        if self.process.poll() is None:
            self.processes()
            self.process.kill()
            self.process.wait()
        for pid in self.leftovers():
            self._ever[pid].kill()
        os.close(self._master)


def _command_of(process: psutil.Process) -> str:
    """Its command line, empty for one that has ended since it was listed."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def demos(short_tmp_path: Path) -> Iterator[Any]:
    started: list[Demo] = []

    def start(*arguments: str, terminal: bool = False) -> Demo:
        demo = Demo(short_tmp_path, arguments, terminal=terminal)
        started.append(demo)
        return demo

    yield start
    for demo in started:
        demo.close()


def counts_of(text: str) -> dict[str, int]:
    """The summary as {name: count}."""
    summary = text.partition("\nSummary")[2]
    found = re.findall(r"^  ([a-z-]+) +(-?[\d,]+)  ", summary, re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in found}


def test_it_ends_by_itself_with_a_summary_and_leaves_nothing_behind(demos: Any) -> None:
    usual = int(Settings.model_fields["server_port_ingestor"].default)
    with socket.socket() as blocker:
        blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            blocker.bind(("127.0.0.1", usual))
            blocker.listen()
        except OSError:
            pass  # another program listens there: just what is wanted
        demo = demos("--seconds", "12", "--no-tty")
        demo.wait_for("events/s of sample traffic")
        demo.processes()
        (folder,) = demo.places()
        secrets = dict(line.split("=", 1) for line in (folder / "mutt.secrets").read_text().splitlines())
        code = demo.wait()
    assert code == 0, demo.text
    assert f"port {usual} is in use: events in is on" in demo.text
    assert "\x1b" not in demo.text
    counts = counts_of(demo.text)
    assert counts["lost"] == 0
    assert counts["offered"] > 800
    assert counts["answered"] + counts["refused"] == counts["offered"]
    assert counts["audited"] + counts["unhandled"] == counts["answered"]
    assert counts["delivered"] + counts["dead"] == counts["forwarded"]
    for seen in ("audited", "unhandled", "meta-alerts", "delivered", "retried", "dead", "duplicates"):
        assert counts[seen] > 0, seen
    assert "http_404" in demo.text
    assert not any(secret in demo.text for secret in secrets.values())
    assert demo.leftovers() == []
    assert demo.places() == []


def test_on_a_terminal_it_survives_what_is_done_to_its_processes_and_ctrl_c_ends_it(demos: Any) -> None:
    demo = demos("--rate", "50", terminal=True)
    demo.wait_for("webhook  200 ×")
    for victim in ("mutt: alerter:0", "mutt: forwarder:0", "mutt: ingestor:0", "redis-server"):
        process = demo.child(victim)
        process.kill()
        wait_until(partial(has_child, demo, victim), 30, f"{victim} is back")
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.wait() == 0, demo.plain()
    assert "\x1b[?1049h" in demo.text, "the alternate screen was never used"
    assert demo.text.rindex("\x1b[?1049l") < demo.text.rindex("Summary")
    assert re.search(r"^  lost +0  ", demo.plain().replace("\r", ""), re.MULTILINE)
    assert demo.leftovers() == []
    assert demo.places() == []


def has_child(demo: Demo, words: str) -> bool:
    try:
        return demo.child(words) is not None
    except (StopIteration, psutil.Error):
        return False


def test_a_lost_event_is_noticed_and_the_exit_code_says_so(demos: Any) -> None:
    demo = demos("--seconds", "6", "--no-tty", "--keep")
    demo.wait_for("00:02")
    (folder,) = demo.places()
    done = subprocess.run(
        [
            *(
                "psql",
                "-h",
                str(folder / "run" / "postgres"),
                "-U",
                "mutt_user",
                "-d",
                "mutt_db",
                "-tA",
                "-c",
            ),
            "DELETE FROM event_audit_log WHERE event_id IN (SELECT event_id FROM event_audit_log "
            "WHERE NOT forwarded LIMIT 1)",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "DELETE 1"
    assert demo.wait() == 1
    assert counts_of(demo.text)["lost"] == 1
    assert "1 events answered with 2xx are nowhere" in demo.text
    assert f"kept: {folder}" in demo.text
    assert (folder / "mutt.log").exists()


def test_when_the_demonstration_is_killed_its_appliance_ends_too(demos: Any) -> None:
    demo = demos("--no-tty")
    demo.wait_for("00:00")
    assert len(demo.processes()) > 7
    demo.process.kill()
    demo.wait()
    wait_until(lambda: demo.leftovers() == [], 60, "every process of the appliance is gone")


def test_an_appliance_that_ends_by_itself_is_reported(demos: Any) -> None:
    demo = demos("--no-tty")
    demo.wait_for("00:00")
    demo.child("mutt: supervisor").kill()
    assert demo.wait() == 1
    assert "the appliance ended by itself" in demo.text
    wait_until(lambda: demo.leftovers() == [], 30, "every process of the appliance is gone")
    assert demo.places() == []


def test_ctrl_c_during_the_start_stops_it(demos: Any) -> None:
    demo = demos("--no-tty")
    demo.wait_for("their log is")
    time_given = time.monotonic()
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait() == 0
    assert time.monotonic() - time_given < 60
    assert "stopped before it began" in demo.text
    assert demo.leftovers() == []
    assert demo.places() == []


def run_to_the_end(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mutt_appliance", "demo", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_faulty_option_is_explained() -> None:
    done = run_to_the_end("--rate", "0")
    assert done.returncode == 2
    assert "--rate" in done.stderr


def test_a_folder_too_deep_for_sockets_is_explained(short_tmp_path: Path) -> None:
    done = run_to_the_end("--dir", str(short_tmp_path / ("x" * 100)))
    assert done.returncode == 1
    assert "too long for Unix sockets" in done.stderr
    assert "Traceback" not in done.stderr
