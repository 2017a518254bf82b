"""mutt-ctl as a person runs it, on the stores of a test."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import CliRunner, Result

from mutt_appliance.cli.ctl import cli
from mutt_appliance.config import Settings

Ctl = Callable[..., Result]
NAMED = (
    "redis_host",
    "db_host",
    "db_port",
    "db_name",
    "mutt_runtime_dir",
    "mutt_secrets_file",
    "redis_shards",
)


def ctl_on(settings: Settings, **more: str) -> Ctl:
    """Runs `mutt-ctl …` with these settings in the environment; `code` is what it must end with."""
    env = {name.upper(): str(getattr(settings, name)) for name in NAMED}
    env |= {"FORWARDER_WORKERS": "0", "MUTT_ENV_FILE": "/dev/null", **more}

    def run(*words: object, code: int = 0, **options: str) -> Result:
        result = CliRunner().invoke(cli, [*map(str, words)], env=dict(env), **options)  # type: ignore[arg-type]
        assert result.exit_code == code, result.output
        return result

    return run
