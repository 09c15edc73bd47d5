"""Who is asking, and whether they may: App assertions, installation tokens, people's tokens."""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt

from tests.emulators.github.state import RANK, Repository, Token, User, World, now

MAX_ASSERTION_SECONDS = 600
CLOCK_SKEW_SECONDS = 60
INSTALLATION_TOKEN_SECONDS = 3600
USER_TOKEN_SECONDS = 8 * 3600
LEVELS = {"read": 1, "write": 2, "admin": 3}


class Refused(Exception):
    """An answer other than success, as GitHub words it."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.errors = errors


@dataclass(frozen=True)
class Actor:
    """Who makes a request: `is_app` by assertion, or a token, or nobody."""

    is_app: bool = False
    token: Token | None = None

    @property
    def name(self) -> str:
        if self.is_app:
            return "app"
        if self.token is None:
            return "anonymous"
        return self.token.user.login if self.token.user else "installation"


class Access:
    """GitHub's rules of access over the world's tokens."""

    def __init__(self, world: World) -> None:
        self._world = world

    def actor(self, header: str | None) -> Actor:
        """Who the Authorization header stands for. Raises `Refused` 401 on a bad one."""
        if header is None:
            return Actor()
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "basic":
            value = base64.b64decode(value).decode().partition(":")[2]
        elif scheme.lower() not in ("bearer", "token"):
            raise Refused(401, "Bad credentials")
        if value.startswith("eyJ"):
            self._check_assertion(value)
            return Actor(is_app=True)
        token = self._world.tokens.get(value)
        if token is None or not token.alive:
            raise Refused(401, "Bad credentials")
        return Actor(token=token)

    def _check_assertion(self, assertion: str) -> None:
        try:
            claims = jwt.decode(
                assertion,
                self._world.app.public_key,
                algorithms=["RS256"],
                leeway=CLOCK_SKEW_SECONDS,
                options={"require": ["iat", "exp", "iss"]},
            )
        except jwt.InvalidTokenError as error:
            raise Refused(401, f"A JSON web token could not be decoded ({error})") from error
        if str(claims["iss"]) not in (str(self._world.app.id), self._world.app.client_id):
            raise Refused(401, "'Issuer' claim ('iss') must be an Integer that is the App's id")
        if claims["exp"] - time.time() > MAX_ASSERTION_SECONDS:
            raise Refused(401, "'Expiration time' claim ('exp') is too far in the future")

    def require_app(self, actor: Actor) -> None:
        if not actor.is_app:
            raise Refused(401, "A JSON web token could not be decoded")

    def require_person(self, actor: Actor) -> User:
        if actor.token is None:
            raise Refused(401, "Requires authentication")
        if actor.token.user is None:
            raise Refused(403, "Resource not accessible by integration")
        return actor.token.user

    def repository(self, actor: Actor, slug: str, permission: str, level: str) -> Repository:
        """The repository, if the actor may do that there. Raises `Refused` as GitHub would."""
        repository = self._world.repositories.get(slug.lower())
        if repository is None or actor.is_app:
            raise Refused(404, "Not Found")
        if actor.token is None:
            if repository.private:
                raise Refused(404, "Not Found")
            if level != "read":
                raise Refused(401, "Requires authentication")
            return repository
        self._check_visible(actor.token, repository)
        if LEVELS[level] > LEVELS.get(actor.token.permissions.get(permission, ""), 0):
            raise Refused(403, "Resource not accessible by integration")
        person = actor.token.user
        if person and RANK[repository.level(person.login)] < RANK[level]:
            raise Refused(403, "Must have write access to the repository.")
        return repository

    def _check_visible(self, token: Token, repository: Repository) -> None:
        in_scope = token.repositories is None or repository.slug in token.repositories
        readable = token.user is None or RANK[repository.level(token.user.login)] >= RANK["read"]
        if not (repository.installed and in_scope and readable):
            raise Refused(404, "Not Found")

    def installation_token(
        self, owner: User, names: list[str] | None, permissions: dict[str, str] | None
    ) -> Token:
        """A new token for some repositories of an owner, with no more than the App was granted."""
        installed = {
            repository.name.lower(): repository.slug
            for repository in self._world.repositories.values()
            if repository.owner is owner and repository.installed
        }
        missing = [name for name in names or [] if name.lower() not in installed]
        if missing:
            raise Refused(422, "There is at least one repository that does not exist or is not accessible")
        granted = self._world.app.permissions
        for name, level in (permissions or {}).items():
            if LEVELS[level] > LEVELS.get(granted.get(name, ""), 0):
                raise Refused(422, "The permissions requested are not granted to this installation.")
        chosen = [installed[name.lower()] for name in names] if names else list(installed.values())
        # As long as GitHub's new ones, and with dots, so that nobody counts on the former form.
        value = f"ghs_{secrets.token_urlsafe(120)}.{secrets.token_urlsafe(160)}.{secrets.token_urlsafe(100)}"
        return self._keep(value, None, permissions or granted, frozenset(chosen), INSTALLATION_TOKEN_SECONDS)

    def user_token(self, user: User) -> Token:
        """A new token of a person, with no more than the App was granted."""
        return self._keep(
            f"ghu_{secrets.token_hex(18)}", user, self._world.app.permissions, None, USER_TOKEN_SECONDS
        )

    def _keep(
        self,
        value: str,
        user: User | None,
        permissions: dict[str, str],
        repositories: frozenset[str] | None,
        seconds: int,
    ) -> Token:
        token = Token(value, user, dict(permissions), repositories, now() + timedelta(seconds=seconds))
        self._world.tokens[value] = token
        return token
