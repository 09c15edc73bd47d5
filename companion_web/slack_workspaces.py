"""The admins' page about Slack's workspaces: adding the app to one, and taking it away again.

The page only leads people to Slack and back. What they come back with, the broker exchanges and keeps.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from companion_web.admins_page import AdminsPage
from companion_web.door import Door, Form
from companion_web.fragments import Fragments
from companion_web.trouble import TROUBLES, Trouble, trouble_status
from companion_web.visitors import FLOW_SECONDS, SignedCookie, Visitor
from session.broker import BrokerRefused
from session.broker_slack import MAX_CODE_CHARACTERS, SLACK_AWAY, SlackTokens
from session.directory import Directory
from session.people import Declared
from session.refusals import NotNow
from session.settings import Settings
from session.slack_installations import SlackInstallation, SlackInstallations

PAGE = "/admin/slack"
_PURPOSE = "slack-install"
_AWAY_STATUS = 502

_ADMINS_ONLY = "Only admins may add Bellhop to workspaces, or take it away. Ask one of them."
_NO_CLIENT = "Set SLACK_CLIENT_ID and SLACK_CLIENT_SECRET first, as docs/set-up-slack.md says."
_NOT_THIS_BROWSER = (
    "That took over ten minutes, was used before, or was not begun by you in this browser. Begin again."
)
_REFUSALS: Mapping[str, str] = {
    "access_denied": "You said no on Slack's page, so nothing was added. Begin again if that was not meant.",
    "invalid_team_for_non_distributed_app": (
        "Slack lets the app into no other workspace than the one it was made in. Switch on “Manage "
        "Distribution” → “Public Distribution” in the app's settings, and begin again."
    ),
}
_WORD = re.compile(r"[a-z_]{1,64}")
_NO_CODE = "Slack sent nothing to go on with. Begin again."


@dataclass(frozen=True, slots=True)
class SlackParts:
    """What the page needs: the record, the way to the broker, the scopes that the app asks for."""

    installations: SlackInstallations
    tokens: SlackTokens
    scopes: Collection[str]


@dataclass(frozen=True, slots=True)
class _Shown:
    """A workspace in the list. `lacking`: scopes it has not granted."""

    installation: SlackInstallation
    by: str
    lacking: tuple[str, ...]


class _Flow(Declared):
    state: str


class SlackPage(AdminsPage):
    """`/admin/slack`, and the way over Slack's own page."""

    admins_only = _ADMINS_ONLY

    def __init__(
        self,
        settings: Settings,
        secret_key: str,
        slack: SlackParts,
        directory: Directory,
        fragments: Fragments,
        door: Door,
    ) -> None:
        self._client_id = settings.slack_client_id
        self._authorize = urljoin(settings.slack_api_url, "/oauth/v2/authorize")
        self._callback = f"{settings.page_address}/slack/oauth_redirect"
        https = settings.page_address.startswith("https://")
        self._flow = SignedCookie("bellhop-slack", secret_key, FLOW_SECONDS, https)
        self._slack = slack
        self._directory = directory
        self._fragments = fragments
        super().__init__(door)

    def routes(self) -> list[Route]:
        """Where it is."""
        page, action = self._door.page, self._door.action
        return [
            Route(PAGE, page(self.show), methods=["GET"]),
            Route("/slack/install", action(self.leave, self.refused), methods=["POST"]),
            Route("/slack/oauth_redirect", page(self.come_back), methods=["GET"]),
            Route(f"{PAGE}/remove", action(self.remove, self.refused), methods=["POST"]),
        ]

    async def leave(self, request: Request, visitor: Visitor, form: Form) -> Response:
        """Off to Slack. A page that goes on by itself: as an answer to a form, browsers hold a redirect, and
        all that follow it, against the pages' policy."""
        self._require_admin(visitor)
        if not self._client_id:
            raise NotNow(_NO_CLIENT)
        state = await self._directory.issue_ticket(_PURPOSE, visitor.person.id, FLOW_SECONDS)
        query = {
            "client_id": self._client_id,
            "scope": ",".join(sorted(self._slack.scopes)),
            "redirect_uri": self._callback,
            "state": state,
        }
        context = self._door.context(request, visitor)
        address = f"{self._authorize}?{urlencode(query)}"
        response = HTMLResponse(self._fragments.page("slack_leave.html", **{**context, "address": address}))
        self._flow.set(response, _Flow(state=state))
        return response

    async def come_back(self, request: Request, visitor: Visitor) -> Response:
        """Back from Slack: the broker takes the code, and the page says what came of it."""
        self._require_admin(visitor)
        given = request.query_params
        if not await self._begun_here(request, visitor, given.get("state", "")):
            return self._told(request, visitor, 403, "Not added", _NOT_THIS_BROWSER)
        response = await self._installed(request, visitor, given.get("code", ""), given.get("error", ""))
        self._flow.clear(response)
        return response

    async def remove(self, request: Request, visitor: Visitor, form: Form) -> str | Response:
        """The broker has the app taken away and forgets the workspace; the page says what is left to do."""
        self._require_admin(visitor)
        known = {found.team_id: found.team_name for found in await self._slack.installations.all()}
        team = form.text("team")
        left = await self._slack.tokens.remove(team, visitor.person.id) if team in known else ""
        if not left:
            return PAGE
        return self._told(request, visitor, 200, "Removed", f"{known[team]} is answered no longer. {left}")

    async def _begun_here(self, request: Request, visitor: Visitor, state: str) -> bool:
        """Whether this browser began that, as this person, within ten minutes; true once."""
        flow = self._flow.read(request, _Flow)
        if flow is None or not secrets.compare_digest(flow.state.encode(), state.encode()):
            return False
        return await self._directory.redeem_ticket(_PURPOSE, state) == visitor.person.id

    async def _installed(self, request: Request, visitor: Visitor, code: str, error: str) -> Response:
        if error or not 0 < len(code) <= MAX_CODE_CHARACTERS:
            return self._told(request, visitor, 409, "Not added", _refusal(error))
        try:
            done = await self._slack.tokens.install(code, self._callback, visitor.person.id)
        except TROUBLES as trouble:
            return self._told(request, visitor, _status(trouble), "Not added", str(trouble))
        sentence = (
            f"Bellhop is in {done.team_name} now: invite it to a channel there with /invite @bellhop, and "
            "mention it."
        )
        return self._told(request, visitor, 200, "Added", sentence)

    async def _page(
        self, request: Request, visitor: Visitor, *, said: str = "", status: int = 200
    ) -> Response:
        context = self._door.context(request, visitor)
        html = self._fragments.page(
            "slack.html",
            **{
                **context,
                "workspaces": [await self._shown(one) for one in await self._slack.installations.all()],
                "set_up": bool(self._client_id),
                "callback": self._callback,
                "said": said,
            },
        )
        return HTMLResponse(html, status)

    async def _shown(self, installation: SlackInstallation) -> _Shown:
        person = await self._directory.person(installation.installed_by)
        lacking = sorted(set(self._slack.scopes) - set(installation.scopes))
        return _Shown(installation, person.name if person else "somebody who has left", tuple(lacking))

    def _told(self, request: Request, visitor: Visitor, status: int, heading: str, text: str) -> Response:
        html = self._fragments.page(
            "message.html",
            heading=heading,
            text=text,
            back=PAGE,
            back_words="Slack workspaces",
            **self._door.context(request, visitor),
        )
        return HTMLResponse(html, status)


def _refusal(error: str) -> str:
    """What Slack's word for why there is no code means; empty: there was none."""
    if not error:
        return _NO_CODE
    word = f" ({error})" if _WORD.fullmatch(error) else ""
    return _REFUSALS.get(error) or f"Slack says no{word}. Begin again, or ask an admin of the workspace."


def _status(trouble: Trouble) -> int:
    if isinstance(trouble, BrokerRefused) and trouble.kind == SLACK_AWAY:
        return _AWAY_STATUS
    return trouble_status(trouble)
