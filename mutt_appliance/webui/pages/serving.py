"""Pages as routes: who visits, may they, did the form come from us, and what to show when it went wrong."""

from __future__ import annotations

import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from multidict import MultiDict, MultiDictProxy
from yarl import URL

from mutt_appliance.resources import resource_folder
from mutt_appliance.telemetry.metrics import WebuiMetrics
from mutt_appliance.webui.access import Person, Role
from mutt_appliance.webui.operations import PREFIX
from mutt_appliance.webui.pages.cookies import (
    SIGN_IN,
    from_own_page,
    own_address,
    set_session,
    without_key,
)
from mutt_appliance.webui.pages.static import PREFIX as STATIC
from mutt_appliance.webui.pages.static import StaticFiles
from mutt_appliance.webui.pages.templating import Pages
from mutt_appliance.webui.pages.visit import HTML, Form, Page, Visit
from mutt_appliance.webui.problems import Problem
from mutt_appliance.webui.serving import AioHandler, as_problem
from mutt_appliance.webui.sessions import COOKIE, Session, Sessions
from mutt_appliance.webui.stores import Stores

NO_FORM: Form = MultiDictProxy(MultiDict())
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Site:
    """All pages of one web UI process."""

    def __init__(self, stores: Stores, sessions: Sessions, metrics: WebuiMetrics) -> None:
        folder = resource_folder("templates")
        self.static = StaticFiles(folder / "static")
        self._pages = Pages(folder, self.static)
        self._stores = stores
        self._sessions = sessions
        self._metrics = metrics

    def add_to(self, app: web.Application, pages: Iterable[Page]) -> None:
        """Serve the pages, the sign-in and the static files."""
        app.router.add_get(STATIC + "{name}", self.static.answer)
        app.router.add_get(SIGN_IN, self._counted(SIGN_IN, self._sign_in_form))
        app.router.add_post(SIGN_IN, self._counted(SIGN_IN, self._sign_in))
        for one in pages:
            app.router.add_route(one.method, one.path, self._counted(one.path, self._route(one)))

    @web.middleware
    async def middleware(self, request: web.Request, handler: AioHandler) -> web.StreamResponse:
        """Headers for every answer; a page for what is no page; a key in the address becomes a session."""
        try:
            if "api_key" in request.query and request.method == "GET" and not _is_api(request):
                response: web.StreamResponse = await self._exchange(request)
            else:
                response = await handler(request)
        except web.HTTPException as error:
            if _is_api(request) or error.status < 400:
                raise
            status = HTTPStatus(error.status)
            problem = Problem(status, f"{request.path[:200]}: {status.description or status.phrase}")
            response = self._error(problem, None)
        if not response.prepared:
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        try:
            session = await self._sessions.begin(request.query["api_key"], request.remote or "")
        except Exception as error:  # noqa: BLE001 - every error is an answer, and ours are logged
            return self._sign_in_page(as_problem(error, SIGN_IN), own_address(without_key(request)))
        return self._signed_in(request, session, without_key(request))

    async def _sign_in_form(self, request: web.Request) -> web.StreamResponse:
        return self._sign_in_page(None, own_address(request.query.get("next", "/")))

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        onward = own_address(str(form.get("next", "/")))
        try:
            if not from_own_page(request):
                raise _from_elsewhere()
            session = await self._sessions.begin(str(form.get("api_key", "")), request.remote or "")
        except Exception as error:  # noqa: BLE001 - every error is an answer, and ours are logged
            return self._sign_in_page(as_problem(error, SIGN_IN), onward)
        return self._signed_in(request, session, onward)

    def _sign_in_page(self, problem: Problem | None, onward: str) -> web.Response:
        status = HTTPStatus.OK if problem is None else problem.status
        away = self._stores.database_trouble is not None
        text = self._pages.render("sign-in.html", problem=problem, onward=onward, database_away=away)
        headers = {} if problem is None else problem.headers
        return web.Response(text=text, status=status.value, content_type=HTML, headers=headers)

    def _signed_in(self, request: web.Request, session: Session, onward: str) -> web.Response:
        response = web.Response(status=HTTPStatus.SEE_OTHER.value, headers={"Location": onward})
        set_session(response, request, self._stores.settings, session.token)
        return response

    def _route(self, one: Page) -> AioHandler:
        async def answer(request: web.Request) -> web.StreamResponse:
            session: Session | None = None
            try:
                token = request.cookies.get(COOKIE, "")
                session = await self._sessions.find(token, take_notice=request.method == "GET")
                if session is None:
                    return _to_sign_in(request)
                if not session.person.may(one.role):
                    raise _not_allowed(session.person, one.role)
                form = await _checked_form(request, session) if request.method == "POST" else NO_FORM
                visit = Visit(request, session, self._sessions, self._stores, self._pages, form)
                return await one.handler(visit)
            except web.HTTPException:
                raise
            except Exception as error:  # noqa: BLE001 - every error is an answer, and ours are logged
                return self._error(as_problem(error, one.path), session)

        return answer

    def _error(self, problem: Problem, session: Session | None) -> web.Response:
        values: dict[str, Any] = {"person": None, "csrf": "", "notice": None, "path": "", "Role": Role}
        if session is not None:
            values |= {"person": session.person, "csrf": session.csrf}
        values["database_away"] = self._stores.database_trouble is not None
        text = self._pages.render("error.html", problem=problem, **values)
        return web.Response(
            text=text, status=problem.status.value, content_type=HTML, headers=problem.headers
        )

    def _counted(self, endpoint: str, handler: AioHandler) -> AioHandler:
        async def answer(request: web.Request) -> web.StreamResponse:
            started = time.perf_counter()
            response = await handler(request)
            self._metrics.requests.labels(endpoint=endpoint, status=str(response.status)).inc()
            self._metrics.latency.labels(endpoint=endpoint).observe(time.perf_counter() - started)
            return response

        return answer


def _is_api(request: web.Request) -> bool:
    return request.path.startswith(PREFIX + "/")


async def _checked_form(request: web.Request, session: Session) -> Form:
    """The fields of a form that came from one of our pages; raises Problem 403."""
    form = await request.post()
    fields: MultiDict[str] = MultiDict()
    for name, value in form.items():
        # A file is read as text: rules and lists of hosts come that way.
        fields.add(name, value if isinstance(value, str) else _text_of(name, value))
    if not from_own_page(request) or not session.has_csrf(fields.get("csrf", "")):
        raise _from_elsewhere()
    return MultiDictProxy(fields)


def _text_of(name: str, file: web.FileField | bytes | bytearray) -> str:
    raw = bytes(file) if isinstance(file, bytes | bytearray) else file.file.read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: the file is not text in UTF-8 (byte {error.start})"
        ) from error


def _to_sign_in(request: web.Request) -> web.Response:
    onward = request.path_qs if request.method == "GET" else "/"
    location = SIGN_IN if onward == "/" else str(URL(SIGN_IN).with_query(next=onward))
    return web.Response(status=HTTPStatus.SEE_OTHER.value, headers={"Location": location})


def _not_allowed(person: Person, role: Role) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, f"{person.name} is {person.role.word}; this needs {role.word}")


def _from_elsewhere() -> Problem:
    return Problem(
        HTTPStatus.FORBIDDEN,
        "this form did not come from a page of this session: load the page and try again",
    )
