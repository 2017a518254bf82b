"""The supervisor as a process, with roles that do nothing."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervisor.mini_appliance import EVERYBODY, QUICK, Mini
from tests.supervisor.trivial_role import behave, journal
from tests.support.appliance import Appliance
from tests.support.servers import accepts_connections
from tests.support.waiting import wait_until


@pytest.fixture
def mini() -> Iterator[Mini]:
    with Mini() as appliance:
        yield appliance


def test_workers_start_before_the_ingestor(mini: Mini) -> None:
    behave(mini.data_dir, "alerter:1", "slow-start")
    mini.serve()
    order = [
        (line["child"], line["state"])
        for line in mini.logged("process state")
        if line["state"] in ("STARTING", "RUNNING")
    ]
    assert order.index(("ingestor:0", "STARTING")) > order.index(("alerter:1", "RUNNING"))
    assert order[-1] == ("ingestor:0", "RUNNING")


def test_the_ingestor_does_not_wait_for_ever_for_a_worker_that_is_not_ready() -> None:
    with Mini(TEST_PATIENCE="1") as mini:
        behave(mini.data_dir, "alerter:0", "beat-only")
        mini.start()
        mini.wait_for_state("ingestor:0", "RUNNING")
        assert mini.states("alerter:0") == ["STARTING"]


def test_worker_names_are_unique_and_carry_the_pod_name() -> None:
    with Mini(POD_NAME="pod-a") as mini:
        mini.serve()
        names = [line.split()[2] for line in journal(mini.data_dir) if "alerter" in line]
        assert sorted(names) == ["pod-a-0", "pod-a-1"]


def test_a_killed_process_is_replaced_and_the_others_stay(mini: Mini) -> None:
    before = mini.serve().children()
    os.kill(before["alerter:1"], signal.SIGKILL)
    mini.wait_for_state("alerter:1", "RUNNING", count=2)
    after = mini.children()
    assert after["alerter:1"] != before["alerter:1"]
    assert {n: p for n, p in after.items() if n != "alerter:1"} == {
        n: p for n, p in before.items() if n != "alerter:1"
    }
    assert mini.states("alerter:1") == ["STARTING", "RUNNING", "BACKOFF", "STARTING", "RUNNING"]


def test_a_process_that_stops_beating_writes_its_stacks_and_is_replaced(mini: Mini) -> None:
    behave(mini.data_dir, "webui:0", "hang")
    mini.start()
    mini.wait_for_state("webui:0", "STOPPING")
    behave(mini.data_dir, "webui:0", "serve")
    mini.wait_for_state("webui:0", "RUNNING", count=2)
    reason = mini.logged("process state", child="webui:0", state="BACKOFF")[0]["reason"]
    assert reason.startswith("no beat for 3 s; ended by signal 6")
    log = mini.log_path.read_text()
    assert "Fatal Python error: Aborted" in log
    assert "trivial_role.py" in log


def test_a_process_that_never_serves_is_replaced() -> None:
    with Mini(START_TIMEOUT="8") as mini:
        behave(mini.data_dir, "webui:0", "never-ready")
        mini.start()
        mini.wait_for_log("process state", child="webui:0", state="STOPPING")
        behave(mini.data_dir, "webui:0", "serve")
        mini.wait_for_log("process state", child="webui:0", state="RUNNING")
        reason = mini.logged("process state", child="webui:0", state="STOPPING")[0]["reason"]
        assert reason == "neither served nor beat for 8 s"


def test_a_frozen_process_is_killed_and_replaced(mini: Mini) -> None:
    frozen = mini.serve().children()["forwarder:0"]
    os.kill(frozen, signal.SIGSTOP)
    mini.wait_for_state("forwarder:0", "RUNNING", count=2)
    assert mini.states("forwarder:0") == ["STARTING", "RUNNING", "STOPPING", "BACKOFF", "STARTING", "RUNNING"]
    assert "no beat for 3 s; ended by signal" in mini.logged("process state", state="BACKOFF")[0]["reason"]
    assert mini.children()["forwarder:0"] != frozen


def test_a_process_that_fails_again_and_again_is_fatal_and_tried_again(mini: Mini) -> None:
    behave(mini.data_dir, "webui:0", "crash")
    mini.start()
    mini.wait_for_state("webui:0", "FATAL", count=2)
    assert mini.states("webui:0")[:8] == ["STARTING", "BACKOFF"] * 3 + ["STARTING", "FATAL"]
    assert mini.logged("process failed", process="webui:0")[0]["exception"].endswith("told to crash")
    behave(mini.data_dir, "webui:0", "serve")
    mini.wait_for_log("every process serves")


def test_a_process_of_which_a_thread_fails_does_not_go_on_without_it(mini: Mini) -> None:
    behave(mini.data_dir, "webui:0", "lose-a-thread")
    mini.start()
    mini.wait_for_state("webui:0", "BACKOFF")
    (failed, *_) = mini.logged("process failed", process="webui:0", thread="settings")
    assert failed["exception"].endswith("told to fail")
    behave(mini.data_dir, "webui:0", "serve")
    mini.wait_for_log("every process serves")


def test_a_configuration_fault_in_a_process_is_fatal_at_once(mini: Mini) -> None:
    behave(mini.data_dir, "webui:0", "refuse")
    mini.start()
    mini.wait_for_state("webui:0", "FATAL")
    assert mini.states("webui:0") == ["STARTING", "FATAL"]
    assert "exit code 78 (configuration)" in mini.logged("process state", state="FATAL")[0]["reason"]


def test_a_process_that_returns_without_being_asked_is_started_again(mini: Mini) -> None:
    behave(mini.data_dir, "webui:0", "return")
    mini.start()
    mini.wait_for_state("webui:0", "BACKOFF", count=2)
    assert "exit code 0" in mini.logged("process state", child="webui:0", state="BACKOFF")[0]["reason"]


def test_sigterm_stops_the_ingestor_first_and_waits_for_it(mini: Mini) -> None:
    behave(mini.data_dir, "ingestor:0", "slow-stop")
    mini.serve()
    assert mini.terminate() == 0
    assert mini.journal("stopping")[0] == "ingestor:0"
    lines = journal(mini.data_dir)
    first_worker = next(
        i for i, line in enumerate(lines) if line.startswith("stopping") and "ingestor" not in line
    )
    assert lines.index("end ingestor:0") < first_worker
    assert set(mini.journal("end")) == EVERYBODY
    assert mini.leftovers() == []


def test_the_port_refuses_connections_while_workers_drain(mini: Mini) -> None:
    behave(mini.data_dir, "alerter:0", "never-stop")
    mini.serve()
    port = mini.ports["SERVER_PORT_INGESTOR"]
    assert accepts_connections(port)
    mini.signal(signal.SIGTERM)
    wait_until(lambda: "alerter:0" in mini.journal("stopping"), 10, "alerter drains")
    assert not accepts_connections(port)
    assert mini.wait() == 0
    assert "signal 9" in mini.logged("process state", child="alerter:0", state="STOPPED")[0]["reason"]


def test_a_second_sigterm_ends_all_at_once() -> None:
    with Mini(DRAIN_TIMEOUT="60") as mini:
        behave(mini.data_dir, "ingestor:0", "never-stop")
        mini.serve()
        mini.signal(signal.SIGTERM)
        wait_until(lambda: "ingestor:0" in mini.journal("stopping"), 10, "drain begins")
        # The same signal arriving twice at once is one request.
        mini.signal(signal.SIGTERM)
        # Later than the time within which two signals count as one: nothing is there to be awaited.
        time.sleep(1.1)
        assert mini.running
        mini.signal(signal.SIGTERM)
        assert mini.wait(5) == 1
        assert mini.leftovers() == []


def test_ctrl_c_drains_like_sigterm(mini: Mini) -> None:
    mini.serve()
    os.killpg(mini.pid, signal.SIGINT)
    assert mini.wait() == 0
    assert set(mini.journal("end")) == EVERYBODY
    assert "KeyboardInterrupt" not in mini.log_path.read_text()


def test_nothing_outlives_a_supervisor_that_is_killed(mini: Mini) -> None:
    mini.serve().kill()
    wait_until(lambda: not mini.leftovers(), 5, "every process is gone")


def test_a_killed_supervisor_can_be_started_again_at_once(mini: Mini) -> None:
    mini.serve().kill()
    mini.start()
    mini.wait_for_log("every process serves", count=2, timeout_secs=20)


def test_connections_wait_while_the_only_ingestor_is_started_again(mini: Mini) -> None:
    before = mini.serve().children()["ingestor:0"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: "ingestor:0" not in mini.children(), 5, "ingestor is gone")
    with socket.create_connection(("127.0.0.1", mini.ports["SERVER_PORT_INGESTOR"]), timeout=2):
        mini.wait_for_state("ingestor:0", "RUNNING", count=2)


def test_sighup_brings_new_secrets_to_every_worker(mini: Mini) -> None:
    mini.serve()
    secrets_file = Path(mini.env["MUTT_SECRETS_FILE"])
    secrets_file.write_text(secrets_file.read_text().replace(mini.api_key, "rotated-key"))
    Path(mini.env["MUTT_ENV_FILE"]).write_text("UNHANDLED_THRESHOLD=7\n")
    mini.signal(signal.SIGHUP)
    wait_until(lambda: len(mini.journal("reload")) == len(EVERYBODY), 10, "every worker reloads")
    assert all(line.endswith(" rotated-key") for line in journal(mini.data_dir) if line.startswith("reload"))
    restart = "reload: settings changed; they take effect when MUTT is restarted"
    assert mini.logged(restart)[0]["settings"] == ["UNHANDLED_THRESHOLD"]
    assert "rotated-key" not in mini.log_path.read_text()


def test_sighup_with_a_faulty_file_changes_nothing(mini: Mini) -> None:
    mini.serve()
    Path(mini.env["MUTT_ENV_FILE"]).write_text("UNHANDLED_THRESHOLD=many\n")
    mini.signal(signal.SIGHUP)
    line = mini.wait_for_log("reload: configuration or secrets cannot be used, kept as they were")[0]
    assert "UNHANDLED_THRESHOLD=many" in line["error"]
    assert set(mini.children()) == EVERYBODY


def test_a_second_appliance_on_the_same_runtime_folder_is_refused(mini: Mini) -> None:
    mini.serve()
    metrics = Path(mini.env["MUTT_RUNTIME_DIR"], "metrics", "alerter", "counter_alerter-0.db")
    metrics.parent.mkdir(parents=True, exist_ok=True)
    metrics.touch()
    second = Appliance(
        {**QUICK, "MUTT_RUNTIME_DIR": mini.env["MUTT_RUNTIME_DIR"]}, command=("-m", "mutt_appliance", "run")
    )
    with second:
        second.start()
        assert second.wait(20) == 78
        assert f"already runs there (process {mini.pid})" in second.log_tail()
    assert metrics.exists()


def test_a_taken_port_is_one_clear_error() -> None:
    with Appliance(QUICK) as appliance, socket.socket() as other:
        other.bind(("127.0.0.1", appliance.ports["SERVER_PORT_INGESTOR"]))
        other.listen()
        appliance.start()
        assert appliance.wait(20) == 78
        port = appliance.ports["SERVER_PORT_INGESTOR"]
        assert (
            f"error: SERVER_PORT_INGESTOR={port}: port {port} on 127.0.0.1 is already in use"
            in appliance.log_tail()
        )
        assert appliance.leftovers() == []


def test_systemd_is_told_when_every_process_serves_and_when_it_stops(tmp_path: Path) -> None:
    messages: list[str] = []
    path = tmp_path / "n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(5)

        def read_until(*wanted: str) -> None:
            while not all(any(m.startswith(w) for m in messages) for w in wanted):
                messages.append(systemd.recv(4096).decode())

        with Mini(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="400000") as mini:
            mini.start()
            read_until("WATCHDOG=1", "STATUS=5 of 5 processes serve", "READY=1")
            environment = Path(f"/proc/{mini.children()['alerter:0']}/environ").read_text()
            assert "NOTIFY_SOCKET" not in environment
            messages.clear()
            mini.signal(signal.SIGHUP)
            read_until("RELOADING=1\nMONOTONIC_USEC=", "READY=1")
            messages.clear()
            mini.signal(signal.SIGTERM)
            read_until("STOPPING=1", "STATUS=Stopping: 5 processes left", "EXTEND_TIMEOUT_USEC=")
            assert mini.wait() == 0


def test_a_systemd_that_does_not_listen_holds_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        with Mini(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="20000") as mini:
            mini.serve()
            assert mini.terminate() == 0
