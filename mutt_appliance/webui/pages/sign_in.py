"""Signing in with an API key, and out."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from mutt_appliance.webui.pages.cookies import SIGN_IN, forget_session
from mutt_appliance.webui.pages.visit import Visit, page


@page("POST", "/sign-out")
async def sign_out(visit: Visit) -> web.Response:
    """End the session everywhere."""
    await visit.sessions.end(visit.session)
    response = web.Response(status=HTTPStatus.SEE_OTHER.value, headers={"Location": SIGN_IN})
    forget_session(response)
    return response


PAGES = (sign_out,)
