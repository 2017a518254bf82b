"""mutt-ctl against a running appliance of trivial roles."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mutt_appliance.cli.ctl import COMMANDS, cli
from mutt_appliance.cli.ctl_client import (
    DEFAULT_ENV_FILE,
    DEFAULT_RUNTIME_DIR,
    EXIT_NO_PRIVILEGE,
    EXIT_NOT_RUNNING,
    default_runtime_dir,
)
from mutt_appliance.cli.ctl_processes import expand
from mutt_appliance.cli.ctl_status import age
from mutt_appliance.config import loading
from mutt_appliance.config.settings import Settings
from mutt_appliance.control import server
from mutt_appliance.control.client import SOCKET_NAME
from tests.supervisor.mini_appliance import EVERYBODY, Mini
from tests.supervisor.trivial_role import behave
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def mini() -> Iterator[Mini]:
    """An appliance for the whole file; tests leave everything running."""
    with Mini() as appliance:
        yield appliance.serve()


def ctl(mini: Mini, *words: str) -> Result:
    """One command, as a user of the appliance's folder gives it."""
    return CliRunner().invoke(cli, ["--runtime-dir", mini.env["MUTT_RUNTIME_DIR"], *words])


def test_every_command_of_the_table_has_a_help_text() -> None:
    for name in COMMANDS:
        answer = CliRunner().invoke(cli, [name, "--help"])
        assert answer.exit_code == 0, (name, answer.output)


def test_what_the_client_knows_without_the_settings_is_what_they_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Settings.model_fields["mutt_runtime_dir"].default == DEFAULT_RUNTIME_DIR
    assert (DEFAULT_ENV_FILE, SOCKET_NAME) == (loading.DEFAULT_ENV_FILE, server.SOCKET_NAME)
    file = tmp_path / "mutt.env"
    monkeypatch.setenv("MUTT_ENV_FILE", str(file))
    monkeypatch.delenv("MUTT_RUNTIME_DIR", raising=False)
    assert default_runtime_dir() == DEFAULT_RUNTIME_DIR
    file.write_text("MUTT_RUNTIME_DIR=/elsewhere\n")
    assert default_runtime_dir() == Path("/elsewhere")
    monkeypatch.setenv("MUTT_RUNTIME_DIR", "/third")
    assert default_runtime_dir() == Path("/third")


