"""What the emulated GitHub remembers: people, repositories, pull requests, tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

Level = Literal["none", "read", "write", "admin"]
RANK: dict[str, int] = {"none": 0, "read": 1, "write": 2, "admin": 3}


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime | None = None) -> str:
    """The moment (now, if None) as GitHub writes it."""
    return (moment or now()).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class User:
    """An account; `type` is `User` or `Organization`, or `Bot` for the App itself."""

    id: int
    login: str
    type: str = "User"


@dataclass
class Review:
    """A review of a pull request."""

    id: int
    author: User
    state: str
    body: str
    commit_id: str


@dataclass
class Comment:
    """A comment in a pull request's conversation."""

    id: int
    author: User
    body: str
    created_at: str = field(default_factory=stamp)


@dataclass
class CheckRun:
    """A check on a commit."""

    id: int
    name: str
    head_sha: str
    status: str
    conclusion: str | None


@dataclass
class Pull:
    """A pull request."""

    number: int
    title: str
    body: str | None
    branch: str
    base: str
    head_sha: str
    base_sha: str
    author: User
    draft: bool
    state: Literal["open", "closed"] = "open"
    created_at: str = field(default_factory=stamp)
    updated_at: str = field(default_factory=stamp)
    closed_at: str | None = None
    merged_at: str | None = None
    merged_by: User | None = None
    merge_commit_sha: str | None = None
    reviews: list[Review] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)


@dataclass
class Repository:
    """A repository: bare at `path`; `installed` says whether the App may use it."""

    id: int
    slug: str
    path: Path
    default_branch: str
    owner: User
    private: bool = True
    installed: bool = True
    required_approvals: int = 0
    allowed_merges: tuple[str, ...] = ("merge", "squash", "rebase")
    people: dict[str, Level] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    check_runs: list[CheckRun] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.slug.split("/")[1]

    def level(self, login: str) -> Level:
        """What someone may do here."""
        return self.people.get(login.lower(), "none" if self.private else "read")


@dataclass
class Token:
    """An access token. `repositories` is None when it is not limited to some; `user` is None for the App."""

    value: str
    user: User | None
    permissions: dict[str, str]
    repositories: frozenset[str] | None
    expires_at: datetime
    revoked: bool = False

    @property
    def alive(self) -> bool:
        return not self.revoked and self.expires_at > now()


@dataclass
class RefreshToken:
    """A refresh token; it works once."""

    value: str
    user: User
    spent: bool = False


@dataclass
class SignInCode:
    """A code given out by the authorize page; it works once, for ten minutes."""

    user: User
    redirect_uri: str
    code_challenge: str | None
    expires_at: datetime = field(default_factory=lambda: now() + timedelta(minutes=10))
    spent: bool = False


@dataclass
class App:
    """The GitHub App under test; `permissions` is what its owner granted it."""

    id: int
    slug: str
    client_id: str
    client_secret: str
    private_key: str
    public_key: str
    webhook_secret: str
    permissions: dict[str, str]


@dataclass
class World:
    """Everything there is."""

    app: App
    users: dict[str, User] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    codes: dict[str, SignInCode] = field(default_factory=dict)
    last_id: int = 1000

    def next_id(self) -> int:
        """A number not used before."""
        self.last_id += 1
        return self.last_id
