"""The session cookie, and addresses that a browser may be sent to after signing in."""

from __future__ import annotations

from aiohttp import web
from yarl import URL

from mutt_appliance.config import Settings
from mutt_appliance.webui.sessions import COOKIE

SIGN_IN = "/sign-in"


def set_session(response: web.StreamResponse, request: web.Request, settings: Settings, token: str) -> None:
    """Give the browser the session, until it is closed."""
    secure = request.secure or settings.webui_cookie_secure
    response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", secure=secure, path="/")


def forget_session(response: web.StreamResponse) -> None:
    """Take it back."""
    response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")


def own_address(wanted: str) -> str:
    """`wanted` if it is a path of this web UI, else the dashboard: nobody is sent to another host."""
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if plain and "\\" not in wanted else "/"


def without_key(request: web.Request) -> str:
    """The address of `request` without api_key."""
    query = [(name, value) for name, value in request.query.items() if name != "api_key"]
    return str(URL.build(path=request.path, query=query))


def from_own_page(request: web.Request) -> bool:
    """False when a page of another site made the browser send this (Fetch Metadata, RFC 6454)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or URL(origin).authority == request.host
