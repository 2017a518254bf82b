"""Runs the demonstration for half a minute and keeps its last frame as demo.svg.

python docs/pictures/demo_screen.py
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from mutt_appliance.demo import session
from mutt_appliance.demo.observer import Snapshot
from mutt_appliance.demo.view import View

TARGET = Path(__file__).with_name("demo.svg")
SECONDS = 30.0
COLUMNS, LINES = 120, 38
# The picture must not load fonts from the net; every terminal font has the same widths.
SVG_FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


class KeptScreen(session.Screen):
    """Keeps the last frame of the traffic instead of showing it."""

    frame: View | None = None

    def show(self, snapshot: Snapshot, words: str) -> None:
        """Keep it; the frames after the traffic are of no interest."""
        super().show(snapshot, words)
        if words.startswith("of "):
            KeptScreen.frame = View(snapshot, self._places, words)


def main() -> int:
    """Run, then write the picture; the exit code of the demonstration."""
    session.Screen = KeptScreen  # type: ignore[misc]
    options = session.Options(seconds=SECONDS, rate=100, terminal=False, keep=False, folder=None)
    code = asyncio.run(session.demonstrate(options, Console()))
    console = Console(record=True, width=COLUMNS, height=LINES, file=io.StringIO(), force_terminal=True)
    if KeptScreen.frame is None:
        return 1
    console.print(KeptScreen.frame)
    TARGET.write_text(console.export_svg(title="make demo", code_format=SVG_FORMAT), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
