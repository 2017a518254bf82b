"""The environment of a mutt-ctl command that reads the settings."""

from __future__ import annotations

from collections.abc import Mapping

import click


def environment_with_runtime_dir(context: click.Context, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with MUTT_RUNTIME_DIR as given by `mutt-ctl --runtime-dir`, if it was."""
    given = context.find_root().params.get("runtime_dir")
    return {**environ, "MUTT_RUNTIME_DIR": str(given)} if given else dict(environ)
