"""Imports the scripts of packaging/, which is no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[2]


def load_tool(name: str) -> ModuleType:
    """The module `packaging/<name>.py`."""
    path = REPOSITORY / "packaging" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"mutt_packaging_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
