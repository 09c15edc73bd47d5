"""REST: answers to interactions, which go by the interaction's own token."""

from __future__ import annotations

from collections.abc import Mapping

from tests.emulators.discord.call import Call, Route
from tests.emulators.discord.refusals import Json


def _answer(call: Call) -> Json:
    return call.interactions.answer(call.number(0), call.ids[1], call.body)


def _follow_up(call: Call) -> Json:
    return call.interactions.follow_up(call.ids[1], call.body)


def _edit_original(call: Call) -> Json:
    return call.interactions.edit_original(call.ids[1], call.body)


def _original(call: Call) -> Json:
    return call.interactions.original(call.ids[1])


def _delete_original(call: Call) -> None:
    call.interactions.delete_original(call.ids[1])


ROUTES: Mapping[str, Route] = {
    "POST /interactions/{}/{}/callback": _answer,
    "POST /webhooks/{}/{}": _follow_up,
    "GET /webhooks/{}/{}/messages/@original": _original,
    "PATCH /webhooks/{}/{}/messages/@original": _edit_original,
    "DELETE /webhooks/{}/{}/messages/@original": _delete_original,
}
