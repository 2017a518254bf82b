"""Finds the data files of MUTT (sql/, etc/, templates/): in a checkout, an installation or a frozen binary."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

SHARE = Path("share") / "mutt"


class ResourceError(Exception):
    """A data folder of MUTT is not where it should be; the text names the places looked at."""


def candidate_roots() -> list[Path]:
    """Folders that may hold the data files, the likeliest first.

    A frozen binary unpacks them beside its code; a checkout has them at its root; a wheel puts them
    below share/mutt of the environment (or of the user, or of the system for `--prefix=/usr`).
    """
    if getattr(sys, "frozen", False):
        return [Path(getattr(sys, "_MEIPASS", Path(sys.executable).parent))]
    roots = [Path(__file__).resolve().parent.parent]
    for scheme in (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")):
        roots.append(Path(sysconfig.get_path("data", scheme)) / SHARE)
    roots += [Path(sys.prefix) / SHARE, Path("/usr") / SHARE]
    return list(dict.fromkeys(roots))


def resource_folder(name: str) -> Path:
    """Folder `name` ("sql", "etc", "templates") of the data files.

    Raises ResourceError when it is nowhere.
    """
    roots = candidate_roots()
    for root in roots:
        # A folder called sql or etc may lie beside anybody's site-packages: ours holds what we look for.
        if any((root / name).glob(_SIGNS.get(name, "*"))):
            return root / name
    looked = ", ".join(str(root / name) for root in roots)
    raise ResourceError(f"{name}: folder of MUTT not found (looked at {looked}): install MUTT again")


_SIGNS = {"sql": "0001_*.sql", "etc": "mutt.env", "templates": "*.html"}
