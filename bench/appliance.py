"""An appliance, or some roles of it, on the stores of the run.

`python -m bench.appliance alerter ingestor=bench.bare_handler` is the child side: the supervisor of
`mutt run` with only these pools, one of them with another module.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psutil
from setproctitle import setproctitle

from bench.stores import Stores
from mutt_appliance.config import Settings, load
from mutt_appliance.secrets import Secrets, load_secrets_file
from mutt_appliance.supervisor.loop import Supervisor
from mutt_appliance.supervisor.roles import pools
from mutt_appliance.telemetry.logs import configure_logging
from tests.support.appliance import Appliance

ALL_SERVE = "every process serves"


def start(
    stores: Stores,
    database: str,
    *,
    roles: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
    executable: Path | None = None,
) -> Appliance:
    """Start `mutt run`, or only `roles` of it, and wait until every process serves; the caller closes it.

    `executable` is run instead of the source.
    """
    folder = stores.folder / f"a{len(list(stores.folder.iterdir()))}"
    folder.mkdir()
    command = ("-m", "bench.appliance", *roles) if roles else ("-m", "mutt_appliance", "run")
    environment = {**stores.environment(database), "LOG_LEVEL": "INFO", **(env or {})}
    if executable is not None:
        appliance = Appliance(environment, folder=folder, command=("run",), python=str(executable))
    else:
        appliance = Appliance(environment, folder=folder, command=command)
    try:
        appliance.start()
        appliance.wait_for_log(ALL_SERVE)
    except BaseException:
        appliance.close()
        raise
    return appliance


def pss_mb(appliance: Appliance) -> float:
    """Memory of the supervisor and every process below it, pages they share counted once (MB of 10^6 bytes).

    Source: proc(5), /proc/pid/smaps_rollup, Pss.
    """
    total = 0
    for process in [psutil.Process(appliance.pid), *appliance.processes()]:
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024 / 1e6


def main(wanted: list[str]) -> None:
    """Supervise the pools named in `wanted` (role or role=module) with the settings of the environment."""
    modules = dict(word.partition("=")[::2] for word in wanted)

    def read() -> tuple[Settings, Secrets]:
        settings = load(os.environ).settings
        return settings, load_secrets_file(settings.mutt_secrets_file)

    settings, secrets = read()
    configure_logging(settings.log_level, settings.log_format, process="supervisor")
    setproctitle("mutt: supervisor")
    chosen = [
        replace(pool, module=modules[pool.role] or pool.module)
        for pool in pools(settings)
        if pool.role in modules
    ]
    sys.exit(Supervisor(settings, secrets, chosen, read).run())


if __name__ == "__main__":
    main(sys.argv[1:])
