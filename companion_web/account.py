"""The account page: who somebody is here, their accounts elsewhere, and what they prefer."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from companion_web.door import Door, Form
from companion_web.fragments import Fragments
from companion_web.visitors import Visitor
from companion_web.wording import VERBOSITY_WORDS
from session.broker import BrokerDown, BrokerRefused
from session.broker_accounts import GitHubAccounts
from session.directory import LINK_PURPOSE, Directory
from session.preferences import PreferenceBook
from session.settings import Settings

CODE_MINUTES = 10


class AccountPage:
    """Shows a person's accounts and preferences, and gives a code that links a chat account.

    The code goes from the page to the chat, where the platform vouches for who sends it: a link from the chat
    to the page would have to carry the secret itself.
    """

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        accounts: GitHubAccounts,
        preferences: PreferenceBook,
        fragments: Fragments,
        door: Door,
    ) -> None:
        self._github = bool(settings.github_client_id)
        self._directory = directory
        self._accounts = accounts
        self._preferences = preferences
        self._fragments = fragments
        self._door = door

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route("/account", self._door.page(self.show), methods=["GET"]),
            Route("/account/code", self._door.action(self.give_code, self.refused), methods=["POST"]),
            Route("/account/preferences", self._door.action(self.prefer, self.refused), methods=["POST"]),
            Route("/account/branches", self._door.action(self.set_branch, self.refused), methods=["POST"]),
            Route("/account/unlink", self._door.action(self.unlink, self.refused), methods=["POST"]),
        ]

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """The page."""
        return await self._page(request, visitor)

    async def give_code(self, request: Request, visitor: Visitor, form: Form) -> Response:
        """The page with a code that works once."""
        code = await self._directory.issue_ticket(LINK_PURPOSE, visitor.person.id, CODE_MINUTES * 60)
        return await self._page(request, visitor, code=code)

    async def unlink(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Nothing is done in the person's name on GitHub any more; they may still sign in with it."""
        await self._accounts.unlink(visitor.person.id)
        return "/account"

    async def prefer(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Model and verbosity, as far as they are others than before."""
        book, person = self._preferences, visitor.person
        now = await book.of(person.id)
        model, verbosity = form.text("model") or None, form.text("verbosity") or None
        if model != now.model:
            await book.set_model(person, model, through="web")
        if verbosity != now.verbosity:
            await book.set_verbosity(person, verbosity, through="web")
        return "/account#preferences"

    async def set_branch(self, request: Request, visitor: Visitor, form: Form) -> str:
        """The branch that the person's work in a repository starts from; none: the repository's own."""
        repository, branch = form.text("repository"), form.text("branch") or None
        await self._preferences.set_branch(visitor.person, repository, branch, through="web")
        return "/account#preferences"

    async def refused(
        self, request: Request, visitor: Visitor, form: Form, sentence: str, status: int
    ) -> Response:
        """The page with a sentence."""
        return await self._page(request, visitor, said=sentence, status=status)

    async def _page(
        self, request: Request, visitor: Visitor, *, code: str = "", said: str = "", status: int = 200
    ) -> Response:
        login, trouble = await self._linked(visitor)
        html = self._fragments.page(
            "account.html",
            **{
                **self._door.context(request, visitor),
                "role": visitor.role,
                "identities": await self._directory.identities(visitor.person.id),
                "preferred": await self._preferences.of(visitor.person.id),
                "models": self._preferences.models,
                "verbosities": VERBOSITY_WORDS,
                "github": self._github,
                "login": login,
                "trouble": trouble,
                "code": code,
                "minutes": CODE_MINUTES,
                "said": said,
            },
        )
        return HTMLResponse(html, status)

    async def _linked(self, visitor: Visitor) -> tuple[str | None, str]:
        """The linked login, and why it is not known."""
        if not self._github:
            return None, ""
        try:
            return await self._accounts.linked(visitor.person.id), ""
        except (BrokerDown, BrokerRefused) as error:
            return None, str(error)
