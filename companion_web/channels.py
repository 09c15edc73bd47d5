"""The admins' page about channels: their repositories, the words watched in them, when to mention the bot."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from companion_web.admins_page import AdminsPage
from companion_web.door import Door, Form
from companion_web.fragments import Fragments
from companion_web.visitors import Visitor
from session.channel_rules import Channel, ChannelRuleBook, described, read_word
from session.refusals import NotNow

_ADMINS_ONLY = "What holds for a whole channel is set by admins. Ask one of them."
_NO_CHANNEL = "Choose a channel first."
_MENTIONS: dict[str, bool | None] = {"": None, "on": True, "off": False}


class ChannelsPage(AdminsPage):
    """Everything under `/admin/channels`."""

    admins_only = _ADMINS_ONLY

    def __init__(self, book: ChannelRuleBook, fragments: Fragments, door: Door) -> None:
        self._book = book
        self._fragments = fragments
        super().__init__(door)

    def routes(self) -> list[Route]:
        """Where it is."""
        page, action = self._door.page, self._door.action
        return [
            Route("/admin/channels", page(self.show), methods=["GET"]),
            Route("/admin/channels", action(self.save, self.refused), methods=["POST"]),
            Route("/admin/channels/forget", action(self.forget, self.refused), methods=["POST"]),
        ]

    async def save(self, request: Request, visitor: Visitor, form: Form) -> str:
        """The rules of one channel, as far as they are others than before."""
        self._require_admin(visitor)
        channel = await self._channel(form)
        words = tuple(read_word(word) for word in form.text("words").split(",") if word.strip())
        repository, required = form.text("repository") or None, _MENTIONS.get(form.text("mentions"))
        now = await self._book.of(channel)
        # The words first: they are what may be refused.
        if ", ".join(map(described, words)) != ", ".join(map(described, now.words)):
            await self._book.set_words(visitor.person, channel, words, through="web")
        if repository != now.repository:
            await self._book.set_repository(visitor.person, channel, repository, through="web")
        if required != now.mention_required:
            await self._book.set_mention_required(visitor.person, channel, required, through="web")
        return "/admin/channels"

    async def forget(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Nothing special holds in the channel any more."""
        self._require_admin(visitor)
        await self._book.forget(visitor.person, await self._channel(form), through="web")
        return "/admin/channels"

    async def _channel(self, form: Form) -> Channel:
        """The channel of a form, one of those that the page showed."""
        known = [*(rules.channel for rules in await self._book.all()), *await self._book.seen()]
        found = next((channel for channel in known if channel_key(channel) == form.text("channel")), None)
        if found is None:
            raise NotNow(_NO_CHANNEL)
        return found

    async def _page(
        self, request: Request, visitor: Visitor, *, said: str = "", status: int = 200
    ) -> Response:
        ruled = await self._book.all()
        keys = {rules.channel.key for rules in ruled}
        html = self._fragments.page(
            "channels.html",
            **{
                **self._door.context(request, visitor),
                "ruled": [(channel_key(r.channel), r, ", ".join(map(described, r.words))) for r in ruled],
                "others": [(channel_key(c), c) for c in await self._book.seen() if c.key not in keys],
                "said": said,
            },
        )
        return HTMLResponse(html, status)


def channel_key(channel: Channel) -> str:
    """The channel in one field of a form."""
    return json.dumps(channel.key, separators=(",", ":"))
