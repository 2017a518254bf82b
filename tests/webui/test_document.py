"""The API held against its own OpenAPI document: made-up requests of every operation, right and wrong ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mutt_appliance.config import Settings
from tests.conftest import MakeSettings
from tests.support.audit import audit_row, write_audit_rows
from tests.webui.conftest import Api

LIMIT_SECS = 280
MAX_EXAMPLES = 25
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
)
# Without a supervisor they can only say that there is none; tests/webui/api/test_processes.py has one.
EXCLUDED = ("list_processes", "restart_process", "reload_processes", "scale_pool")


@pytest.fixture
def settings(make_settings: MakeSettings, settings: Settings) -> Settings:
    """Some rows for the operations that read them."""
    write_audit_rows(settings, (audit_row(number) for number in range(20)))
    return make_settings(metrics_cache_ttl=0)


def test_no_answer_is_outside_the_document(api: Api, tmp_path: Path) -> None:
    for number in range(3):
        api(
            "POST",
            "/rules",
            {"match_string": f"m{number}", "prod_handling": "Log_only", "dev_handling": "Log_only"},
        )
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("run", f"{api.url}/api/v1/openapi.json", "--header", f"X-API-KEY: {api.key}"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(MAX_EXAMPLES), "--seed", "1", "--generation-deterministic"),
            *(
                "--request-timeout",
                "20",
                "--no-shrink",
                "--continue-on-failure",
            ),
            *("--warnings", "off", "--no-color"),
            *(f"--exclude-operation-id={name}" for name in EXCLUDED),
        ],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_only_operations_that_exist_are_excluded(api: Api) -> None:
    paths = api("GET", "/openapi.json").json()["paths"]
    known = {each["operationId"] for methods in paths.values() for each in methods.values()}
    assert set(EXCLUDED) <= known
