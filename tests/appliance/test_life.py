"""The life of an installed appliance, in one box and in this order: each test goes on where the last one ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from mutt_appliance import __version__
from tests.support.box import Box
from tests.support.installed import WEBHOOK_PORT, Installed
from tests.support.waiting import wait_until

RULES = """
rules:
  - description: a link went down
    match_string: LINK-3-UPDOWN
    match_type: contains
    priority: 10
    prod_handling: Ticket_only
    dev_handling: Log_only
    team_assignment: NETO
  - description: only noted, until it is changed
    match_string: FAN-3-FAILED
    match_type: contains
    priority: 20
    prod_handling: Log_only
    dev_handling: Log_only
    team_assignment: NETO
  - description: the steady stream
    match_string: STEADY-3-LOAD
    match_type: contains
    priority: 30
    prod_handling: Log_only
    dev_handling: Log_only
    team_assignment: NETO
"""
# The figures of the unit file, shorter: what is tested is what follows from them.
QUICK = "[Service]\nWatchdogSec=4\nTimeoutStopSec=3\n"
LINK_DOWN = "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"
FAN_FAILED = "%FAN-3-FAILED: fan 1"
CHILDREN = ("redis:0", "postgres:0", "webui:0", "alerter:0", "forwarder:0", "ingestor:0")


@pytest.fixture(scope="module")
def mutt(box: Box) -> Iterator[Installed]:
    """The appliance, with a webhook beside it."""
    installed = Installed(box)
    webhook = installed.start_webhook()
    yield installed
    webhook.kill()
    webhook.wait(10)


def test_dnf_installs_it_and_changes_nothing_else(mutt: Installed) -> None:
    box = mutt.box
    box.run("dnf", "-y", "-q", "install", f"mutt-{__version__}-1.el8")
    assert box.output("rpm", "-V", "mutt") == ""
    assert box.output("stat", "-c", "%a %U:%G", "/etc/mutt/mutt.env") == "640 root:mutt"
    assert box.output("stat", "-c", "%a %U:%G", "/etc/mutt/secrets") == "700 mutt:mutt"
    assert box.output("stat", "-c", "%a %U:%G", "/run/mutt-unpack") == "1770 root:mutt"
    for unit in ("mutt.service", "mutt.socket"):
        assert box.show("UnitFileState", unit) == "disabled"
        assert box.show("ActiveState", unit) == "inactive"


def test_systemd_finds_no_fault_in_the_units(mutt: Installed) -> None:
    units = [f"/usr/lib/systemd/system/mutt.{kind}" for kind in ("service", "socket")]
    done = mutt.box.run("systemd-analyze", "verify", "--man=no", *units)
    assert "mutt" not in done.stdout + done.stderr


def test_without_a_webhook_it_says_so_and_is_not_started_for_ever(mutt: Installed) -> None:
    done = mutt.box.run("systemctl", "start", "mutt", check=False)
    assert done.returncode != 0
    assert mutt.box.show("ExecMainStatus") == "78"
    assert mutt.box.show("ActiveState") == "failed"
    assert "MOOG_WEBHOOK_URL" in mutt.box.journal()
    assert mutt.box.show("NRestarts") == "0"


def test_the_first_start_is_ready_with_stores_of_its_own(mutt: Installed) -> None:
    setting = f"MOOG_WEBHOOK_URL=http://127.0.0.1:{WEBHOOK_PORT}/moog\n"
    mutt.box.run("sh", "-c", "cat >>/etc/mutt/mutt.env", stdin=setting)
    mutt.box.write("/etc/systemd/system/mutt.service.d/quick.conf", QUICK)
    mutt.box.run("systemctl", "daemon-reload")
    started = time.monotonic()
    mutt.box.run("systemctl", "enable", "--now", "mutt.socket", "mutt")
    print(f"first start to READY with embedded stores: {time.monotonic() - started:.1f} s")
    mutt.wait_until_it_serves()
    assert mutt.strays() == set()


def test_an_event_goes_in_and_an_alert_comes_out(mutt: Installed) -> None:
    mutt.box.write("/root/rules.yaml", RULES)
    mutt.box.run("mutt", "rules", "load", "/root/rules.yaml")
    done = mutt.box.run("mutt-ctl", "reload")
    assert "3 rules" in done.stdout
    event_id = mutt.post(LINK_DOWN)
    row = wait_until(
        lambda: mutt.sql(f"SELECT handling, alert_id FROM event_audit_log WHERE event_id = '{event_id}'"),
        20,
        "the audit row",
    )
    assert row[0][0] == "Ticket_only"
    wait_until(lambda: row[0][1] in mutt.received(), 20, "the alert at the webhook")


def test_systemd_tells_the_state_in_words(mutt: Installed) -> None:
    words = wait_until(lambda: mutt.box.show("StatusText"), 20)
    assert "events/s; queues: ingest 0, alert 0, dead letters 0; 8 of 8 processes serve" in words
    assert mutt.box.run("mutt-ctl", "status").returncode == 0


@pytest.mark.parametrize("command", [("systemctl", "reload", "mutt"), ("mutt-ctl", "reload")])
def test_a_reload_takes_a_changed_rule_and_keeps_every_process(
    mutt: Installed, command: tuple[str, ...]
) -> None:
    before = mutt.pids()
    mutt.sql("UPDATE alert_rules SET prod_handling = 'Log_only' WHERE match_string = 'FAN-3-FAILED'")
    mutt.box.run("mutt-ctl", "reload")
    seen = mutt.received()
    quiet = mutt.post(FAN_FAILED)
    audited = f"SELECT alert_id FROM event_audit_log WHERE event_id = '{quiet}'"
    wait_until(lambda: mutt.sql(audited), 20, "the audit row")
    mutt.sql("UPDATE alert_rules SET prod_handling = 'Ticket_only' WHERE match_string = 'FAN-3-FAILED'")
    mutt.box.run(*command)
    wait_until(lambda: mutt.box.show("ActiveState") == "active", 20, "the reload is over")
    mutt.post(FAN_FAILED)
    wait_until(lambda: len(mutt.received()) > len(seen), 20, "the alert at the webhook")
    assert mutt.pids() == before


def test_an_ordinary_member_of_the_group_steers_it_where_tmp_is_noexec(mutt: Installed) -> None:
    box = mutt.box
    box.run("useradd", "-m", "-G", "mutt", "olga")
    box.run("useradd", "-m", "mallory")
    # What would happen without a folder to unpack into: this test must be able to fail.
    bare = box.run("env", "TMPDIR=/tmp", "/usr/libexec/mutt/mutt", "--version", user="olga", check=False)
    assert bare.returncode != 0
    assert json.loads(box.output("mutt-ctl", "status", "--json", user="olga"))["ok"]
    box.run("mutt-ctl", "reload", user="olga")
    assert box.run("mutt-ctl", "status", user="mallory", check=False).returncode not in (0, 3)
    assert box.output("sh", "-c", "ls /run/mutt-unpack") == ""


@pytest.mark.parametrize("name", CHILDREN)
def test_a_killed_child_is_started_again_alone(mutt: Installed, name: str) -> None:
    before = mutt.pids()
    mutt.box.run("kill", "-KILL", str(before[name]))
    mutt.wait_for_change(name, before[name])
    after = mutt.pids()
    assert (after["supervisor"], after["loader"]) == (before["supervisor"], before["loader"])
    assert mutt.strays() == set()


@pytest.mark.parametrize("name", ["supervisor", "loader"])
def test_a_killed_main_process_leaves_nothing_and_the_service_comes_back(mutt: Installed, name: str) -> None:
    before = mutt.pids()
    mutt.box.run("kill", "-KILL", str(before[name]))
    mutt.wait_for_change(name, before[name])
    assert not set(before.values()) & set(mutt.pids().values())
    assert mutt.strays() == set()


def test_a_frozen_supervisor_is_ended_by_the_watchdog(mutt: Installed) -> None:
    before = mutt.pids()
    mutt.box.run("kill", "-STOP", str(before["supervisor"]))
    mutt.wait_for_change("supervisor", before["supervisor"], 40)
    assert "Watchdog timeout" in mutt.box.journal()
    assert mutt.strays() == set()


def test_supervisorctl_of_the_released_package_steers_it(mutt: Installed) -> None:
    def supervisorctl(*words: str) -> str:
        program = mutt.python("-m", "supervisor.supervisorctl", "-s", "unix:///run/mutt/control.sock")
        return mutt.box.run(*program, *words, check=False).stdout

    before = mutt.pids()
    assert f"alerter:0                        RUNNING   pid {before['alerter:0']}" in supervisorctl("status")
    assert supervisorctl("pid") == f"{before['supervisor']}\n"
    assert supervisorctl("signal", "HUP", "alerter:*") == "alerter:0: signalled\n"
    assert "Cache reload complete" in supervisorctl("tail", "-5000", "alerter:0")
    assert supervisorctl("restart", "alerter:0") == "alerter:0: stopped\nalerter:0: started\n"
    assert mutt.pids()["alerter:0"] != before["alerter:0"]
    stopped = supervisorctl("stop", "all").splitlines()
    assert (stopped[0], set(stopped[-2:])) == (
        "ingestor:0: stopped",
        {"redis:0: stopped", "postgres:0: stopped"},
    )
    assert set(supervisorctl("start", "all").splitlines()) == {f"{name}: started" for name in CHILDREN}
    mutt.wait_until_it_serves()
    # A restart inside the same process keeps systemd's socket.
    alerter = mutt.pids()["alerter:0"]
    assert supervisorctl("reload") == "Restarted supervisord\n"
    mutt.wait_for_change("alerter:0", alerter)
    assert mutt.pids()["supervisor"] == before["supervisor"]
    mutt.post(LINK_DOWN)
    assert supervisorctl("shutdown") == "Shut down\n"
    wait_until(lambda: mutt.box.show("ActiveState") == "inactive", 30, "it stays down")
    assert mutt.strays() == set()
    mutt.box.run("systemctl", "start", "mutt")
    mutt.wait_until_it_serves()


def test_an_event_starts_a_stopped_service(mutt: Installed) -> None:
    mutt.box.run("systemctl", "stop", "mutt.service")
    assert mutt.box.show("ActiveState", "mutt.socket") == "active"
    mutt.post(LINK_DOWN)
    mutt.wait_until_it_serves()


def test_a_start_with_stores_that_are_there_is_quick(mutt: Installed) -> None:
    mutt.box.run("systemctl", "stop", "mutt.socket", "mutt.service")
    assert mutt.strays() == set()
    started = time.monotonic()
    mutt.box.run("systemctl", "start", "mutt")
    print(f"start to READY: {time.monotonic() - started:.1f} s")
    assert mutt.box.show("ActiveState", "mutt.socket") == "active"
    mutt.wait_until_it_serves()


def nothing_lost(seen: dict[str, int]) -> None:
    """No refused connection, and every acknowledged event has its one row."""
    print(seen)
    assert "refused" not in seen
    assert (seen["missing"], seen["twice"]) == (0, 0)
    assert seen["acknowledged"] > 0


def test_a_restart_under_load_refuses_and_loses_nothing(mutt: Installed) -> None:
    nothing_lost(mutt.under_load("restart", lambda: restart(mutt)))


@pytest.mark.parametrize(("verb", "release"), [("upgrade", "2"), ("downgrade", "1")])
def test_another_version_under_load_refuses_and_loses_nothing(
    mutt: Installed, verb: str, release: str
) -> None:
    before = mutt.pids()

    def change() -> None:
        mutt.box.run("dnf", "-y", "-q", verb, "mutt")
        mutt.wait_for_change("loader", before["loader"])

    nothing_lost(mutt.under_load(verb, change))
    assert mutt.box.output("rpm", "-q", "--qf", "%{RELEASE}", "mutt") == f"{release}.el8"
    assert mutt.box.show("NeedDaemonReload") == "no"
    assert mutt.strays() == set()


def test_removal_stops_it_and_keeps_data_and_edited_settings(mutt: Installed) -> None:
    rows = mutt.sql("SELECT count(*) FROM event_audit_log")
    secrets = mutt.box.output("sha256sum", "/etc/mutt/secrets/mutt.secrets")
    mutt.box.run("dnf", "-y", "-q", "remove", "mutt")
    assert mutt.box.run("pgrep", "-u", "mutt", check=False).stdout == ""
    assert mutt.box.run("systemctl", "cat", "mutt", check=False).returncode != 0
    assert mutt.box.output("sh", "-c", "ls -d /etc/systemd/system/*.wants/mutt.* 2>/dev/null || :") == ""
    assert "MOOG_WEBHOOK_URL=http" in mutt.box.output("cat", "/etc/mutt/mutt.env.rpmsave")

    mutt.box.run("dnf", "-y", "-q", "install", "mutt")
    mutt.box.run("cp", "/etc/mutt/mutt.env.rpmsave", "/etc/mutt/mutt.env")
    mutt.box.run("systemctl", "enable", "--now", "mutt.socket", "mutt")
    mutt.wait_until_it_serves()
    assert mutt.sql("SELECT count(*) FROM event_audit_log") == rows
    assert mutt.box.output("sha256sum", "/etc/mutt/secrets/mutt.secrets") == secrets


def restart(mutt: Installed) -> None:
    """`systemctl restart mutt`."""
    mutt.box.run("systemctl", "restart", "mutt")
