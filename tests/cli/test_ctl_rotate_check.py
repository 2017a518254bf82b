"""`mutt-ctl rotate-check` as an operator calls it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from click.testing import CliRunner, Result

from mutt_appliance.cli.ctl import cli
from mutt_appliance.cli.ctl_client import EXIT_NOT_RUNNING
from tests.supervisor.mini_appliance import Mini
from tests.support.waiting import wait_until

VALUES = {
    "INGEST_API_KEY": "value-of-a-test-1",
    "WEBUI_API_KEY": "value-of-a-test-2",
    "MOOG_API_KEY": "value-3",
}


def check(mini: Mini, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--runtime-dir", mini.env["MUTT_RUNTIME_DIR"], "rotate-check", *words])


def write(mini: Mini, **more: str) -> None:
    path = Path(mini.env["MUTT_SECRETS_FILE"])
    path.write_text("".join(f"{name}={value}\n" for name, value in {**VALUES, **more}.items()))
    path.chmod(0o600)


def test_it_tells_what_there_is_and_never_a_value() -> None:
    with Mini() as mini:
        write(mini)
        mini.serve()
        answer = check(mini)
        assert answer.exit_code == 0
        assert answer.output.splitlines() == [
            f"source: file {mini.env['MUTT_SECRETS_FILE']}",
            "INGEST_API_KEY       one value",
            "MOOG_API_KEY         one value",
            "WEBUI_API_KEY        one value",
        ]
        write(mini, INGEST_API_KEY_NEXT="value-of-a-test-4")
        mini.signal(signal.SIGHUP)
        wait_until(lambda: check(mini).exit_code == 1, 10, "the rotation is seen")
        answer = check(mini)
        assert "INGEST_API_KEY       keep both: nobody has used the next value yet" in answer.output
        document = json.loads(check(mini, "--json").output)
        (one,) = [entry for entry in document["secrets"] if entry["name"] == "INGEST_API_KEY"]
        assert (document["ok"], document["source"]["kind"], one["state"], one["done"]) == (
            False,
            "file",
            "rotating",
            False,
        )
        assert "value-" not in answer.output + json.dumps(document)


def test_without_an_appliance_it_says_so(tmp_path: Path) -> None:
    answer = CliRunner().invoke(cli, ["--runtime-dir", str(tmp_path), "rotate-check"])
    assert answer.exit_code == EXIT_NOT_RUNNING
