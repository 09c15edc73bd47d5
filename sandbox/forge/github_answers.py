"""What is read of GitHub's answers: narrow models, so that what GitHub changes elsewhere is no concern."""

from __future__ import annotations

from pydantic import BaseModel, RootModel

from sandbox.forge.protocol import Permission, PullRequestRef, PullRequestState


class User(BaseModel):
    login: str


class Side(BaseModel):
    ref: str
    sha: str


class PullRequestAnswer(BaseModel):
    number: int
    html_url: str
    title: str
    state: str
    draft: bool = False
    merged_at: str | None = None
    user: User | None = None
    head: Side
    base: Side


class PullRequestsAnswer(RootModel[list[PullRequestAnswer]]):
    pass


class AccessAnswer(BaseModel):
    permission: Permission


class MergeAnswer(BaseModel):
    merged: bool


class LimitsAnswer(BaseModel):
    resources: dict[str, object]


def _state(pull_request: PullRequestAnswer) -> PullRequestState:
    if pull_request.merged_at:
        return "merged"
    if pull_request.state == "closed":
        return "closed"
    return "draft" if pull_request.draft else "open"


def reference(pull_request: PullRequestAnswer, *, adopted: bool) -> PullRequestRef:
    return PullRequestRef(
        number=pull_request.number,
        url=pull_request.html_url,
        branch=pull_request.head.ref,
        base=pull_request.base.ref,
        head_sha=pull_request.head.sha,
        title=pull_request.title,
        state=_state(pull_request),
        author=pull_request.user.login if pull_request.user else "ghost",
        adopted=adopted,
    )
