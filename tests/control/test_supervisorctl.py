"""The unmodified supervisorctl of the supervisor package against a running appliance, and hostile callers."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy, dumps

import psutil
import pytest
from supervisor.xmlrpc import Faults, SupervisorTransport

from tests.supervisor.mini_appliance import EVERYBODY, Mini
from tests.support.waiting import wait_until

ANSWER_SECS = 60.0


@pytest.fixture(scope="module")
def mini() -> Iterator[Mini]:
    """An appliance for the whole file; tests leave everything running."""
    with Mini() as appliance:
        yield appliance.serve()


def control(mini: Mini) -> Path:
    """Path of the control socket."""
    return Path(mini.env["MUTT_RUNTIME_DIR"]) / "control.sock"


def supervisorctl(mini: Mini, *words: str) -> tuple[int, str]:
    """Exit code and output of one command of the released package."""
    program = [sys.executable, "-m", "supervisor.supervisorctl", "-s", f"unix://{control(mini)}", *words]
    answer = subprocess.run(program, capture_output=True, text=True, timeout=ANSWER_SECS, check=False)
    return answer.returncode, answer.stdout + answer.stderr


def proxy(mini: Mini) -> Any:
    """The package's own client."""
    transport = SupervisorTransport(serverurl=f"unix://{control(mini)}")
    return ServerProxy("http://127.0.0.1", transport=transport)


