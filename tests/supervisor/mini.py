"""`python -m tests.supervisor.mini`: a supervisor whose roles are all trivial."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from setproctitle import setproctitle

from mutt_appliance.config import Settings, load
from mutt_appliance.secrets import Secrets, load_secrets_file
from mutt_appliance.supervisor.loop import Supervisor
from mutt_appliance.supervisor.roles import pools
from mutt_appliance.telemetry.logs import configure_logging

MODULE = "tests.supervisor.trivial_role"


def _load() -> tuple[Settings, Secrets]:
    settings = load(os.environ).settings
    return settings, load_secrets_file(settings.mutt_secrets_file)


def main() -> None:
    """Run the pools of the settings with the trivial role in place of each."""
    settings, secrets = _load()
    configure_logging(settings.log_level, settings.log_format, process="supervisor")
    setproctitle("mutt: supervisor")
    settings.mutt_data_dir.mkdir(exist_ok=True)
    trivial = [
        replace(pool, module=MODULE, patience_secs=float(os.environ.get("TEST_PATIENCE", "30")))
        for pool in pools(settings)
        if pool.role != "migrator"
    ]
    sys.exit(Supervisor(settings, secrets, trivial, _load).run())


if __name__ == "__main__":
    main()
