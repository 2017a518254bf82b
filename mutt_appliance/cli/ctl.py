"""`mutt-ctl`: the commands that steer the running appliance. Each is imported only when it is called."""

from __future__ import annotations

from pathlib import Path

import click

from mutt_appliance import __version__
from mutt_appliance.cli.ctl_client import default_runtime_dir
from mutt_appliance.cli.lazy import LazyGroup

# Name of the command -> "module:click command".
COMMANDS: dict[str, str] = {
    "audit": "mutt_appliance.cli.ctl_audit:command",
    "backup": "mutt_appliance.cli.ctl_backup:backup",
    "config": "mutt_appliance.cli.ctl_config:command",
    "dlq": "mutt_appliance.cli.ctl_dlq:command",
    "doctor": "mutt_appliance.cli.ctl_doctor:command",
    "pid": "mutt_appliance.cli.ctl_status:pid",
    "queues": "mutt_appliance.cli.ctl_queues:command",
    "reload": "mutt_appliance.cli.ctl_reload:command",
    "restart": "mutt_appliance.cli.ctl_processes:restart",
    "restore": "mutt_appliance.cli.ctl_backup:restore",
    "rotate-check": "mutt_appliance.cli.ctl_rotate_check:command",
    "scale": "mutt_appliance.cli.ctl_processes:scale",
    "send": "mutt_appliance.cli.ctl_send:command",
    "shutdown": "mutt_appliance.cli.ctl_processes:shutdown",
    "start": "mutt_appliance.cli.ctl_processes:start",
    "status": "mutt_appliance.cli.ctl_status:status",
    "stop": "mutt_appliance.cli.ctl_processes:stop",
    "tail": "mutt_appliance.cli.ctl_tail:command",
}


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--runtime-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Runtime folder of the appliance. [default: $MUTT_RUNTIME_DIR, that of the env file, /run/mutt]",
)
@click.version_option(__version__, prog_name="mutt-ctl")
@click.pass_context
def cli(context: click.Context, runtime_dir: Path | None) -> None:
    """Control the MUTT appliance that runs on this machine.

    Root and the members of the group that the appliance runs as (mutt) may do that.
    """
    context.obj = runtime_dir or default_runtime_dir()


def main() -> None:
    """Entry point of `mutt-ctl`."""
    cli(prog_name="mutt-ctl")


if __name__ == "__main__":
    main()
