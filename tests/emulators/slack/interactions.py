"""What people do with buttons, menus, modals, shortcuts and slash commands, in Slack's payloads."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping

from tests.emulators.slack.deliveries import Deliveries
from tests.emulators.slack.limits import TEXT_CHARS, check_blocks, elements_of
from tests.emulators.slack.method_rules import COMMANDS_SCOPE
from tests.emulators.slack.payloads import DOMAIN, message_payload, person_payload, team_payload
from tests.emulators.slack.refusals import Json, Refused
from tests.emulators.slack.rendering import label_of
from tests.emulators.slack.views import View, Views
from tests.emulators.slack.workspace import APP_ID, Channel, Message, User, Workspace

COMMAND_FORM = re.compile(r"/[a-z0-9_.-]{1,31}")

Place = Message | View
"""Where buttons and menus are found."""


class NotOffered(AssertionError):
    """The workspace did not grant `commands`, so Slack shows nobody a command or a shortcut of the app."""


class Interactions:
    """The hands of one person. `scopes`: what the workspace granted the app."""

    def __init__(
        self,
        user: User,
        workspace: Workspace,
        deliveries: Deliveries,
        views: Views,
        base_url: str,
        scopes: frozenset[str],
    ) -> None:
        self._user = user
        self._workspace = workspace
        self._deliveries = deliveries
        self._views = views
        self._base_url = base_url
        self._scopes = scopes

    async def press(self, place: Place, button: str) -> None:
        """Press a button."""
        block, element = _element(place, button, "button")
        action = {"type": "button", "text": element["text"], "value": element.get("value", "")}
        await self._act(place, block, element, action)

    async def pick(self, place: Place, menu: str, option: str) -> None:
        """Pick one option of a menu."""
        block, element = _element(place, menu)
        if element["type"] == "external_select":
            options = await self.search(place, menu, option)
        else:
            options = list(_options(element))
        chosen = _option(options, option)
        await self._act(place, block, element, {"type": element["type"], "selected_option": chosen})

    async def search(self, place: Place, menu: str, query: str) -> list[Json]:
        """Type into an external menu."""
        block, element = _element(place, menu)
        payload = {
            **self._base("block_suggestion"),
            **self._where(place),
            "action_id": element["action_id"],
            "block_id": block.get("block_id", ""),
            "value": query,
        }
        answer = await self._deliveries.interaction("interactive", payload) or {}
        return list(_options(answer))

    async def submit(self, view: View, values: Mapping[str, str]) -> dict[str, str]:
        """Submit a modal."""
        payload = view.payload()
        payload["state"] = {"values": await self._state(view, values)}
        trigger = self._views.new_trigger(self._user)
        submission = {**self._base("view_submission"), "trigger_id": trigger, "view": payload}
        answer = await self._deliveries.interaction("interactive", submission)
        action = (answer or {}).get("response_action")
        if action == "errors":
            assert answer is not None
            return dict(answer["errors"])
        if action == "update":
            assert answer is not None
            self._views.update(view.id, answer["view"])
        else:
            self._views.close(view)
        return {}

    async def shortcut(self, message: Message, callback_id: str) -> None:
        """Choose a message shortcut. Raises: NotOffered."""
        self._need_commands(callback_id)
        payload = {
            **self._base("message_action"),
            "callback_id": callback_id,
            "trigger_id": self._views.new_trigger(self._user),
            "response_url": self._response_url(message.channel, message),
            "message_ts": message.ts,
            "action_ts": self._workspace.new_ts(),
            "channel": _channel(message.channel),
            "message": message_payload(message),
        }
        await self._deliveries.interaction("interactive", payload)

    async def command(self, channel: Channel, command: str, text: str) -> Json | None:
        """Type a slash command. What the app answers at once is checked as Slack would.

        Raises:
            NotOffered: the workspace has no such command.
            Refused: the answer is none that Slack would show.
        """
        self._need_commands(command)
        assert COMMAND_FORM.fullmatch(command), f"{command} cannot be the name of a command"
        payload = {
            "token": "legacy-verification-token",
            "team_id": self._workspace.team_id,
            "team_domain": DOMAIN,
            "channel_id": channel.id,
            "channel_name": "privategroup" if channel.kind == "group" else _channel(channel)["name"],
            "user_id": self._user.id,
            "user_name": self._user.name.lower(),
            "command": command,
            "text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "response_url": self._response_url(channel, None),
            "trigger_id": self._views.new_trigger(self._user),
        }
        return _shown(await self._deliveries.interaction("slash_commands", payload))

    def _need_commands(self, name: str) -> None:
        if COMMANDS_SCOPE not in self._scopes:
            raise NotOffered(f"{name} is not there: the app lacks the scope {COMMANDS_SCOPE}")

    async def _act(self, place: Place, block: Json, element: Json, action: Json) -> None:
        shared = {
            "action_id": element.get("action_id", ""),
            "block_id": block.get("block_id", "generated"),
            "action_ts": self._workspace.new_ts(),
        }
        payload = {
            **self._base("block_actions"),
            **self._where(place),
            "trigger_id": self._views.new_trigger(self._user),
            "state": {"values": {}},
            "actions": [{**shared, **action}],
        }
        await self._deliveries.interaction("interactive", payload)

    async def _state(self, view: View, values: Mapping[str, str]) -> Json:
        unknown = set(values) - {element.get("action_id") for element in elements_of(view.blocks)}
        assert not unknown, f"the modal has no inputs {sorted(unknown)}"
        state: Json = {}
        for block in view.blocks:
            for element in elements_of([block]):
                name = str(element.get("action_id", ""))
                missing = block["type"] == "input" and not block.get("optional") and not values.get(name)
                assert not missing, f"Slack does not submit the modal without {name}"
                if name in values:
                    filled = await self._filled(view, element, values[name])
                    state.setdefault(block.get("block_id", "generated"), {})[name] = filled
        return state

    async def _filled(self, view: View, element: Json, value: str) -> Json:
        if not element["type"].endswith("select"):
            return {"type": element["type"], "value": value}
        if element["type"] == "external_select":
            offered = await self.search(view, element["action_id"], value)
        else:
            offered = list(_options(element))
        return {"type": element["type"], "selected_option": _option(offered, value)}

    def _base(self, kind: str) -> Json:
        return {
            "type": kind,
            "user": person_payload(self._user),
            "api_app_id": APP_ID,
            "token": "legacy-verification-token",
            "team": team_payload(self._workspace.team_id),
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _where(self, place: Place) -> Json:
        if isinstance(place, View):
            return {"container": {"type": "view", "view_id": place.id}, "view": place.payload()}
        hidden = place.ephemeral_for is not None
        assert place.ephemeral_for in (None, self._user.id), f"{self._user.name} cannot see that message"
        container: Json = {
            "type": "message",
            "message_ts": place.ts,
            "channel_id": place.channel.id,
            "is_ephemeral": hidden,
        }
        if place.thread_ts:
            container["thread_ts"] = place.thread_ts
        where = {
            "container": container,
            "channel": _channel(place.channel),
            "response_url": self._response_url(place.channel, place),
        }
        return where if hidden else {**where, "message": message_payload(place)}

    def _response_url(self, channel: Channel, message: Message | None) -> str:
        ticket = secrets.token_hex(8)
        self._workspace.response_tickets[ticket] = (self._user, channel, message)
        return f"{self._base_url}/response/{ticket}"


def _shown(answer: Json | None) -> Json | None:
    """An answer to a slash command, if Slack would show it."""
    if not answer:
        return None
    if answer.get("response_type", "ephemeral") not in ("ephemeral", "in_channel"):
        raise Refused("invalid_response_type", str(answer["response_type"]))
    if answer.get("blocks"):
        check_blocks(answer["blocks"])
    elif not answer.get("text") or len(answer["text"]) > TEXT_CHARS:
        raise Refused("no_text", f"an answer has 1 to {TEXT_CHARS} characters")
    return answer


def _channel(channel: Channel) -> Json:
    return {"id": channel.id, "name": "directmessage" if channel.kind == "im" else channel.name}


def _element(place: Place, wanted: str, kind: str | None = None) -> tuple[Json, Json]:
    seen: list[str] = []
    for block in place.blocks:
        for element in elements_of([block]):
            names = (element.get("action_id"), element.get("value"), label_of(element), block.get("block_id"))
            if wanted in names and kind in (None, element["type"]):
                return block, element
            seen.append(f"{label_of(element)} ({element.get('action_id')})")
    raise AssertionError(f"there is no {wanted!r} to press or pick; there are: {', '.join(seen) or 'none'}")


def _options(element: Json) -> Iterator[Json]:
    for group in element.get("option_groups") or [element]:
        yield from group.get("options", [])


def _option(options: list[Json], wanted: str) -> Json:
    for option in options:
        if wanted in (option["value"], option["text"]["text"]):
            return option
    raise AssertionError(f"{wanted!r} is not offered; there are: {[option['value'] for option in options]}")
