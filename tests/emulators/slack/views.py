"""Modals and home tabs, and the trigger ids that allow them to be opened."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.emulators.slack.limits import VIEW_BLOCKS, check_blocks
from tests.emulators.slack.refusals import Json, Refused
from tests.emulators.slack.workspace import APP_ID, BOT_ID, User, Workspace

TRIGGER_SECONDS = 60.0
"""With Slack they are three; here the machine may be busy with other tests."""


@dataclass(eq=False, slots=True)
class View:
    """A modal or a home tab as one person has it before them."""

    id: str
    user: User
    content: Json
    version: int = 0

    @property
    def hash(self) -> str:
        """Another one after each change."""
        return f"{self.version}.{self.id}"

    @property
    def blocks(self) -> list[Json]:
        """What it is made of."""
        blocks: list[Json] = self.content["blocks"]
        return blocks

    def payload(self) -> Json:
        """The view as interactions carry it."""
        return {
            **self.content,
            "id": self.id,
            "team_id": self.user.home,
            "app_id": APP_ID,
            "bot_id": BOT_ID,
            "root_view_id": self.id,
            "hash": self.hash,
            "private_metadata": self.content.get("private_metadata", ""),
            "callback_id": self.content.get("callback_id", ""),
            "state": {"values": {}},
        }


class Views:
    """The views of a workspace: a stack of modals and a home tab for each person."""

    def __init__(self, workspace: Workspace, trigger_seconds: float = TRIGGER_SECONDS) -> None:
        self._workspace = workspace
        self._trigger_seconds = trigger_seconds
        self._triggers: dict[str, tuple[User, float]] = {}
        self._exchanged: set[str] = set()
        self.modals: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}

    def new_trigger(self, user: User) -> str:
        """A trigger id that allows one view within its time."""
        trigger = self._workspace.new_id("trigger.")
        self._triggers[trigger] = (user, time.monotonic())
        return trigger

    def open(self, trigger: str, content: object) -> View:
        """A modal for the person whose action gave `trigger`.

        Raises:
            Refused: the trigger is unknown, used or too old, or the view is malformed.
        """
        if trigger in self._exchanged:
            raise Refused("exchanged_trigger_id")
        if trigger not in self._triggers:
            raise Refused("invalid_trigger_id")
        user, given_at = self._triggers[trigger]
        if time.monotonic() - given_at > self._trigger_seconds:
            raise Refused("expired_trigger_id")
        self._exchanged.add(trigger)
        view = View(self._workspace.new_id("V"), user, check_view(content, "modal"))
        self.modals.setdefault(user.id, []).append(view)
        self._workspace.watch.changed()
        return view

    def update(self, view_id: str, content: object, seen: object = None) -> View:
        """Another content for a modal that is open.

        Raises:
            Refused: there is none, the view is malformed, or `seen` is not the hash of what it shows now.
        """
        for view in (view for stack in self.modals.values() for view in stack):
            if view.id == view_id:
                return self._change(view, check_view(content, "modal"), seen)
        raise Refused("view_not_found")

    def publish(self, user_id: str, content: object, seen: object = None) -> View:
        """The home tab of one person.

        Raises:
            Refused: there is nobody, the view is malformed, or `seen` is not the hash of what they see now.
        """
        if user_id not in self._workspace.users:
            raise Refused("user_not_found")
        checked = check_view(content, "home")
        if user_id in self.homes:
            return self._change(self.homes[user_id], checked, seen)
        view = View(self._workspace.new_id("V"), self._workspace.users[user_id], checked)
        self.homes[user_id] = view
        self._workspace.watch.changed()
        return view

    def _change(self, view: View, content: Json, seen: object) -> View:
        if seen is not None and seen != view.hash:
            raise Refused("hash_conflict")
        view.content = content
        view.version += 1
        self._workspace.watch.changed()
        return view

    def close(self, view: View) -> None:
        """The person has the modal no longer before them."""
        self.modals[view.user.id].remove(view)
        self._workspace.watch.changed()


def check_view(content: object, kind: str) -> Json:
    """`content`, if Slack would take it as a view of that kind.

    Raises:
        Refused: it would not.
    """
    if not isinstance(content, dict) or content.get("type") != kind:
        raise Refused("invalid_arguments", f"a view of type {kind} is needed")
    if kind == "modal":
        for name, needed in (("title", True), ("submit", False), ("close", False)):
            _check_title(content.get(name), name, needed)
    for name, most in (("callback_id", 255), ("private_metadata", 3_000), ("external_id", 255)):
        if len(content.get(name) or "") > most:
            raise Refused("invalid_arguments", f"{name} must be no more than {most} characters")
    check_blocks(content.get("blocks"), VIEW_BLOCKS)
    if kind == "home" and any(block["type"] == "input" for block in content["blocks"]):
        raise Refused("invalid_arguments", "a home tab has no form to submit, so it takes no input blocks")
    if kind == "modal" and any(b["type"] == "input" for b in content["blocks"]) and "submit" not in content:
        raise Refused("invalid_arguments", "a view with input blocks needs `submit`")
    return content


def _check_title(text: object, name: str, needed: bool) -> None:
    if text is None and not needed:
        return
    words = text.get("text") if isinstance(text, dict) and text.get("type") == "plain_text" else None
    if not isinstance(words, str) or not 1 <= len(words) <= 24:
        raise Refused("invalid_arguments", f"{name} must be a plain text of 1 to 24 characters")
