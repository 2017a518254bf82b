"""The one-file executable as its user has it: what is inside, and the whole appliance out of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from PyInstaller.archive.readers import CArchiveReader

from mutt_appliance import __version__
from mutt_appliance.cli.ctl import COMMANDS as CTL_COMMANDS
from mutt_appliance.cli.main import COMMANDS
from mutt_appliance.config.faults import EXIT_CONFIG
from tests.packaging.tools import REPOSITORY, load_tool
from tests.support.appliance import Appliance
from tests.support.collector import Collector
from tests.support.waiting import wait_until

SIZE_MAX_BYTES = 60_000_000


def run(program: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One command of the executable."""
    return subprocess.run(
        [str(program), *words], capture_output=True, text=True, timeout=120, check=False, env=env
    )


def test_it_is_small_enough(frozen: Path) -> None:
    assert frozen.stat().st_size <= SIZE_MAX_BYTES


def test_every_data_file_of_the_project_is_inside(frozen: Path) -> None:
    inside = set(CArchiveReader(str(frozen)).toc)
    wanted = [*REPOSITORY.glob("sql/*.sql"), *REPOSITORY.glob("etc/**/*"), *REPOSITORY.glob("templates/**/*")]
    for pattern in ("lua", "sql"):
        wanted += REPOSITORY.glob(f"mutt_appliance/**/*.{pattern}")
    missing = [
        str(path.relative_to(REPOSITORY))
        for path in wanted
        if path.is_file() and str(path.relative_to(REPOSITORY)) not in inside
    ]
    assert missing == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_mutt_can_be_imported(frozen: Path, name: str) -> None:
    answer = run(frozen, name, "--help")
    assert answer.returncode == 0, answer.stderr


def test_by_its_other_name_it_is_mutt_ctl(frozen: Path) -> None:
    answer = run(frozen.with_name("mutt-ctl"), "--help")
    assert answer.returncode == 0, answer.stderr
    assert all(name in answer.stdout for name in CTL_COMMANDS)


def test_it_names_its_components(frozen: Path) -> None:
    info = json.loads(run(frozen, "version", "--json").stdout)
    assert info["version"] == __version__
    assert info["build_date"].endswith("Z")
    names = {component["name"].lower(): component for component in info["components"]}
    assert {"aiohttp", "redis", "psycopg2-binary", "hyperscan", "supervisor", "cpython"} <= set(names)
    unknown = [name for name, component in names.items() if "unknown" in component["licence"]]
    assert unknown == []
    assert not {"pytest", "mypy", "ruff"} & set(names)


def test_the_bill_of_materials_names_the_same_and_is_valid(frozen: Path) -> None:
    info = json.loads(run(frozen, "version", "--json").stdout)
    document = json.loads(load_tool("sbom").document(info))
    written = json.loads(frozen.with_name("mutt.cdx.json").read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert len(document["components"]) == len(info["components"])
    assert document["components"] == written["components"]
    assert document["serialNumber"] == written["serialNumber"]


def test_a_bill_of_materials_that_is_not_valid_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sbom = load_tool("sbom")

    class Picky:
        def __init__(self, _: object) -> None: ...

        def validate_str(self, _: str) -> str:
            return "component 1 has no name"

    monkeypatch.setattr(sbom, "JsonStrictValidator", Picky)
    with pytest.raises(ValueError, match="component 1 has no name"):
        sbom.document({"name": "x", "version": "1", "build_date": None, "components": []})


def test_its_exit_code_comes_through_the_loader(frozen: Path, tmp_path: Path) -> None:
    answer = run(frozen, "run", env={"PATH": os.environ["PATH"], "REDIS_PORT": "x"})
    assert answer.returncode == EXIT_CONFIG, answer
    assert "REDIS_PORT=x" in answer.stderr


def test_the_whole_appliance_runs_out_of_it(frozen: Path) -> None:
    with ExitStack() as stack:
        collector = stack.enter_context(Collector())
        traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        appliance = stack.enter_context(Appliance(traces, python=str(frozen), command=("run",)))
        appliance.start()
        appliance.wait_for_log("every process serves", timeout_secs=90)
        ctl = [
            str(frozen.with_name("mutt-ctl")),
            "--runtime-dir",
            appliance.env["MUTT_RUNTIME_DIR"],
        ]
        status = json.loads(run(Path(ctl[0]), *ctl[1:], "status", "--json").stdout)
        assert status["ok"], status
        # The servers are started with the libraries of the system, not with ours.
        for name in ("redis:0", "postgres:0"):
            pid = next(process["pid"] for process in status["processes"] if process["name"] == name)
            assert "LD_LIBRARY_PATH" not in psutil.Process(pid).environ()
        sent = run(Path(ctl[0]), *ctl[1:], "send", env=appliance.env)
        assert sent.returncode == 0, sent
        names = wait_until(lambda: {span.name for span in collector.spans()}, 20, "spans")
        assert "POST /ingest" in names
        assert run(Path(ctl[0]), *ctl[1:], "reload").returncode == 0
        alerter = next(process["pid"] for process in status["processes"] if process["name"] == "alerter:0")
        os.kill(alerter, signal.SIGKILL)
        appliance.wait_for_log("process state", child="alerter:0", state="RUNNING", count=2)
        assert appliance.terminate() == 0
        assert appliance.leftovers() == []
        assert [line for line in appliance.log_lines() if line.get("level") == "error"] == []


def test_sigkill_of_the_loader_takes_everything_with_it(frozen: Path) -> None:
    with Appliance({"REDIS_HOST": "127.0.0.1"}, python=str(frozen), command=("run",)) as appliance:
        appliance.start()
        appliance.wait_for_log("process state", child="webui:0", state="STARTING", timeout_secs=60)
        assert appliance.processes()
        appliance.kill()
        wait_until(lambda: not appliance.leftovers(), 60, "every process is gone")
