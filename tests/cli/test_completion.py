"""Completion in a real bash, with the file that is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "etc" / "bash-completion" / "mutt"
# Outside of an interactive shell there is no completion to set options of.
SCRIPT = """
set -u
compopt() { printf 'compopt %s\\n' "$2"; }
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
handler=$(complete -p "$1"); handler=${handler#*-F }
"${handler%% *}" "$1" "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(folder: Path, *words: str) -> list[str]:
    """What bash would suggest for the last of `words`."""
    for name, module in (("mutt", "main"), ("mutt-ctl", "ctl")):
        launcher = folder / name
        launcher.write_text(
            f"#!{sys.executable}\nfrom mutt_appliance.cli.{module} import main\nmain()\n", encoding="utf-8"
        )
        launcher.chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY), "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "--norc", "-c", SCRIPT, "bash", str(FILE), *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("words", "suggestions"),
    [
        (("mutt", "ru"), ["rules", "run"]),
        (("mutt", "config", "ch"), ["check"]),
        (("mutt", "rules", "load", "--re"), ["--replace"]),
        (("mutt-ctl", "do"), ["doctor"]),
        (("mutt-ctl", "doctor", "--st"), ["--strict"]),
        (("mutt-ctl", "send", "--trap"), ["--trap-oid"]),
        (("mutt-ctl", "nothing-like-that", "x"), []),
    ],
)
def test_commands_and_options_are_completed(
    tmp_path: Path, words: tuple[str, ...], suggestions: list[str]
) -> None:
    assert [word for word in complete(tmp_path, *words) if word] == suggestions


def test_a_file_is_left_to_the_shell(tmp_path: Path) -> None:
    assert complete(tmp_path, "mutt", "--env-file", "x")[0] == "compopt default"
