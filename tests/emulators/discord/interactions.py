"""Interactions: what people press and type, and the tokens with which the app answers.

Source: https://docs.discord.com/developers/interactions/receiving-and-responding. The first answer has to
come within three seconds, later ones within fifteen minutes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from tests.emulators.discord.components import check_modal
from tests.emulators.discord.message_rules import Content, check_create, check_edit
from tests.emulators.discord.refusals import (
    ALREADY_ACKNOWLEDGED,
    INVALID_TOKEN_OF_WEBHOOK,
    UNKNOWN_INTERACTION,
    UNKNOWN_MESSAGE,
    Json,
    Refused,
    invalid,
    unknown,
)
from tests.emulators.discord.shapes import message as message_shape
from tests.emulators.discord.world import COMMAND, EPHEMERAL, Channel, Message, User, World

FIRST_ANSWER_SECONDS = 3.0
TOKEN_SECONDS = 15 * 60.0
COMMAND_USED, PRESSED, COMPLETION_ASKED, MODAL_SUBMITTED = 2, 3, 4, 5
SAY, SAY_LATER, UPDATE_LATER, UPDATE, COMPLETE, MODAL = 4, 5, 6, 7, 8, 9
_ANSWERS = {
    COMMAND_USED: {SAY, SAY_LATER, MODAL},
    PRESSED: {SAY, SAY_LATER, UPDATE_LATER, UPDATE, MODAL},
    COMPLETION_ASKED: {COMPLETE},
    MODAL_SUBMITTED: {SAY, SAY_LATER, UPDATE_LATER, UPDATE},
}


@dataclass(eq=False, slots=True)
class Interaction:
    """One thing somebody did. `answer` is the type of the first answer, `original` the message it made."""

    id: int
    token: str
    kind: int
    by: User
    channel: Channel
    made_at: float
    on: Message | None = None
    answer: int | None = None
    only_for_one: bool = False
    original: Message | None = None
    ended: bool = False
    modal: Json | None = None
    choices: list[Json] | None = None


class Interactions:
    """All interactions; `clock` gives seconds, `announce` tells the gateway of a new message."""

    def __init__(
        self,
        world: World,
        clock: Callable[[], float],
        announce: Callable[[Message], None],
        violated: Callable[[str], None],
    ) -> None:
        self._world = world
        self._clock = clock
        self._announce = announce
        self._violated = violated
        self.all: list[Interaction] = []

    def begin(self, kind: int, by: User, channel: Channel, on: Message | None = None) -> Interaction:
        """A new interaction."""
        made = Interaction(
            self._world.new_id(), secrets.token_urlsafe(24), kind, by, channel, self._clock(), on
        )
        self.all.append(made)
        return made

    def answer(self, interaction_id: int, token: str, body: Json) -> Json:
        """The first answer. Raises: Refused."""
        found = next((i for i in self.all if i.id == interaction_id and i.token == token), None)
        if found is None or self._clock() - found.made_at > FIRST_ANSWER_SECONDS:
            raise unknown(UNKNOWN_INTERACTION, "interaction")
        if found.answer is not None:
            raise Refused(400, ALREADY_ACKNOWLEDGED, "Interaction has already been acknowledged.")
        kind, data = body.get("type"), body.get("data") or {}
        if kind not in _ANSWERS[found.kind]:
            raise invalid(
                "type", "BASE_TYPE_CHOICES", f"an interaction {found.kind} is not answered by {kind}"
            )
        match kind:
            case 4:
                found.only_for_one = bool((data.get("flags") or 0) & EPHEMERAL)
                found.original = self._say(found, check_create(data, aside=True))
            case 5:
                found.only_for_one = bool((data.get("flags") or 0) & EPHEMERAL)
            case 8:
                found.choices = _choices(data.get("choices"))
            case 9:
                found.modal = check_modal(data)
            case _:
                pass
        found.answer = kind
        self._world.watch.changed()
        told: Json = {"interaction": {"id": str(found.id), "type": found.kind}}
        if kind == SAY and found.original is not None:
            told["resource"] = {"type": kind, "message": message_shape(found.original, self._world)}
        return told

    def follow_up(self, token: str, body: Json) -> Json:
        """A further answer; the first one after "later" stands in its place. Raises: Refused."""
        found = self._by_token(token)
        if found.answer is None:
            raise unknown(UNKNOWN_INTERACTION, "Webhook")
        content = check_create(body, aside=True)
        said = self._say(found, content)
        if found.answer == SAY_LATER and found.original is None:
            found.original = said
        return message_shape(said, self._world)

    def edit_original(self, token: str, body: Json) -> Json:
        """The first answer shows something else. Raises: Refused."""
        found = self._by_token(token)
        if found.answer == SAY_LATER and found.original is None:
            found.original = self._say(found, check_edit(body, EPHEMERAL if found.only_for_one else 0))
        elif found.original is None:
            raise unknown(UNKNOWN_MESSAGE, "Message")
        else:
            content = check_edit(body, found.original.flags)
            found.original.content, found.original.components = content.content, content.components
            self._world.watch.changed()
        return message_shape(found.original, self._world)

    def original(self, token: str) -> Json:
        """The first answer as it stands. Raises: Refused."""
        found = self._by_token(token)
        if found.original is None:
            raise unknown(UNKNOWN_MESSAGE, "Message")
        return message_shape(found.original, self._world)

    def delete_original(self, token: str) -> None:
        """The first answer is gone. Raises: Refused."""
        found = self._by_token(token)
        if found.original is not None:
            found.original.deleted = True
        found.ended = True
        self._world.watch.changed()

    def _by_token(self, token: str) -> Interaction:
        found = next((i for i in self.all if i.token == token), None)
        if found is None or self._clock() - found.made_at > TOKEN_SECONDS:
            raise Refused(401, INVALID_TOKEN_OF_WEBHOOK, "Invalid Webhook Token")
        return found

    def _say(self, found: Interaction, content: Content) -> Message:
        if content.rings:
            self._violated(f"an answer rings {', '.join(content.rings)}")
        # What follows a waiting answer is as private as that one was announced to be.
        waits = found.answer == SAY_LATER and found.original is None
        alone = found.only_for_one if waits else bool(content.flags & EPHEMERAL)
        said = Message(
            self._world.new_id(),
            found.channel,
            self._world.bot,
            content.content,
            content.components,
            COMMAND,
            content.flags | (EPHEMERAL if alone else 0),
            only_for=found.by if alone else None,
        )
        self._world.add(said)
        if not alone:
            self._announce(said)
        return said


def _choices(value: object) -> list[Json]:
    if not isinstance(value, list) or len(value) > 25:
        raise invalid("data.choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for index, choice in enumerate(value):
        for name in ("name", "value"):
            text = choice.get(name)
            if not isinstance(text, str) or not 1 <= len(text) <= 100:
                where = f"data.choices.{index}.{name}"
                raise invalid(where, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    return value
