"""The one way in: every page and every change passes here, so that no handler can forget a check."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from companion_web.fragments import Fragments
from companion_web.security import same_origin
from companion_web.trouble import TROUBLES, trouble_status
from companion_web.visitors import Visitor, Visitors
from session.log import NoSuchSession

Endpoint = Callable[[Request], Awaitable[Response]]
PageHandler = Callable[[Request, Visitor], Awaitable[Response]]

MAX_FIELDS = 200


@dataclass(frozen=True, slots=True)
class Form:
    """The text fields of a form."""

    data: FormData

    def text(self, name: str) -> str:
        """The field's text without blanks around it; empty when it is not there."""
        value = self.data.get(name, "")
        return "" if isinstance(value, UploadFile) else value.strip()


class ActionHandler(Protocol):
    """Carries out what a form asks; the text it returns is where a browser goes next, a response is shown."""

    async def __call__(self, request: Request, visitor: Visitor, form: Form) -> str | Response:
        """Raises: what `trouble.TROUBLES` names, NoSuchSession."""


RefusalPage = Callable[[Request, Visitor, Form, str, int], Awaitable[Response]]


class Door:
    """Wraps handlers: pages need a sign-in; changes also need our own origin and the sign-in's CSRF token."""

    def __init__(self, visitors: Visitors, fragments: Fragments, public_url: str) -> None:
        self._visitors = visitors
        self._fragments = fragments
        self._public_url = public_url

    def page(self, handler: PageHandler) -> Endpoint:
        """For signed-in people; others are led to the sign-in page and back."""

        async def endpoint(request: Request) -> Response:
            visitor = await self._visitors.of(request)
            if visitor is None:
                return to_sign_in(request)
            try:
                return await handler(request, visitor)
            except TROUBLES as trouble:
                return self.message(request, visitor, trouble_status(trouble), "Not shown", str(trouble))
            except NoSuchSession:
                return self.missing(request, visitor)

        return endpoint

    def data(self, handler: PageHandler) -> Endpoint:
        """Like `page`, for scripts: who is not signed in gets 401."""

        async def endpoint(request: Request) -> Response:
            visitor = await self._visitors.of(request)
            if visitor is None:
                return problem(401, "Not signed in", "Sign in on the companion page first.")
            try:
                return await handler(request, visitor)
            except TROUBLES as trouble:
                return problem(trouble_status(trouble), "Not done", str(trouble))
            except NoSuchSession:
                return problem(404, "No such session", "There is no session with that id.")

        return endpoint

    def change(self, handler: PageHandler) -> Endpoint:
        """Like `data`, for scripts that change something: also our origin, and the token in a header."""

        async def guarded(request: Request, visitor: Visitor) -> Response:
            token = request.headers.get("x-csrf-token", "")
            if not same_origin(request, self._public_url) or not self._token_holds(visitor, token):
                return problem(403, "Not from our page", self._foreign_sentence())
            return await handler(request, visitor)

        return self.data(guarded)

    def action(self, handler: ActionHandler, refused: RefusalPage) -> Endpoint:
        """A form. Browsers without our script are redirected, or shown the refusal on the page they were on;
        our script, which asks for JSON, gets 204 or a problem."""

        async def endpoint(request: Request) -> Response:
            visitor = await self._visitors.of(request)
            if visitor is None:
                return self._answer_stranger(request)
            if not same_origin(request, self._public_url):
                return self._foreign(request, visitor)
            async with request.form(max_files=0, max_fields=MAX_FIELDS) as data:
                form = Form(data)
                if not self._token_holds(visitor, form.text("csrf")):
                    return self._foreign(request, visitor)
                return await self._carry_out(handler, refused, request, visitor, form)

        return endpoint

    async def nothing_here(self, request: Request, visitor: Visitor) -> Response:
        """For addresses that no page has."""
        return self.missing(request, visitor)

    def missing(self, request: Request, visitor: Visitor) -> Response:
        """The page for what is not there."""
        return self.message(request, visitor, 404, "Not here", "There is nothing at this address (any more).")

    def context(self, request: Request, visitor: Visitor | None) -> dict[str, object]:
        """What every page template needs."""
        return {
            "visitor": visitor,
            "csrf": self._visitors.csrf.make(visitor.sign_in_id) if visitor else "",
            "nonce": request.state.nonce,
            "said": "",
        }

    async def _carry_out(
        self, handler: ActionHandler, refused: RefusalPage, request: Request, visitor: Visitor, form: Form
    ) -> Response:
        scripted = wants_json(request)
        try:
            target = await handler(request, visitor, form)
        except TROUBLES as trouble:
            status = trouble_status(trouble)
            if scripted:
                return problem(status, "Not done", str(trouble))
            return await refused(request, visitor, form, str(trouble), status)
        except NoSuchSession:
            if scripted:
                return problem(404, "No such session", "There is no session with that id.")
            return self.missing(request, visitor)
        if isinstance(target, Response):
            return target
        return Response(status_code=204) if scripted else see_other(target)

    def _token_holds(self, visitor: Visitor, token: str) -> bool:
        return self._visitors.csrf.valid(token, visitor.sign_in_id)

    def _answer_stranger(self, request: Request) -> Response:
        if wants_json(request):
            return problem(401, "Not signed in", "You are signed out. Reload the page to sign in again.")
        return see_other("/sign-in")

    def _foreign(self, request: Request, visitor: Visitor) -> Response:
        if wants_json(request):
            return problem(403, "Not from our page", self._foreign_sentence())
        return self.message(request, visitor, 403, "Not done", self._foreign_sentence())

    def _foreign_sentence(self) -> str:
        return (
            f"That did not come from a page of {self._public_url}, or the page was too old. "
            "Open it there, reload, and try again."
        )

    def message(
        self, request: Request, visitor: Visitor | None, status: int, heading: str, text: str
    ) -> Response:
        """A page that says one thing."""
        html = self._fragments.page(
            "message.html",
            heading=heading,
            text=text,
            back="/",
            back_words="All sessions",
            **self.context(request, visitor),
        )
        return Response(html, status, media_type="text/html")


def wants_json(request: Request) -> bool:
    """Whether our script asks, rather than a browser's own form."""
    return "application/json" in request.headers.get("accept", "")


def see_other(target: str) -> Response:
    """Sends the browser on with GET."""
    return RedirectResponse(local_path(target), 303)


def to_sign_in(request: Request) -> Response:
    """Sends the browser to the sign-in page, and back here afterwards."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?next={quote(here, safe='/')}", 303)


def local_path(target: str) -> str:
    """The target if it is a path of ours, otherwise the front page: nobody is sent elsewhere from here."""
    local = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if local and target.isprintable() else "/"


def problem(status: int, title: str, detail: str) -> Response:
    """An error as JSON.

    Source: RFC 9457, Problem Details for HTTP APIs.
    """
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(content, status, media_type="application/problem+json")
