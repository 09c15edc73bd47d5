"""Pull requests of the emulated GitHub: opened, read, edited, reviewed, commented on, merged."""

from __future__ import annotations

from typing import Any

from tests.emulators.github import repositories
from tests.emulators.github.access import Access, Refused
from tests.emulators.github.rest import REPO, Answer, Call, Handler
from tests.emulators.github.shapes import Shapes
from tests.emulators.github.state import Comment, Pull, Repository, Review, User, World, stamp
from tests.emulators.github.webhooks import Webhooks

PULL = f"{REPO}/pulls/{{pull_number}}"
COMMENTS = f"{REPO}/issues/{{issue_number}}/comments"
PULLS = "pull_requests"
STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


class PullEndpoints:
    """Everything about pull requests, by REST and (for a test's own hand) by method."""

    def __init__(self, world: World, access: Access, shapes: Shapes, webhooks: Webhooks) -> None:
        self._world = world
        self._access = access
        self._shapes = shapes
        self._webhooks = webhooks

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", f"{REPO}/pulls"): self.list_pulls,
            ("POST", f"{REPO}/pulls"): self.create_pull,
            ("GET", PULL): self.get_pull,
            ("PATCH", PULL): self.update_pull,
            ("PUT", f"{PULL}/merge"): self.merge_pull,
            ("GET", f"{PULL}/reviews"): self.list_reviews,
            ("POST", f"{PULL}/reviews"): self.create_review,
            ("GET", COMMENTS): self.list_comments,
            ("POST", COMMENTS): self.create_comment,
        }

    async def list_pulls(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, PULLS, "read")
        state = call.query.get("state", "open")
        head = call.query.get("head")
        owner = repository.slug.split("/")[0]
        found = [
            pull
            for pull in reversed(repository.pulls.values())
            if state in ("all", pull.state)
            and head in (None, f"{owner}:{pull.branch}")
            and call.query.get("base") in (None, pull.base)
        ]
        per_page, page = int(call.query.get("per_page", 30)), int(call.query.get("page", 1))
        shown = found[(page - 1) * per_page : page * per_page]
        return 200, [self._shapes.simple_pull(repository, pull) for pull in shown]

    async def create_pull(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, PULLS, "write")
        author = self._author(call)
        body = call.body
        pull = await self.open(
            repository,
            author,
            branch=body["head"].split(":")[-1],
            base=body["base"],
            title=body.get("title", ""),
            body=body.get("body"),
            draft=body.get("draft", False),
        )
        return 201, self._shapes.pull(repository, pull)

    async def get_pull(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, PULLS, "read")
        return 200, self._shapes.pull(repository, self._pull(repository, call.path["pull_number"]))

    async def update_pull(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, PULLS, "write")
        pull = self._pull(repository, call.path["pull_number"])
        pull.title = call.body.get("title", pull.title)
        pull.body = call.body.get("body", pull.body)
        pull.base = call.body.get("base", pull.base)
        if call.body.get("state") == "closed" and pull.state == "open":
            await self.close(repository, pull, self._author(call))
        return 200, self._shapes.pull(repository, pull)

    async def merge_pull(self, call: Call) -> Answer:
        # GitHub asks for contents, since a merge writes to the base branch.
        repository = self._access.repository(call.actor, call.slug, "contents", "write")
        pull = self._pull(repository, call.path["pull_number"])
        body = call.body or {}
        sha = await self.merge(
            repository,
            pull,
            self._author(call),
            method=body.get("merge_method", "merge"),
            expected=body.get("sha"),
            message="\n\n".join(
                part for part in (body.get("commit_title"), body.get("commit_message")) if part
            ),
        )
        return 200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}

    async def list_reviews(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, PULLS, "read")
        pull = self._pull(repository, call.path["pull_number"])
        return 200, [self._shapes.review(repository, pull, review) for review in pull.reviews]

    async def create_review(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, PULLS, "write")
        pull = self._pull(repository, call.path["pull_number"])
        event = call.body.get("event", "COMMENT")
        review = await self.review(repository, pull, self._author(call), event, call.body.get("body", ""))
        return 200, self._shapes.review(repository, pull, review)

    async def list_comments(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, "issues", "read")
        pull = self._pull(repository, call.path["issue_number"])
        return 200, [self._shapes.comment(repository, pull, comment) for comment in pull.comments]

    async def create_comment(self, call: Call) -> Answer:
        repository = self._access.repository(call.actor, call.slug, "issues", "write")
        pull = self._pull(repository, call.path["issue_number"])
        comment = Comment(self._world.next_id(), self._author(call), call.body["body"])
        pull.comments.append(comment)
        return 201, self._shapes.comment(repository, pull, comment)

    async def open(
        self,
        repository: Repository,
        author: User,
        *,
        branch: str,
        base: str,
        title: str,
        body: str | None,
        draft: bool,
    ) -> Pull:
        """Open a pull request by GitHub's rules; raises `Refused` 422 as GitHub does."""
        heads = {name: await repositories.head(repository.path, name) for name in (branch, base)}
        for field, name in (("head", branch), ("base", base)):
            if heads[name] is None:
                raise _invalid({"resource": "PullRequest", "field": field, "code": "invalid"})
        if await repositories.ahead(repository.path, base, branch) == 0:
            raise _custom(f"No commits between {base} and {branch}")
        # Last, with no wait between here and the record: of two at once, one is refused.
        owner = repository.slug.split("/")[0]
        if any(
            pull.state == "open" and (pull.branch, pull.base) == (branch, base)
            for pull in repository.pulls.values()
        ):
            raise _custom(f"A pull request already exists for {owner}:{branch}.")
        number = max(repository.pulls, default=0) + 1
        head_sha, base_sha = heads[branch] or "", heads[base] or ""
        pull = Pull(number, title, body, branch, base, head_sha, base_sha, author, draft)
        repository.pulls[number] = pull
        self._webhooks.pull_request("opened", repository, pull, author)
        return pull

    async def close(self, repository: Repository, pull: Pull, by: User) -> None:
        """Close a pull request without merging it."""
        pull.state = "closed"
        pull.closed_at = pull.updated_at = stamp()
        self._webhooks.pull_request("closed", repository, pull, by)

    async def merge(
        self,
        repository: Repository,
        pull: Pull,
        by: User,
        *,
        method: str = "merge",
        expected: str | None = None,
        message: str = "",
    ) -> str:
        """Merge a pull request by GitHub's rules; gives the merge commit. Raises `Refused` 405 or 409."""
        if expected is not None and expected != pull.head_sha:
            raise Refused(409, "Head branch was modified. Review and try the merge again.")
        self._check_mergeable(repository, pull, method)
        text = message or f"Merge pull request #{pull.number} from {repository.owner.login}/{pull.branch}"
        # update-ref compares the base's head: of two merges at once, one is refused.
        merged = await repositories.merge(
            repository.path, pull.base, pull.head_sha, method=method, message=text, author=by.login
        )
        if merged is None:
            raise Refused(405, "Pull Request is not mergeable")
        pull.state = "closed"
        pull.merged_at = pull.closed_at = pull.updated_at = stamp()
        pull.merged_by, pull.merge_commit_sha = by, merged
        self._webhooks.pull_request("closed", repository, pull, by)
        return merged

    async def review(self, repository: Repository, pull: Pull, by: User, event: str, body: str) -> Review:
        """Review a pull request; approving one's own is refused."""
        if by is pull.author and event != "COMMENT":
            verb = "approve" if event == "APPROVE" else "request changes on"
            raise Refused(422, "Unprocessable Entity", [f"Can not {verb} your own pull request"])
        review = Review(self._world.next_id(), by, STATES[event], body, pull.head_sha)
        pull.reviews.append(review)
        return review

    async def after_push(self, repository: Repository, by: User) -> None:
        """Bring open pull requests up to what was just pushed."""
        for pull in repository.pulls.values():
            head = await repositories.head(repository.path, pull.branch)
            if pull.state == "open" and head is not None and head != pull.head_sha:
                before, pull.head_sha, pull.updated_at = pull.head_sha, head, stamp()
                self._webhooks.pull_request("synchronize", repository, pull, by, before=before)

    def _check_mergeable(self, repository: Repository, pull: Pull, method: str) -> None:
        if pull.state != "open":
            raise Refused(405, "Pull Request is not mergeable")
        if pull.draft:
            raise Refused(405, "Pull Request is still a draft")
        if method not in repository.allowed_merges:
            raise Refused(405, f"{method.title()} commits are not allowed on this repository.")
        approvals = {
            review.author.login
            for review in pull.reviews
            if review.state == "APPROVED" and review.commit_id == pull.head_sha
        }
        if len(approvals) < repository.required_approvals:
            raise Refused(
                405,
                f"At least {repository.required_approvals} approving review is required by reviewers "
                "with write access.",
            )

    def _pull(self, repository: Repository, number: str) -> Pull:
        pull = repository.pulls.get(int(number))
        if pull is None:
            raise Refused(404, "Not Found")
        return pull

    def _author(self, call: Call) -> User:
        token = call.actor.token
        assert token is not None
        return token.user or User(self._world.app.id, f"{self._world.app.slug}[bot]", "Bot")


def _invalid(error: dict[str, Any]) -> Refused:
    return Refused(422, "Validation Failed", [error])


def _custom(message: str) -> Refused:
    return _invalid({"resource": "PullRequest", "code": "custom", "message": message})
