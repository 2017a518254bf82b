"""One visit of one person to one page: what they sent, and the ways to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from mutt_appliance.webui.access import Person, Role
from mutt_appliance.webui.operations import Given, Operation, Reply, perform
from mutt_appliance.webui.pages.templating import Pages
from mutt_appliance.webui.serving import as_problem
from mutt_appliance.webui.sessions import Session, Sessions
from mutt_appliance.webui.stores import Stores

HTML = "text/html"
Form = MultiDictProxy[str]


@dataclass(frozen=True)
class Visit:
    """What a page's handler is given. `form` is empty unless the method is POST, and then its CSRF token was right."""

    request: web.Request
    session: Session
    sessions: Sessions
    stores: Stores
    pages: Pages
    form: Form

    @property
    def person(self) -> Person:
        """Who visits."""
        return self.session.person

    @property
    def query(self) -> Mapping[str, str]:
        """The query of the address; of fields given twice the last, empty ones left out."""
        return {name: value for name, value in self.request.query.items() if value}

    @property
    def path(self) -> Mapping[str, str]:
        """The variable parts of the address."""
        return self.request.match_info

    async def ask(
        self,
        operation: Operation,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        version: str | None = None,
    ) -> Any:
        """Perform an operation of the API as this person; returns the body of its answer. Raises Problem.

        Values may be text, as forms have them. `version`, from a form, is what If-Match is to the API.
        """
        if_version = int(version) if version and version.isdecimal() and len(version) < 10 else None
        given = Given(path or {}, query or {}, body, if_version, strict=False)
        try:
            reply = await perform(operation, self.stores, self.person, given)
        except Exception as error:
            raise as_problem(error, operation.name) from error
        if not isinstance(reply, Reply):
            raise TypeError(f"{operation.name} answers with a file, which a page cannot show")
        return reply.body

    def show(self, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> web.Response:
        """A page made from a template, which also sees what `base.html` does."""
        text = self.pages.render(
            template,
            person=self.person,
            csrf=self.session.csrf,
            notice=self.session.notice,
            path=self.request.path,
            Role=Role,
            database_away=self.stores.database_trouble is not None,
            **values,
        )
        return web.Response(text=text, status=status.value, content_type=HTML)

    async def go(self, path: str, notice: str | None = None) -> web.Response:
        """Send the browser elsewhere (303), where `notice` is shown."""
        if notice is not None:
            await self.sessions.leave_notice(self.session, notice)
        return web.Response(status=HTTPStatus.SEE_OTHER.value, headers={"Location": path})

    def confirm(
        self,
        question: str,
        *,
        detail: str = "",
        button: str,
        back: str,
        number: tuple[str, str] | None = None,
        **fields: str,
    ) -> web.Response:
        """Ask before something that cannot be undone; yes posts `fields` to the same address.

        `number` is the name and the label of a number that may be given as well.
        """
        return self.show(
            "confirm.html",
            question=question,
            detail=detail,
            button=button,
            back=back,
            number=number,
            fields=fields,
        )


PageHandler = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Page:
    """A route of the web UI that a person with `role` may visit."""

    method: str
    path: str
    role: Role
    handler: PageHandler


def page(method: str, path: str, role: Role = Role.VIEWER) -> Callable[[PageHandler], Page]:
    """Declare the decorated coroutine as a page."""

    def declare(handler: PageHandler) -> Page:
        return Page(method, path, role, handler)

    return declare


def fields_of(form: Form, *, empty_is_null: bool = True) -> dict[str, Any]:
    """A form as the body of an operation: the last value of each field, empty ones as null, line ends as LF.

    A checkbox has a hidden field of the same name with `false` before it, so that it is never left out.
    """
    fields: dict[str, Any] = {}
    for name, value in MultiDict(form).items():
        if name in ("csrf", "version"):
            continue
        text = value.replace("\r\n", "\n")
        fields[name] = None if empty_is_null and text == "" else text
    return fields
