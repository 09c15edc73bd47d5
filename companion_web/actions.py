"""What people do on the pages: each form becomes one command of the session room."""

from __future__ import annotations

import secrets
from typing import Literal
from urllib.parse import quote

from starlette.requests import Request
from starlette.routing import Route

from companion_web.door import Door, Form, RefusalPage
from companion_web.visitors import Visitor
from session.catalogue import Catalogue, UnknownRepository
from session.commands import Commands
from session.people import Origin, Prompt
from session.refusals import NotFound, NotNow
from session.warming import Warming

MAX_PROMPT_CHARACTERS = 50_000


def new_prompt(text: str, visitor: Visitor, *, repository: str | None = None, steer: bool = False) -> Prompt:
    """A prompt of that person. Raises: NotNow, when the text is empty or too long."""
    if not text:
        raise NotNow("That is empty. Say what should be done.")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise NotNow(f"That is longer than {MAX_PROMPT_CHARACTERS:,} characters; please shorten it.")
    return Prompt(
        id=secrets.token_hex(8), text=text, author=visitor.person, repository=repository, steer=steer
    )


class Actions:
    """The forms of the list and of a session's page."""

    def __init__(self, commands: Commands, catalogue: Catalogue, warming: Warming) -> None:
        self._commands = commands
        self._catalogue = catalogue
        self._warming = warming

    def routes(self, door: Door, refused: RefusalPage, refused_on_list: RefusalPage) -> list[Route]:
        """Where the forms go. refused: shows a session's page with a sentence; refused_on_list: the list."""
        handlers = {
            "/prompts": self.prompt,
            "/prompts/{prompt_id}/edit": self.edit,
            "/prompts/{prompt_id}/cancel": self.cancel,
            "/prompts/{prompt_id}/steer": self.steer,
            "/approvals/{approval_id}/approve": self.approve,
            "/approvals/{approval_id}/refuse": self.refuse,
            "/approvals/{approval_id}/withdraw": self.withdraw,
            "/questions/{question_id}": self.answer,
            "/repository": self.pick_repository,
            "/each": self.each,
            "/feedback": self.feedback,
            "/stop": self.stop,
            "/retry": self.retry,
            "/archive": self.archive,
        }
        return [
            Route("/warm", door.action(self.warm, refused_on_list), methods=["POST"]),
            Route("/sessions", door.action(self.open_session, refused_on_list), methods=["POST"]),
            *(
                Route(f"/s/{{session_id}}{path}", door.action(handler, refused), methods=["POST"])
                for path, handler in handlers.items()
            ),
        ]

    async def open_session(self, request: Request, visitor: Visitor, form: Form) -> str:
        """A new session; the browser goes to its page."""
        slug = self._slug(form.text("repository")) if form.text("repository") else None
        prompt = new_prompt(form.text("text"), visitor, repository=slug)
        view = await self._commands.open_session(prompt, Origin(platform="web"))
        return f"/s/{quote(view.id)}"

    async def warm(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Somebody opened the prompt box: a sandbox waits for the repository that is chosen there."""
        await self._warming.for_person(visitor.person.id, form.text("repository"))
        return "/"

    async def prompt(self, request: Request, visitor: Visitor, form: Form) -> str:
        """A follow-up."""
        prompt = new_prompt(form.text("text"), visitor, steer=bool(form.text("steer")))
        await self._commands.add_prompt(_session(request), prompt)
        return _page(request)

    async def edit(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Rewords a waiting prompt."""
        prompt_id = request.path_params["prompt_id"]
        text = new_prompt(form.text(f"text-{prompt_id}"), visitor).text
        await self._commands.edit_prompt(_session(request), prompt_id, text, visitor.person)
        return _page(request)

    async def cancel(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Takes a waiting prompt back."""
        prompt_id = request.path_params["prompt_id"]
        await self._commands.cancel_prompt(_session(request), prompt_id, visitor.person)
        return _page(request)

    async def steer(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Hands a waiting prompt over at the agent's next step."""
        prompt_id = request.path_params["prompt_id"]
        await self._commands.steer_prompt(_session(request), prompt_id, visitor.person)
        return _page(request)

    async def approve(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Yes to exactly what the button's page showed."""
        approval_id, digest = request.path_params["approval_id"], form.text("digest")
        if not digest:
            raise NotNow("The page did not say what is approved. Reload it and try again.")
        await self._commands.approve(_session(request), approval_id, visitor.person, digest=digest)
        return _page(request)

    async def refuse(self, request: Request, visitor: Visitor, form: Form) -> str:
        """No."""
        await self._commands.refuse(_session(request), request.path_params["approval_id"], visitor.person)
        return _page(request)

    async def withdraw(self, request: Request, visitor: Visitor, form: Form) -> str:
        """An own yes, taken back."""
        await self._commands.withdraw(_session(request), request.path_params["approval_id"], visitor.person)
        return _page(request)

    async def answer(self, request: Request, visitor: Visitor, form: Form) -> str:
        """The answer to what the agent asked: an option's button, or the typed text."""
        text = form.text("option") or form.text("answer")
        if not text:
            raise NotNow("Your answer is empty. Write one first.")
        question_id = request.path_params["question_id"]
        await self._commands.answer_question(_session(request), question_id, text, visitor.person)
        return _page(request)

    async def pick_repository(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Which repository is meant: a candidate's button, or one of all."""
        slug = form.text("slug") or form.text("other")
        if not slug:
            raise NotNow("Choose a repository first.")
        await self._commands.pick_repository(_session(request), self._slug(slug), visitor.person)
        return _page(request)

    async def each(self, request: Request, visitor: Visitor, form: Form) -> str:
        """A session for each of the repositories that the button's page showed."""
        await self._commands.request_each(_session(request), form.text("shown"), visitor.person)
        return _page(request)

    async def feedback(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Whether the answer was good."""
        verdict: Literal["good", "bad"] = "good" if form.text("verdict") == "good" else "bad"
        await self._commands.give_feedback(_session(request), verdict, visitor.person)
        return _page(request)

    async def stop(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Stops what runs."""
        await self._commands.stop(_session(request), visitor.person)
        return _page(request)

    async def retry(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Tries the last prompt again."""
        await self._commands.retry(_session(request), visitor.person)
        return _page(request)

    async def archive(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Closes the session for good."""
        await self._commands.archive(_session(request), visitor.person)
        return _page(request)

    def _slug(self, asked: str) -> str:
        try:
            return self._catalogue.get(asked).slug
        except UnknownRepository as unknown:
            raise NotFound(unknown.sentence) from unknown


def _session(request: Request) -> str:
    return str(request.path_params["session_id"])


def _page(request: Request) -> str:
    return f"/s/{quote(_session(request))}"
