"""`python -m tests.supervisor.mini`: a supervisor whose roles are all trivial."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from mutt_appliance.cli.run import supervise
from mutt_appliance.config import Settings, load
from mutt_appliance.supervisor.roles import Pool, pools

MODULE = "tests.supervisor.trivial_role"


def main() -> None:
    """Run the pools of the settings with the trivial role in place of each."""
    settings = load(os.environ).settings
    settings.mutt_data_dir.mkdir(exist_ok=True)
    sys.exit(supervise(settings, trivial, None))


def trivial(settings: Settings) -> list[Pool]:
    """The pools that the settings ask for, with nothing in them."""
    patience = float(os.environ.get("TEST_PATIENCE", "30"))
    return [
        replace(pool, module=MODULE, patience_secs=patience)
        for pool in pools(settings)
        if pool.role != "migrator"
    ]


if __name__ == "__main__":
    main()
