"""elf_gate.py PATH…: fail when an ELF file needs more than RHEL 8 has, also inside a one-file executable.

RHEL 8 has glibc 2.28 and the libstdc++ and libgcc of GCC 8 (GLIBCXX_3.4.25, CXXABI_1.3.11, GCC_8.0.0).
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from PyInstaller.archive.readers import ArchiveReadError, CArchiveReader

LIMITS = {"GLIBC": (2, 28), "GLIBCXX": (3, 4, 25), "CXXABI": (1, 3, 11), "GCC": (8, 0, 0)}
_SYMBOL_VERSION = re.compile(r"(GLIBC|GLIBCXX|CXXABI|GCC)_(\d+(?:\.\d+)*)")
# A section kind that glibc before 2.36 does not know; the linker marks its users so.
_RELR_MARK = "GLIBC_ABI_DT_RELR"


def needs(stream: BinaryIO) -> set[str]:
    """Symbol versions that an ELF file asks of its libraries; nothing for what is no ELF file."""
    if stream.read(4) != b"\x7fELF":
        return set()
    stream.seek(0)
    found = set()
    for section in ELFFile(stream).iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                found |= {version.name for version in versions}
        elif isinstance(section, DynamicSection) and any(
            tag.entry.d_tag == "DT_RELR" for tag in section.iter_tags()
        ):
            found.add(_RELR_MARK)
    return found


def too_new(version: str) -> bool:
    """True when RHEL 8 has not `version`, such as GLIBC_2.34."""
    if version == _RELR_MARK:
        return True
    match = _SYMBOL_VERSION.fullmatch(version)
    if match is None:
        return False
    return tuple(map(int, match.group(2).split("."))) > LIMITS[match.group(1)]


def files(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file in a folder, or of a file and all that a one-file executable holds."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if not file.is_file() or file.is_symlink():
            continue
        yield str(file), file.read_bytes()
        try:
            archive = CArchiveReader(str(file))
        except (ArchiveReadError, OSError):
            continue
        for name in archive.toc:
            if archive.toc[name][-1] in "bBxZ" or name.partition(".so")[1]:
                content = archive.extract(name)
                yield f"{file}: {name}", content if isinstance(content, bytes) else b""


def main(paths: list[str]) -> int:
    """Check every path; 1 when something is too new, or when nothing was found to check."""
    checked, faults = 0, 0
    newest: tuple[int, ...] = ()
    for path in paths:
        for name, content in files(Path(path)):
            try:
                wanted = needs(io.BytesIO(content))
            except ELFError as error:
                print(f"elf gate: {name}: cannot be read: {error}", file=sys.stderr)
                faults += 1
                continue
            checked += bool(wanted)
            glibc = [tuple(map(int, v[6:].split("."))) for v in wanted if re.fullmatch(r"GLIBC_[\d.]+", v)]
            newest = max([newest, *glibc])
            for version in sorted(filter(too_new, wanted)):
                print(f"elf gate: {name}: needs {version}, which RHEL 8 has not", file=sys.stderr)
                faults += 1
    if not checked:
        print(f"elf gate: no ELF file in {', '.join(paths)}", file=sys.stderr)
        return 1
    print(f"elf gate: {checked} ELF files, newest GLIBC_{'.'.join(map(str, newest))}, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
