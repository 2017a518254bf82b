"""Style, scripts and pictures: read once, kept by browsers for as long as their content is the same."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

PREFIX = "/static/"
FOREVER = "public, max-age=31536000, immutable"
DIGEST_CHARS = 12


@dataclass(frozen=True)
class _File:
    body: bytes
    content_type: str
    digest: str


class StaticFiles:
    """The files of a folder, which has no folders in it."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: _read(path) for path in folder.iterdir() if path.is_file()}

    def address(self, name: str) -> str:
        """Address of a file; another one once its content has changed."""
        return f"{PREFIX}{name}?v={self._files[name].digest}"

    async def answer(self, request: web.Request) -> web.Response:
        """Serve one."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        known = request.query.get("v") == file.digest
        return web.Response(
            body=file.body,
            headers={"Content-Type": file.content_type, "Cache-Control": FOREVER if known else "no-cache"},
        )


def _read(path: Path) -> _File:
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return _File(body, kind, hashlib.sha256(body).hexdigest()[:DIGEST_CHARS])
