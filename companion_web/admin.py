"""The admins' page: stop all work and begin it again, stored secrets by name, and the audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from companion_web.admins_page import AdminsPage
from companion_web.door import Door, Form
from companion_web.fragments import Fragments
from companion_web.governance import Governance
from companion_web.visitors import Visitor
from session.audit import AuditDown, Audited
from session.broker import BrokerDown, BrokerRefused
from session.directory import Directory
from session.refusals import NotNow

ROWS = 50
_FOR = " for "
MAX_REASON_CHARACTERS = 300
_ADMINS_ONLY = "This page is for admins. Ask one of them to do it, or to make you one."
_STOPPED_UNRECORDED = (
    "All work is stopped, but that could not be put on record. Tell whoever keeps the audit."
)
_NOT_A_NAME = (
    "That cannot be a secret: the name is capital letters, digits and _, at most 64, beginning with a "
    "letter, and the value must not be empty. Enter both again."
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which rows of the audit are looked at; `before` is the id of the row after the newest one wanted."""

    session: str
    action: str
    before: int | None

    @classmethod
    def of(cls, request: Request) -> _Asked:
        given = request.query_params
        before = given.get("before", "")
        return cls(
            session=_word(given.get("session", "")),
            action=_word(given.get("action", "")),
            before=int(before) if before.isascii() and before.isdecimal() and len(before) < 16 else None,
        )

    def older(self, rows: list[Audited]) -> str:
        """The address of the rows before these; empty when these are the last."""
        if len(rows) < ROWS:
            return ""
        query = {"session": self.session, "action": self.action, "before": str(rows[-1].id)}
        return "/admin?" + urlencode({key: value for key, value in query.items() if value}) + "#audit"


class AdminPage(AdminsPage):
    """Everything under `/admin`. Values of secrets go in and are never shown."""

    admins_only = _ADMINS_ONLY

    def __init__(
        self, governance: Governance, directory: Directory, fragments: Fragments, door: Door
    ) -> None:
        self._governance = governance
        self._directory = directory
        self._fragments = fragments
        super().__init__(door)

    def routes(self) -> list[Route]:
        """Where it is."""
        page, action, refused = self._door.page, self._door.action, self.refused
        return [
            Route("/admin", page(self.show), methods=["GET"]),
            Route("/admin/stop", page(self.confirm), methods=["GET"]),
            Route("/admin/stop", action(self.stop, refused), methods=["POST"]),
            Route("/admin/resume", action(self.resume, refused), methods=["POST"]),
            Route("/admin/secrets", action(self.set_secret, refused), methods=["POST"]),
            Route("/admin/secrets/delete", action(self.delete_secret, refused), methods=["POST"]),
        ]

    async def confirm(self, request: Request, visitor: Visitor) -> Response:
        """The question before everything is stopped."""
        self._require_admin(visitor)
        return HTMLResponse(
            self._fragments.page("admin_stop.html", **self._door.context(request, visitor)),
        )

    async def stop(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Stops all work of the installation."""
        self._require_admin(visitor)
        reason = form.text("reason")[:MAX_REASON_CHARACTERS]
        try:
            await self._governance.standstill.stop(visitor.person, reason)
        except AuditDown as error:
            raise AuditDown(_STOPPED_UNRECORDED) from error
        return "/admin"

    async def resume(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Lets work go on."""
        self._require_admin(visitor)
        await self._governance.standstill.resume(visitor.person)
        return "/admin"

    async def set_secret(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Keeps a secret in the broker, which puts it on record."""
        self._require_admin(visitor)
        try:
            await self._governance.secrets.set(form.text("name"), form.text("value"), visitor.person.id)
        except ValueError:
            raise NotNow(_NOT_A_NAME) from None  # the cause would carry the value
        return "/admin#secrets"

    async def delete_secret(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Has the broker forget a secret, which puts it on record."""
        self._require_admin(visitor)
        await self._governance.secrets.delete(form.text("name"), visitor.person.id)
        return "/admin#secrets"

    async def _page(
        self, request: Request, visitor: Visitor, *, said: str = "", status: int = 200
    ) -> Response:
        asked = _Asked.of(request)
        rows = await self._governance.audit.page(
            asked.before, ROWS, session_id=asked.session, action=asked.action
        )
        names, trouble = await self._secret_names()
        people = await self._directory.names(row.entry.actor.rpartition(_FOR)[2] for row in rows)
        html = self._fragments.page(
            "admin.html",
            **{
                **self._door.context(request, visitor),
                "halt": await self._governance.switch.halt(),
                "names": names,
                "trouble": trouble,
                "rows": rows,
                "actors": {row.id: _called(row.entry.actor, people) for row in rows},
                "asked": asked,
                "older": asked.older(rows),
                "said": said,
            },
        )
        return HTMLResponse(html, status)

    async def _secret_names(self) -> tuple[tuple[str, ...], str]:
        """The names, and why they are not known; the rest of the page must work without the broker."""
        try:
            return await self._governance.secrets.names(), ""
        except (BrokerDown, BrokerRefused) as error:
            return (), str(error)


def _called(actor: str, people: Mapping[str, str]) -> str:
    """The part and whom it acts for, by name where the id is known."""
    part, words, person = actor.rpartition(_FOR)
    return f"{part}{words}{people.get(person, person)}"


def _word(text: str) -> str:
    """The text if it can be in a row; PostgreSQL takes no NUL."""
    return text.strip()[:64] if text.isprintable() else ""
