"""What the build of the executable knows of the pieces that are no Python packages."""

from __future__ import annotations

import platform
from pathlib import Path

# Source package -> (name, licence as SPDX has it).
NATIVE = {
    "bzip2": ("bzip2", "bzip2-1.0.6"),
    "libffi": ("libffi", "MIT"),
    "openssl": ("OpenSSL", "Apache-2.0"),
    "sqlite3": ("SQLite", "blessing"),
    "xz-utils": ("xz", "0BSD"),
    "zlib": ("zlib", "Zlib"),
}
SOURCES_FILE = "sources.txt"


def native_components(prefix: Path) -> list[dict[str, str]]:
    """CPython and, for the release's own build at `prefix`, the libraries linked into it."""
    found = [
        {"name": "CPython", "version": platform.python_version(), "licence": "PSF-2.0", "kind": "native"},
        {
            "name": "PyInstaller bootloader",
            "version": _pyinstaller_version(),
            "licence": "GPL-2.0-or-later WITH Bootloader-exception",
            "kind": "native",
        },
    ]
    sources = prefix / SOURCES_FILE
    if not sources.exists():
        return found
    for line in sources.read_text().split():
        package, _, version = line.partition("_")
        if package in NATIVE:
            name, licence = NATIVE[package]
            found.append({"name": name, "version": version, "licence": licence, "kind": "native"})
    return found


def _pyinstaller_version() -> str:
    from importlib import metadata

    return metadata.version("pyinstaller")
