"""The REST endpoints the emulated GitHub has. One that is not here is a violation when it is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.emulators.github import repositories
from tests.emulators.github.access import Access, Actor, Refused
from tests.emulators.github.shapes import Shapes
from tests.emulators.github.state import Repository, World, stamp

Answer = tuple[int, Any]

REPO = "/repos/{owner}/{repo}"


@dataclass(frozen=True)
class Call:
    """A request that GitHub's description allows."""

    actor: Actor
    path: dict[str, str]
    query: dict[str, str]
    body: Any

    @property
    def slug(self) -> str:
        return f"{self.path['owner']}/{self.path['repo']}"


Handler = Callable[[Call], Awaitable[Answer]]


class GeneralEndpoints:
    """The App, tokens, people, repositories, refs and checks."""

    def __init__(self, world: World, access: Access, shapes: Shapes) -> None:
        self._world = world
        self._access = access
        self._shapes = shapes

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/app"): self.get_app,
            ("GET", f"{REPO}/installation"): self.get_installation,
            ("POST", "/app/installations/{installation_id}/access_tokens"): self.create_token,
            ("GET", "/rate_limit"): self.get_rate_limit,
            ("GET", "/user"): self.get_user,
            ("GET", REPO): self.get_repository,
            ("GET", f"{REPO}/collaborators/{{username}}/permission"): self.get_permission,
            ("GET", f"{REPO}/git/ref/{{ref}}"): self.get_reference,
            ("GET", f"{REPO}/commits/{{ref}}/check-runs"): self.list_check_runs,
        }

    async def get_app(self, call: Call) -> Answer:
        self._access.require_app(call.actor)
        return 200, self._shapes.app_itself(next(iter(self._world.users.values())))

    async def get_installation(self, call: Call) -> Answer:
        self._access.require_app(call.actor)
        repository = self._world.repositories.get(call.slug.lower())
        if repository is None or not repository.installed:
            raise Refused(404, "Not Found")
        # An owner has one installation, of the same number.
        return 200, self._shapes.installation(repository.owner, repository.owner.id)

    async def create_token(self, call: Call) -> Answer:
        self._access.require_app(call.actor)
        wanted = int(call.path["installation_id"])
        owner = next((user for user in self._world.users.values() if user.id == wanted), None)
        if owner is None:
            raise Refused(404, "Not Found")
        body = call.body or {}
        token = self._access.installation_token(owner, body.get("repositories"), body.get("permissions"))
        return 201, {
            "token": token.value,
            "expires_at": stamp(token.expires_at),
            "permissions": token.permissions,
            "repository_selection": "selected",
        }

    async def get_rate_limit(self, call: Call) -> Answer:
        limit = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 1900000000}
        return 200, {"resources": {"core": limit, "search": limit}, "rate": limit}

    async def get_user(self, call: Call) -> Answer:
        return 200, self._shapes.own_user(self._access.require_person(call.actor))

    async def get_repository(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, "metadata", "read")
        return 200, self._shapes.full_repository(repository)

    async def get_permission(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, "metadata", "read")
        user = self._world.users.get(call.path["username"].lower())
        if user is None:
            raise Refused(404, f"{call.path['username']} is not a user")
        level = repository.level(user.login)
        answer: dict[str, Any] = {"permission": level, "role_name": level, "user": None}
        if level != "none":
            answer["user"] = {**self._shapes.user(user), "role_name": level}
        return 200, answer

    async def get_reference(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, "contents", "read")
        name = f"refs/{call.path['ref']}"
        sha = await repositories.git(repository.path, "rev-parse", "--verify", "--quiet", name)
        if sha is None:
            raise Refused(404, "Not Found")
        url = f"{self._shapes.api_url}/repos/{repository.slug}/git"
        pointed = {"type": "commit", "sha": sha, "url": f"{url}/commits/{sha}"}
        return 200, {"ref": name, "node_id": f"REF_{sha[:8]}", "url": f"{url}/{name}", "object": pointed}

    async def list_check_runs(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, "checks", "read")
        sha = await self._commit(repository, call.path["ref"])
        runs = [run for run in repository.check_runs if run.head_sha == sha]
        shown = [self._shapes.check_run(repository, run) for run in runs]
        return 200, {"total_count": len(shown), "check_runs": shown}

    async def _commit(self, repository: Repository, reference: str) -> str:
        sha = await repositories.git(
            repository.path, "rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}"
        )
        if sha is None:
            raise Refused(422, f"No commit found for SHA: {reference}")
        return sha
