"""People, and where a request came from."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["viewer", "prompter", "approver", "admin"]

ROLES: tuple[Role, ...] = ("viewer", "prompter", "approver", "admin")
"""Roles, weakest first: each may do all that the ones before it may."""


class Declared(BaseModel):
    """Base of everything that travels: frozen, and an undeclared field is an error at construction."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Person(Declared):
    """Someone as an event remembers them: who they were when it happened.

    `id` is Bellhop's own id of the person, the same on every platform once their accounts are linked.
    `email` is used for commit authorship; None means a no-reply address is made from the id.
    """

    id: str
    name: str
    email: str | None = None
    forge_login: str | None = None

    @property
    def commit_email(self) -> str:
        """The address that commits of this person carry."""
        return self.email or f"{self.id}@users.noreply.bellhop.invalid"


class Identity(Declared):
    """An account of a person on one platform, as the platform tells it.

    `guest` is True for restricted and shared-channel accounts: they may watch, nothing more.
    """

    platform: str
    workspace: str
    account: str
    name: str
    email: str | None = None
    guest: bool = False

    @property
    def key(self) -> str:
        """The identity's unique key, `platform:workspace:account`."""
        return f"{self.platform}:{self.workspace}:{self.account}"


class Origin(Declared):
    """Where a session lives in chat: answers and cards go there.

    `thread` is the platform's id of the thread; `message` the message that started the session.
    A session begun on the companion page has platform `web` and empty channel, thread and message. `trigger`
    names the automation that started it; empty where a person did.
    """

    platform: str
    workspace: str = ""
    channel: str = ""
    channel_name: str = ""
    channel_topic: str = ""
    thread: str = ""
    message: str = ""
    trigger: str = ""


class ThreadLine(Declared):
    """One earlier message of the thread, handed on as context."""

    author: str
    text: str
    from_bot: bool = False


class Attachment(Declared):
    """A file that came with a message.

    `text` holds the content of text files (cut at 100,000 characters); `image_data_url` a `data:` URL of an
    image for the model; both None means that the file is named to the agent but its content is not handed on.
    """

    name: str
    media_type: str
    size_bytes: int
    text: str | None = None
    image_data_url: str | None = None


class Prompt(Declared):
    """What somebody asked for, before it has a place in a session's line.

    `context` is the thread so far, oldest first. `message` is the platform's id of the message it came from,
    so that reactions on it are understood. `repository` names the repository outright when the person did so
    in a form field or with a leading `!repo`; `model` likewise. `steer` asks for delivery at the next tool
    boundary instead of after the running turn.
    """

    id: str
    text: str
    author: Person
    context: tuple[ThreadLine, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    message: str = ""
    repository: str | None = None
    branch: str | None = None
    model: str | None = None
    steer: bool = False