def raw(mini: Mini, data: bytes) -> bytes:
    """All that comes back for `data`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECS)
        connection.connect(str(control(mini)))
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def post(mini: Mini, body: bytes, path: str = "/RPC2") -> bytes:
    """A POST of `body`."""
    return raw(mini, b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body))


def fault_of(mini: Mini, method: str, *params: Any) -> int:
    """Code of the fault that the call ends in."""
    with pytest.raises(Fault) as caught:
        getattr(proxy(mini), method)(*params)
    return caught.value.faultCode


def test_status_lists_every_process(mini: Mini) -> None:
    code, output = supervisorctl(mini, "status")
    assert code == 0
    assert {line.split()[0] for line in output.splitlines()} == EVERYBODY
    assert re.search(r"alerter:1 +RUNNING +pid \d+, uptime 0:\d\d:\d\d", output)


def test_pids_are_those_of_the_processes(mini: Mini) -> None:
    assert supervisorctl(mini, "pid") == (0, f"{mini.pid}\n")
    assert supervisorctl(mini, "pid", "alerter:0") == (0, f"{mini.children()['alerter:0']}\n")
    assert supervisorctl(mini, "pid", "nosuch")[1] == "No such process nosuch\n"


def test_stop_holds_and_start_brings_back(mini: Mini) -> None:
    assert supervisorctl(mini, "stop", "alerter:1") == (0, "alerter:1: stopped\n")
    assert supervisorctl(mini, "status", "alerter:*")[0] == 3
    assert "alerter:1" not in mini.children()
    assert supervisorctl(mini, "stop", "alerter:1")[1] == "alerter:1: ERROR (not running)\n"
    assert supervisorctl(mini, "start", "alerter:1") == (0, "alerter:1: started\n")
    assert supervisorctl(mini, "start", "alerter:1")[1] == "alerter:1: ERROR (already started)\n"


def test_a_group_is_restarted(mini: Mini) -> None:
    before = mini.children()
    code, output = supervisorctl(mini, "restart", "alerter:*")
    assert code == 0, output
    after = mini.children()
    assert all(before[name] != after[name] for name in ("alerter:0", "alerter:1"))
    assert before["forwarder:0"] == after["forwarder:0"]


def test_all_are_stopped_from_the_intake_down_and_started_again(mini: Mini) -> None:
    _, output = supervisorctl(mini, "stop", "all")
    assert output.splitlines()[0] == "ingestor:0: stopped"
    assert mini.children() == {}
    code, output = supervisorctl(mini, "start", "all")
    assert code == 0, output
    assert set(mini.children()) == EVERYBODY


def test_a_signal_reaches_every_process_of_the_group(mini: Mini) -> None:
    before = len(mini.journal("reload"))
    pids = mini.children()
    code, output = supervisorctl(mini, "signal", "HUP", "alerter:*")
    assert (code, output) == (0, "alerter:0: signalled\nalerter:1: signalled\n")
    wait_until(lambda: len(mini.journal("reload")) == before + 2, 20, "both alerters reload")
    assert set(mini.journal("reload")[before:]) == {"alerter:0", "alerter:1"}
    assert mini.children() == pids
    assert fault_of(mini, "supervisor.signalProcess", "alerter:0", "NOSUCH") == Faults.BAD_SIGNAL


def test_logs_are_read_tailed_and_cleared(mini: Mini) -> None:
    child = psutil.Process(mini.children()["webui:0"])
    # SIGABRT has Python write every thread's stack.
    child.send_signal(6)
    child.wait(20)
    wait_until(lambda: "webui:0" in mini.children(), 20, "webui is started again")
    code, output = supervisorctl(mini, "tail", "webui:0")
    assert code == 0
    assert "Fatal Python error: Aborted" in output
    assert proxy(mini).supervisor.tailProcessStdoutLog("webui:0", 0, 20)[2] is True
    assert supervisorctl(mini, "clear", "webui:0") == (0, "webui:0: cleared\n")
    assert supervisorctl(mini, "tail", "webui:0") == (0, "\n")
    assert "control call" in supervisorctl(mini, "maintail", "-4000")[1]
    assert fault_of(mini, "supervisor.readProcessStdoutLog", "webui:0", -5, 5) == Faults.BAD_ARGUMENTS
    mini.wait_for_state("webui:0", "RUNNING", len([s for s in mini.states("webui:0") if s == "RUNNING"]))


def test_tail_follows(mini: Mini) -> None:
    program = [sys.executable, "-u", "-m", "supervisor.supervisorctl", "-s", f"unix://{control(mini)}"]
    with subprocess.Popen([*program, "maintail", "-f"], stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        lines: list[str] = []
        reader = threading.Thread(target=lambda out=following.stdout: lines.extend(out))
        reader.start()
        supervisorctl(mini, "signal", "CONT", "ingestor:0")
        try:
            wait_until(lambda: any('"CONT"' in line for line in list(lines)), 20, "the new line comes")
        finally:
            following.terminate()
            reader.join(20)


def test_what_supervisord_manages_and_mutt_does_not_is_a_clear_fault(mini: Mini) -> None:
    for words in (("reread",), ("update",), ("add", "x"), ("remove", "alerter")):
        code, output = supervisorctl(mini, *words)
        assert code == 1, words
        assert "Traceback" not in output
    assert "set by its configuration" in supervisorctl(mini, "reread")[1]
    assert fault_of(mini, "supervisor.sendProcessStdin", "alerter:0", "hello") == Faults.NO_FILE


def test_faults_have_supervisords_codes(mini: Mini) -> None:
    assert fault_of(mini, "supervisor.getProcessInfo", "alerter") == Faults.BAD_NAME
    assert fault_of(mini, "supervisor.startProcess", "nosuch:0") == Faults.BAD_NAME
    assert fault_of(mini, "supervisor.startProcess", "alerter:0") == Faults.ALREADY_STARTED
    assert fault_of(mini, "supervisor.nosuch") == Faults.UNKNOWN_METHOD
    assert fault_of(mini, "supervisor.getState", 1) == Faults.INCORRECT_PARAMETERS
    assert fault_of(mini, "supervisor.readLog", "x", {}) == Faults.INCORRECT_PARAMETERS
    assert fault_of(mini, "system.methodHelp", "nosuch") == Faults.SIGNATURE_UNSUPPORTED
    assert fault_of(mini, "mutt.scale", "webui", 2) == Faults.BAD_ARGUMENTS


def test_every_method_of_supervisord_is_there(mini: Mini) -> None:
    from supervisor.rpcinterface import SupervisorNamespaceRPCInterface

    theirs = {
        f"supervisor.{name}" for name in dir(SupervisorNamespaceRPCInterface) if not name.startswith("_")
    }
    server = proxy(mini)
    ours = set(server.system.listMethods())
    assert theirs - {"supervisor.update_text", "supervisor.supervisord"} <= ours
    for name in ours:
        assert server.system.methodHelp(name), name
    assert server.system.methodSignature("supervisor.startProcess") == ["boolean", "string", "boolean"]


def test_several_calls_in_one(mini: Mini) -> None:
    calls = [
        {"methodName": "supervisor.getPID", "params": []},
        {"methodName": "supervisor.nosuch", "params": []},
        {"methodName": "system.multicall", "params": [[]]},
        {},
    ]
    first, *others = proxy(mini).system.multicall(calls)
    assert first == mini.pid
    assert [fault["faultCode"] for fault in others] == [
        Faults.UNKNOWN_METHOD,
        Faults.INCORRECT_PARAMETERS,
        Faults.INCORRECT_PARAMETERS,
    ]


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><methodCall><methodName>&a;</methodName></methodCall>'


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b" 400 "),
        (b"POST /RPC2 HTTP/1.1\r\n\r\n", b" 411 "),
        (b"POST /RPC2 HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b" 411 "),
        (b"POST /RPC2 HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b" 413 "),
        (b"POST /elsewhere HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b" 404 "),
        (b"GET /logtail/nosuch:1/stdout HTTP/1.1\r\n\r\n", b" 410 "),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", b" 404 "),
        (b"DELETE / HTTP/1.1\r\n\r\n", b" 501 "),
    ],
)
def test_what_is_no_request_is_refused(mini: Mini, data: bytes, status: bytes) -> None:
    assert status in raw(mini, data).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "body", [b"", b"\0\xff", b"<methodCall/>", b"<a><b></a>", LAUGHS, b"<methodCall>" * 1000]
)
def test_what_is_no_call_is_refused_and_the_supervisor_goes_on(mini: Mini, body: bytes) -> None:
    assert b" 400 " in post(mini, body).split(b"\r\n")[0]
    assert proxy(mini).supervisor.getState()["statename"] == "RUNNING"


def test_wrong_types_are_faults(mini: Mini) -> None:
    for method in ("supervisor.startProcess", "supervisor.signalProcess", "mutt.scale", "system.methodHelp"):
        for params in (([1, 2],), ({"a": 1},), (True,), ([1], {"b": 2}), (0.5, "x"), ("x" * 5000, "y")):
            answer = post(mini, dumps(params, method).encode())
            assert b"faultCode" in answer, (method, params)
    assert set(mini.children()) == EVERYBODY


def test_clients_that_do_nothing_hold_up_nobody(mini: Mini) -> None:
    silent = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    try:
        for connection in silent:
            connection.connect(str(control(mini)))
            connection.sendall(b"POST /RPC2 HTTP/1.1\r\nContent-Length: 1000\r\n\r\n<")
        assert proxy(mini).supervisor.getPID() == mini.pid
    finally:
        for connection in silent:
            connection.close()


def test_another_user_is_refused(mini: Mini) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    # The mode alone keeps others out; with it open the credentials must.
    mode = control(mini).stat().st_mode & 0o777
    assert mode == 0o660
    control(mini).chmod(0o666)
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(b'POST /RPC2 HTTP/1.1\\r\\nContent-Length: 0\\r\\n\\r\\n'); print(s.recv(4096).decode())"
    )
    try:
        answer = subprocess.run(
            ["/usr/bin/env", "python3", "-c", program, str(control(mini))],
            capture_output=True,
            text=True,
            user=65534,
            group=65534,
            extra_groups=[],
            cwd="/",
            check=False,
        )
    finally:
        control(mini).chmod(mode)
    assert " 403 " in answer.stdout.splitlines()[0], answer
    mini.wait_for_log("control call refused: not in the group", uid=65534)


def test_a_change_is_logged_with_its_user(mini: Mini) -> None:
    proxy(mini).supervisor.signalProcess("webui:0", "CONT")
    mini.wait_for_log("control call", method="supervisor.signalProcess", uid=os.getuid())


def test_restart_begins_again_with_the_same_process_and_shutdown_ends_it() -> None:
    with Mini() as mini:
        mini.serve()
        before = mini.children()
        assert supervisorctl(mini, "reload") == (0, "Restarted supervisord\n")
        mini.wait_for_log("every process serves", count=2, timeout_secs=60)
        after = mini.children()
        assert set(after) == EVERYBODY
        assert not set(after.values()) & set(before.values())
        assert supervisorctl(mini, "pid") == (0, f"{mini.pid}\n")
        assert supervisorctl(mini, "shutdown") == (0, "Shut down\n")
        assert mini.wait(30) == 0
        assert not control(mini).exists()
