"""What this program was built from: written into the one-file executable, looked up in a source run."""

from __future__ import annotations

import json
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from mutt_appliance import __version__

FILE_NAME = "build-info.json"
DISTRIBUTION = "mutt-appliance"
# Licences that a package's own metadata names in a way of its own, or not at all, as SPDX has them.
LICENCES = {
    "BSD": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "PSFL": "PSF-2.0",
    "LGPL with exceptions": "LGPL-3.0-or-later",
    "BSD-derived (http://www.repoze.org/LICENSE.txt)": "LicenseRef-repoze",
}


def build_info() -> dict[str, Any]:
    """version, build_date (ISO 8601 or None), commit, python, openssl, components [{name, version, licence, kind}]."""
    folder = getattr(sys, "_MEIPASS", None)
    if folder is not None:
        document: dict[str, Any] = json.loads((Path(folder) / FILE_NAME).read_text(encoding="utf-8"))
        return document
    names = [
        name.split(";")[0].split("[")[0].strip()
        for name in metadata.requires(DISTRIBUTION) or []
        if "extra" not in name
    ]
    return describe([component(name) for name in names], build_date=None, commit=None)


def describe(
    components: list[dict[str, str]], *, build_date: str | None, commit: str | None
) -> dict[str, Any]:
    """The document for these components."""
    import ssl

    return {
        "name": "mutt",
        "version": __version__,
        "build_date": build_date,
        "commit": commit,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "components": sorted(components, key=lambda each: each["name"].lower()),
    }


def component(name: str) -> dict[str, str]:
    """Name, version and licence of an installed Python package; raises PackageNotFoundError."""
    known: dict[str, Any] = metadata.metadata(name).json
    return {
        "name": known["name"],
        "version": known["version"],
        "licence": licence(
            known.get("license_expression"), known.get("license"), known.get("classifier", [])
        ),
        "kind": "python",
    }


def licence(expression: str | None, text: str | None, classifiers: list[str]) -> str:
    """The licence as the metadata of a package tell it, shortest form; `unknown` when they do not."""
    if expression:
        return expression
    # Some put the whole text there: its first line is its name.
    first = (text or "").strip().split("\n")[0].strip()
    if first and first.upper() != "UNKNOWN" and len(first) <= 60:
        return LICENCES.get(first, first)
    ours = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    return " AND ".join(LICENCES.get(name, name) for name in ours) or LICENCES.get(first, "unknown")
