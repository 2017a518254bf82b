"""Entry point of the one-file executable: `mutt`, or `mutt-ctl` when it is called by that name."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path


def main() -> None:
    """Run the command that this executable was called as."""
    # A worker process is this very program with its work in argv; it never returns from here.
    multiprocessing.freeze_support()
    if Path(sys.argv[0]).name.startswith("mutt-ctl"):
        from mutt_appliance.cli.ctl import main as command
    else:
        from mutt_appliance.cli.main import main as command
    command()


if __name__ == "__main__":
    main()
