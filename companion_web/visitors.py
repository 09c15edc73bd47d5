"""Who looks at the page: the signed cookie of a sign-in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TypeVar

from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from companion_web.security import CsrfTokens, derive_key
from session.directory import Directory
from session.people import Declared, Person, Role

SIGN_IN_SECONDS = 14 * 24 * 3600
"""How long a sign-in holds."""

FLOW_SECONDS = 600
"""How long somebody may take on GitHub's sign-in page."""

T = TypeVar("T", bound=Declared)


class _SignIn(Declared):
    person_id: str
    sign_in_id: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person and their role now; `sign_in_id` is what CSRF tokens are bound to."""

    person: Person
    role: Role
    sign_in_id: str


class SignedCookie:
    """A cookie whose content nobody but this process's key can make.

    On https the name begins with `__Host-`, so that no other host or path can set it.
    """

    def __init__(self, name: str, secret_key: str, max_age_seconds: int, https: bool) -> None:
        self._name = f"__Host-{name}" if https else name
        self._https = https
        self._max_age = max_age_seconds
        self._serializer = URLSafeTimedSerializer(derive_key(secret_key, f"cookie:{name}"))

    def set(self, response: Response, content: Declared) -> None:
        """Have the browser keep it."""
        value = self._serializer.dumps(content.model_dump())
        response.set_cookie(
            self._name,
            value if isinstance(value, str) else value.decode(),
            max_age=self._max_age,
            path="/",
            secure=self._https,
            httponly=True,
            samesite="lax",
        )

    def read(self, request: Request, kind: type[T]) -> T | None:
        """What the browser sent back, when it is ours and in time."""
        raw = request.cookies.get(self._name)
        if raw is None:
            return None
        try:
            return kind.model_validate(self._serializer.loads(raw, max_age=self._max_age))
        except (BadSignature, ValidationError):
            return None

    def clear(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self._name, path="/", secure=self._https, httponly=True, samesite="lax")


class Visitors:
    """Signs people in and knows them again."""

    def __init__(self, directory: Directory, secret_key: str, public_url: str) -> None:
        self._directory = directory
        https = public_url.startswith("https://")
        self._cookie = SignedCookie("bellhop", secret_key, SIGN_IN_SECONDS, https)
        self.csrf = CsrfTokens(derive_key(secret_key, "csrf"))

    def sign_in(self, response: Response, person: Person) -> None:
        """From this response on, the browser is that person's."""
        self._cookie.set(response, _SignIn(person_id=person.id, sign_in_id=secrets.token_urlsafe(12)))

    def sign_out(self, response: Response) -> None:
        """The browser is nobody's again."""
        self._cookie.clear(response)

    async def of(self, request: Request) -> Visitor | None:
        """Who made the request, if they are signed in and still known."""
        sign_in = self._cookie.read(request, _SignIn)
        if sign_in is None:
            return None
        person = await self._directory.person(sign_in.person_id)
        if person is None:
            return None
        return Visitor(person, await self._directory.role(person.id), sign_in.sign_in_id)