def test_the_start_does_not_import_what_it_does_not_need(mini: Mini) -> None:
    program = (
        "import sys; from click.testing import CliRunner; from mutt_appliance.cli.ctl import cli\n"
        f"CliRunner().invoke(cli, ['--runtime-dir', {mini.env['MUTT_RUNTIME_DIR']!r}, 'status'])\n"
        "print([m for m in ('aiohttp', 'redis', 'psycopg2', 'pydantic', 'rich', 'structlog') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_status_is_a_table_and_exit_code_0(mini: Mini) -> None:
    answer = ctl(mini, "status")
    assert answer.exit_code == 0, answer.output
    lines = answer.output.splitlines()
    assert f"process {mini.pid}" in lines[0]
    assert "5 of 5 processes serve" in lines[0]
    assert {line.split()[0] for line in lines[2:]} == EVERYBODY
    assert "\x1b" not in answer.output


def test_status_on_a_terminal_has_colour(mini: Mini) -> None:
    ours, theirs = pty.openpty()
    program = [sys.executable, "-m", "mutt_appliance.cli.ctl", "--runtime-dir", mini.env["MUTT_RUNTIME_DIR"]]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen([*program, "status"], stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        output = b""
        try:
            while chunk := os.read(ours, 4096):
                output += chunk
        except OSError:
            # A terminal ends so.
            pass
        assert process.wait() == 0
    os.close(ours)
    assert b"\x1b[32mRUNNING" in output


def test_status_as_json(mini: Mini) -> None:
    document = json.loads(ctl(mini, "status", "--json").output)
    assert (document["ok"], document["state"], document["pid"]) == (True, "RUNNING", mini.pid)
    assert {process["name"]: process["pid"] for process in document["processes"]} == mini.children()


def test_status_is_1_when_something_is_wrong(mini: Mini) -> None:
    behave(mini.data_dir, "alerter:1", "crash")
    try:
        assert ctl(mini, "restart", "alerter:1").exit_code == 1
        answer = ctl(mini, "status")
        assert answer.exit_code == 1
        assert "exit code 1; next try in" in answer.output
    finally:
        behave(mini.data_dir, "alerter:1", "serve")
    wait_until(lambda: ctl(mini, "status").exit_code == 0, 30, "alerter:1 serves again")


def test_stop_holds_a_process_through_a_reload_and_start_brings_it_back(mini: Mini) -> None:
    assert ctl(mini, "stop", "alerter:0").output == "alerter:0: stopped\n"
    answer = ctl(mini, "status")
    assert answer.exit_code == 1
    assert "stopped by an operator: mutt-ctl start alerter:0" in answer.output
    assert ctl(mini, "reload").output == "alerter:1: 3 rules in force, 1 left out\n"
    assert "alerter:0" not in mini.children()
    assert ctl(mini, "stop", "alerter:0").output == "error: alerter:0: does not run\n"
    answer = ctl(mini, "start", "alerter")
    assert "alerter:0: started" in answer.output
    assert "alerter:1: runs already" in answer.output
    assert answer.exit_code == 0
    assert ctl(mini, "start", "alerter:1").output == "error: alerter:1: runs already\n"
    assert ctl(mini, "status").exit_code == 0


def test_restart_takes_a_pool_one_by_one(mini: Mini) -> None:
    before = mini.children()
    answer = ctl(mini, "restart", "alerter")
    assert answer.output.splitlines() == [
        f"alerter:{index}: {word}" for index in (0, 1) for word in ("stopped", "started")
    ]
    after = mini.children()
    assert all(before[f"alerter:{index}"] != after[f"alerter:{index}"] for index in (0, 1))


def test_a_wrong_name_is_told_and_the_rest_is_done(mini: Mini) -> None:
    answer = ctl(mini, "restart", "nosuch:1", "webui")
    assert answer.exit_code == 1
    assert "error: nosuch:1: no such process: mutt-ctl status lists them" in answer.output
    assert "webui:0: started" in answer.output


def test_reload_waits_until_every_alerter_has_confirmed(mini: Mini) -> None:
    pids = mini.children()
    answer = ctl(mini, "reload")
    assert answer.exit_code == 0
    assert answer.output.splitlines() == [f"alerter:{n}: 3 rules in force, 1 left out" for n in (0, 1)]
    assert mini.children() == pids


def test_reload_fails_when_an_alerter_ends_instead_of_answering(mini: Mini) -> None:
    behave(mini.data_dir, "alerter:1", "mute")
    ctl(mini, "restart", "alerter:1")
    answers: list[Result] = []
    asking = threading.Thread(target=lambda: answers.append(ctl(mini, "reload")))
    before = len(mini.journal("reload"))
    asking.start()
    wait_until(lambda: len(mini.journal("reload")) >= before + 2, 20, "both alerters got SIGHUP")
    behave(mini.data_dir, "alerter:1", "serve")
    os.kill(mini.children()["alerter:1"], 9)
    asking.join(30)
    assert answers[0].exit_code == 1
    assert "alerter:1: FAILED: it ended before it answered" in answers[0].output
    assert "alerter:0: 3 rules in force" in answers[0].output
    wait_until(lambda: ctl(mini, "status").exit_code == 0, 30, "alerter:1 serves again")


def test_reload_names_what_is_wrong_with_the_configuration(mini: Mini) -> None:
    file = Path(mini.env["MUTT_ENV_FILE"])
    file.write_text("MOOG_RATE_LIMIT=abc\n")
    try:
        answer = ctl(mini, "reload")
        assert answer.exit_code == 1
        assert "MOOG_RATE_LIMIT=abc" in answer.output
        file.write_text("MOOG_RATE_LIMIT=77\n")
        answer = ctl(mini, "reload")
        assert answer.exit_code == 0
        assert "in force after a restart (systemctl restart mutt): MOOG_RATE_LIMIT" in answer.output
    finally:
        file.write_text("")


def test_scale_grows_and_shrinks_from_the_top(mini: Mini) -> None:
    pids = mini.children()
    answer = ctl(mini, "scale", "alerter", "4")
    assert answer.output.splitlines() == [
        "alerter: 4 processes (before: 2)",
        "until the next start; ALERTER_WORKERS=4 in /etc/mutt/mutt.env makes it last",
    ]
    assert set(mini.children()) == {*EVERYBODY, "alerter:2", "alerter:3"}
    assert ctl(mini, "scale", "alerter", "2").exit_code == 0
    assert mini.children() == pids
    assert not list(Path(mini.env["MUTT_RUNTIME_DIR"]).glob("health/alerter-[23].json"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("scale", "webui", "2"),
            "webui: no pool that can be scaled: choose one of alerter, forwarder, ingestor",
        ),
        (("scale", "alerter", "0"), "0 is not in the range"),
        (("scale", "alerter", "x"), "'x' is not a valid integer"),
        (("start",), "Missing argument"),
        (("tail", "nosuch:1"), "nosuch:1: no such process"),
        (("pid", "nosuch:1"), "nosuch:1: no such process"),
    ],
)
def test_wrong_words_are_told(mini: Mini, words: tuple[str, ...], told: str) -> None:
    answer = ctl(mini, *words)
    assert answer.exit_code != 0
    assert told in answer.output


def test_tail_prints_the_last_lines(mini: Mini) -> None:
    assert ctl(mini, "tail", "-n", "3", "supervisor").output.count("\n") == 3
    log = Path(mini.env["MUTT_RUNTIME_DIR"]) / "logs" / "forwarder-0.log"
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    assert ctl(mini, "tail", "-n", "2", "forwarder:0").output == "line 98\nline 99\n"


@pytest.mark.parametrize("last", ["short", "long" * 1000])
def test_tail_follows(mini: Mini, last: str) -> None:
    log = Path(mini.env["MUTT_RUNTIME_DIR"]) / "logs" / "forwarder-0.log"
    log.write_text(f"first\n{last}\n")
    program = [sys.executable, "-u", "-m", "mutt_appliance.cli.ctl"]
    program += ["--runtime-dir", mini.env["MUTT_RUNTIME_DIR"], "tail", "-f", "forwarder:0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        lines: list[str] = []
        reader = threading.Thread(target=lambda out=following.stdout: lines.extend(out))
        reader.start()
        wait_until(lambda: len(lines) == 2, 20, "the last lines come")
        # Whether it follows already cannot be seen: a line that comes later must.
        written = 0

        def one_more() -> bool:
            nonlocal written
            written += 1
            with log.open("a") as file:
                file.write(f"new {written}\n")
            return any(line.startswith("new") for line in lines)

        try:
            wait_until(one_more, 20, "a new line comes")
        finally:
            following.send_signal(signal.SIGINT)
            reader.join(20)
            if reader.is_alive():
                following.kill()
        assert following.wait(20) == 0
    assert lines[:2] == ["first\n", f"{last}\n"]
    assert lines[2].startswith("new ")


def test_pid_of_a_process(mini: Mini) -> None:
    assert ctl(mini, "pid", "alerter:0").output == f"{mini.children()['alerter:0']}\n"


def test_no_appliance(tmp_path: Path) -> None:
    for words, code in ((("status",), 3), (("pid",), EXIT_NOT_RUNNING), (("tail", "x"), EXIT_NOT_RUNNING)):
        answer = CliRunner().invoke(cli, ["--runtime-dir", str(tmp_path), *words])
        assert answer.exit_code == code
        assert f"no appliance runs on {tmp_path}" in answer.output


def test_a_user_who_may_not_is_told_the_group(mini: Mini) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    # What it imports must be loaded before it becomes somebody who may not read this folder.
    program = (
        "import os, sys, mutt_appliance.cli.ctl_status, supervisor.xmlrpc\n"
        "from mutt_appliance.cli.ctl import cli\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "cli(sys.argv[1:])"
    )
    words = ["--runtime-dir", mini.env["MUTT_RUNTIME_DIR"], "status"]
    answer = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert answer.returncode == EXIT_NO_PRIVILEGE, answer
    assert "usermod -aG mutt USER" in answer.stderr


KNOWN = ["redis:0", "alerter:0", "alerter:1", "ingestor:0"]


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["all"], KNOWN),
        (["alerter"], ["alerter:0", "alerter:1"]),
        (["alerter:*", "alerter:1", "redis:0"], ["alerter:0", "alerter:1", "redis:0"]),
        (["nosuch", "alerter:7"], ["nosuch", "alerter:7"]),
    ],
)
def test_what_a_name_means(names: list[str], wanted: list[str]) -> None:
    assert expand(names, KNOWN) == wanted


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (59.9, "59s"), (61, "1m 1s"), (3600, "1h 0m"), (90061, "1d 1h"), (172800, "2d 0h")],
)
def test_ages(seconds: float, words: str) -> None:
    assert age(seconds) == words
