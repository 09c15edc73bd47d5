"""What a session may do with tool servers, read from the record and the catalogue, not from who asks."""

from __future__ import annotations

from dataclasses import dataclass

from session.catalogue import Catalogue, Repository, UnknownRepository
from session.log import Log, NoSuchSession
from session.view import SessionView


class McpRefused(Exception):
    """The gateway will not do it; the message says why, and can be shown to people."""


@dataclass(frozen=True, slots=True)
class McpSession:
    """A session as of now, and the repository whose servers it may use."""

    view: SessionView
    repository: Repository

    @property
    def actor(self) -> str:
        """Whom the audit names: the broker, for the author of the prompt that is worked on."""
        turn = self.view.turn
        prompt = self.view.prompt(turn.prompt_id) if turn else None
        person = prompt.prompt.author if prompt else self.view.requester
        return f"broker for {person.id}"


async def session_of(log: Log, catalogue: Catalogue, session_id: str) -> McpSession:
    """The session with that id. Raises: McpRefused, DatabaseDown."""
    try:
        view = await log.view(session_id)
    except NoSuchSession as error:
        raise McpRefused(f"There is no session {session_id}.") from error
    if view.repository is None:
        raise McpRefused("The session has no repository yet, so it has no tool servers either.")
    try:
        return McpSession(view, catalogue.get(view.repository.slug))
    except UnknownRepository as error:
        raise McpRefused(error.sentence) from error
