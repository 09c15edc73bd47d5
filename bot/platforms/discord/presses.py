"""Buttons, menus, and the search among more repositories than a menu holds (docs/set-up-discord.md).

Everything is acknowledged before it is looked into: Discord waits for three seconds only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast, get_args

import discord
import structlog
from discord.ui import Label, Modal, TextInput

from bot import sentences
from bot.messages import Action, Choice, Menu, Press
from bot.platforms.discord.asides import Answering
from bot.platforms.discord.keys import (
    SEARCH,
    Carried,
    custom_id,
    matching,
    read_custom_id,
    whole_value,
)
from bot.platforms.discord.layout import MENU_OPTIONS, choices_layout
from bot.platforms.discord.people import PLATFORM
from bot.platforms.discord.room import DiscordInteraction, Room
from bot.platforms.protocol import Inbox
from session.people import Identity

_log = structlog.get_logger(__name__)


class DiscordPresses:
    """Brings what people press and choose to the inbox."""

    def __init__(self, inbox: Inbox, repositories: Sequence[Choice]) -> None:
        self._inbox = inbox
        self._repositories = repositories

    async def used(self, room: Room, interaction: DiscordInteraction) -> None:
        """Somebody pressed, chose, or filled in the search. Raises: PlatformError."""
        data = cast("Mapping[str, Any]", interaction.data or {})
        try:
            carried = read_custom_id(str(data.get("custom_id", "")))
        except ValueError as error:
            _log.info("discord.strange_button", detail=str(error))
            return
        if interaction.type is discord.InteractionType.modal_submit:
            await self._searched(room, interaction, carried, " ".join(_inputs(data.get("components", ()))))
        elif carried.action == SEARCH:
            await self._open_search(room, interaction, carried)
        else:
            await room.api.call("acknowledge a press", interaction.id, lambda: interaction.response.defer())
            chosen = str((data.get("values") or [carried.value])[0])
            author = await room.people.identity(interaction.user)
            with room.asides.answering(interaction):
                await self._press(room, interaction, author, carried, chosen)

    async def _press(
        self,
        room: Room,
        interaction: DiscordInteraction,
        author: Identity,
        carried: Carried,
        chosen: str,
    ) -> None:
        action = next((known for known in get_args(Action) if known == carried.action), None)
        message = interaction.message
        if action is None or message is None:
            return
        place = room.places.of_message(message)
        ref, value = carried.ref, chosen
        if action == "pick_repository":
            ref, value = (whole_value(field, self._repositories) for field in (ref, value))
        press = Press(
            event_id=f"press:{interaction.id}",
            platform=PLATFORM,
            workspace=place.workspace,
            channel=place.channel,
            thread=place.thread,
            message=str(message.id),
            author=author,
            action=action,
            session_id=carried.session_id,
            ref=ref,
            value=value,
        )
        await self._inbox.on_press(press)

    async def _open_search(self, room: Room, interaction: DiscordInteraction, carried: Carried) -> None:
        modal = Modal(title="Which repository?", custom_id=custom_id(carried, 0) or SEARCH, timeout=None)
        field = TextInput[Modal](custom_id="words", max_length=100, placeholder="a part of its name")
        modal.add_item(
            Label[Modal](text="Search", description="Name, or words from its description", component=field)
        )
        modal.stop()
        await room.api.call("open a search", interaction.id, lambda: interaction.response.send_modal(modal))

    async def _searched(
        self, room: Room, interaction: DiscordInteraction, carried: Carried, words: str
    ) -> None:
        await room.api.call(
            "acknowledge a search",
            interaction.id,
            lambda: interaction.response.defer(ephemeral=True, thinking=True),
        )
        author = await room.people.identity(interaction.user)
        with room.asides.answering(interaction) as answering:
            if author.guest:
                await room.asides.answer(answering, sentences.refusals.GUEST)
                return
            found = matching(self._repositories, words, len(self._repositories))
            if not found:
                await room.asides.answer(answering, sentences.overview.NO_MATCH)
            elif len(found) > 1:
                await self._offer(room, answering, carried, found)
            else:
                picked = Carried("pick_repository", carried.session_id, carried.ref)
                await self._press(room, interaction, author, picked, found[0].value)
                if not answering.told:
                    await room.asides.answer(answering, sentences.overview.picked(found[0].value))

    async def _offer(
        self, room: Room, answering: Answering, carried: Carried, found: Sequence[Choice]
    ) -> None:
        more = len(found) - MENU_OPTIONS
        text = sentences.overview.matches(more)
        instead_of = whole_value(carried.ref, self._repositories)
        menu = Menu("pick_repository", "Pick one…", tuple(found[:MENU_OPTIONS]), instead_of)
        view = choices_layout(text, menu, carried.session_id)
        view.stop()
        followup = answering.interaction.followup
        await room.api.call(
            "offer repositories", answering.interaction.id, lambda: followup.send(view=view, ephemeral=True)
        )
        answering.told = True


def _inputs(components: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What was typed into a modal."""
    for component in components:
        if "value" in component:
            yield str(component["value"])
        yield from _inputs(component.get("components", ()))
        if "component" in component:
            yield from _inputs([component["component"]])
