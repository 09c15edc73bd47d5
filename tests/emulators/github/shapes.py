"""What the emulated GitHub answers, in GitHub's shapes."""

from __future__ import annotations

from typing import Any

from tests.emulators.github.state import App, CheckRun, Comment, Pull, Repository, Review, User, stamp

Json = dict[str, Any]

BEGINNING = "2024-01-01T00:00:00Z"
USER_LINKS = [
    "avatar",
    "events",
    "followers",
    "following",
    "gists",
    "html",
    "organizations",
    "received_events",
    "repos",
    "starred",
    "subscriptions",
]
REPOSITORY_LINKS = [
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
    "git",
    "ssh",
    "svn",
]


class Shapes:
    """Builds answers with addresses under `api_url` and `web_url`."""

    def __init__(self, api_url: str, web_url: str, app: App) -> None:
        self.api_url = api_url
        self.web_url = web_url
        self.app = app

    def user(self, user: User) -> Json:
        url = f"{self.api_url}/users/{user.login}"
        links = {f"{link}_url": f"{url}/{link}" for link in USER_LINKS}
        return {
            **links,
            "html_url": f"{self.web_url}/{user.login}",
            "gravatar_id": "",
            "id": user.id,
            "node_id": f"U_{user.id}",
            "login": user.login,
            "site_admin": False,
            "type": user.type,
            "url": url,
        }

    def own_user(self, user: User) -> Json:
        counts = "followers following public_gists public_repos collaborators disk_usage owned_private_repos"
        return {
            **self.user(user),
            **dict.fromkeys(counts.split(), 0),
            **dict.fromkeys(["bio", "blog", "company", "email", "hireable", "location"]),
            "private_gists": 0,
            "total_private_repos": 0,
            "two_factor_authentication": True,
            "user_view_type": "private",
            "name": user.login.title(),
            "created_at": BEGINNING,
            "updated_at": BEGINNING,
        }

    def repository(self, repository: Repository) -> Json:
        url = f"{self.api_url}/repos/{repository.slug}"
        web = f"{self.web_url}/{repository.slug}"
        open_pulls = sum(pull.state == "open" for pull in repository.pulls.values())
        return {
            **{f"{link}_url": f"{url}/{link}" for link in REPOSITORY_LINKS},
            **dict.fromkeys(["description", "homepage", "language", "license", "mirror_url"]),
            **dict.fromkeys(["fork", "has_pages", "has_discussions", "archived", "disabled"], False),
            **dict.fromkeys(["has_issues", "has_projects", "has_wiki", "has_downloads"], True),
            **dict.fromkeys(
                ["forks", "forks_count", "size", "stargazers_count", "watchers", "watchers_count"], 0
            ),
            "clone_url": f"{web}.git",
            "html_url": web,
            "url": url,
            "full_name": repository.slug,
            "id": repository.id,
            "node_id": f"R_{repository.id}",
            "name": repository.name,
            "owner": self.user(repository.owner),
            "private": repository.private,
            "default_branch": repository.default_branch,
            "open_issues": open_pulls,
            "open_issues_count": open_pulls,
            "created_at": BEGINNING,
            "updated_at": stamp(),
            "pushed_at": stamp(),
            "topics": [],
            "visibility": "private" if repository.private else "public",
            "allow_forking": True,
            "is_template": False,
            "web_commit_signoff_required": False,
        }

    def full_repository(self, repository: Repository) -> Json:
        allowed = {f"allow_{kind}": kind.split("_")[0] in repository.allowed_merges for kind in MERGES}
        return {**self.repository(repository), **allowed, "network_count": 0, "subscribers_count": 0}

    def installation(self, owner: User, installation_id: int) -> Json:
        url = f"{self.api_url}/app/installations/{installation_id}"
        return {
            "id": installation_id,
            "account": self.user(owner),
            "app_id": self.app.id,
            "app_slug": self.app.slug,
            "client_id": self.app.client_id,
            "target_id": owner.id,
            "target_type": owner.type,
            "single_file_name": None,
            "repository_selection": "selected",
            "access_tokens_url": f"{url}/access_tokens",
            "repositories_url": f"{self.api_url}/installation/repositories",
            "html_url": f"{self.web_url}/settings/installations/{installation_id}",
            "events": ["pull_request"],
            "permissions": self.app.permissions,
            "created_at": BEGINNING,
            "updated_at": BEGINNING,
            "suspended_by": None,
            "suspended_at": None,
        }

    def app_itself(self, owner: User) -> Json:
        return {
            "id": self.app.id,
            "slug": self.app.slug,
            "node_id": f"A_{self.app.id}",
            "client_id": self.app.client_id,
            "owner": self.user(owner),
            "name": self.app.slug,
            "description": "",
            "external_url": self.web_url,
            "html_url": f"{self.web_url}/apps/{self.app.slug}",
            "created_at": BEGINNING,
            "updated_at": BEGINNING,
            "permissions": self.app.permissions,
            "events": ["pull_request"],
        }

    def simple_pull(self, repository: Repository, pull: Pull) -> Json:
        url = f"{self.api_url}/repos/{repository.slug}/pulls/{pull.number}"
        issue = f"{self.api_url}/repos/{repository.slug}/issues/{pull.number}"
        web = f"{self.web_url}/{repository.slug}/pull/{pull.number}"
        statuses = f"{self.api_url}/repos/{repository.slug}/statuses/{pull.head_sha}"
        addresses = {
            "comments": f"{issue}/comments",
            "commits": f"{url}/commits",
            "statuses": statuses,
            "html": web,
            "issue": issue,
            "review_comments": f"{url}/comments",
            "review_comment": f"{self.api_url}/repos/{repository.slug}/pulls/comments{{/number}}",
        }
        return {
            **{f"{name}_url": address for name, address in addresses.items()},
            "_links": {name: {"href": address} for name, address in {**addresses, "self": url}.items()},
            "url": url,
            "diff_url": f"{web}.diff",
            "patch_url": f"{web}.patch",
            "id": repository.id * 10_000 + pull.number,
            "node_id": f"PR_{repository.id}_{pull.number}",
            "number": pull.number,
            "state": pull.state,
            "locked": False,
            "title": pull.title,
            "body": pull.body,
            "user": self.user(pull.author),
            "labels": [],
            "milestone": None,
            "assignee": None,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": pull.closed_at,
            "merged_at": pull.merged_at,
            "merge_commit_sha": pull.merge_commit_sha,
            "author_association": "MEMBER",
            "auto_merge": None,
            "active_lock_reason": None,
            "draft": pull.draft,
            "head": self._side(repository, pull.branch, pull.head_sha),
            "base": self._side(repository, pull.base, pull.base_sha),
        }

    def pull(self, repository: Repository, pull: Pull) -> Json:
        merged = pull.merged_at is not None
        return {
            **self.simple_pull(repository, pull),
            "merged": merged,
            "mergeable": None if merged else True,
            "mergeable_state": "unknown" if merged else "draft" if pull.draft else "clean",
            "rebaseable": None if merged else True,
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "comments": len(pull.comments),
            "review_comments": 0,
            "maintainer_can_modify": False,
            "commits": 1,
            "additions": 1,
            "deletions": 0,
            "changed_files": 1,
        }

    def review(self, repository: Repository, pull: Pull, review: Review) -> Json:
        url = f"{self.api_url}/repos/{repository.slug}/pulls/{pull.number}"
        html = f"{self.web_url}/{repository.slug}/pull/{pull.number}#pullrequestreview-{review.id}"
        return {
            "id": review.id,
            "node_id": f"PRR_{review.id}",
            "user": self.user(review.author),
            "body": review.body,
            "state": review.state,
            "commit_id": review.commit_id,
            "html_url": html,
            "pull_request_url": url,
            "author_association": "MEMBER",
            "submitted_at": stamp(),
            "_links": {"html": {"href": html}, "pull_request": {"href": url}},
        }

    def comment(self, repository: Repository, pull: Pull, comment: Comment) -> Json:
        issue = f"{self.api_url}/repos/{repository.slug}/issues/{pull.number}"
        return {
            "id": comment.id,
            "node_id": f"IC_{comment.id}",
            "url": f"{self.api_url}/repos/{repository.slug}/issues/comments/{comment.id}",
            "html_url": f"{self.web_url}/{repository.slug}/pull/{pull.number}#issuecomment-{comment.id}",
            "issue_url": issue,
            "user": self.user(comment.author),
            "body": comment.body,
            "author_association": "MEMBER",
            "created_at": comment.created_at,
            "updated_at": comment.created_at,
        }

    def check_run(self, repository: Repository, run: CheckRun) -> Json:
        url = f"{self.api_url}/repos/{repository.slug}/check-runs/{run.id}"
        output = dict.fromkeys(["title", "summary", "text"])
        return {
            "id": run.id,
            "node_id": f"CR_{run.id}",
            "name": run.name,
            "head_sha": run.head_sha,
            "external_id": "",
            "url": url,
            "html_url": f"{self.web_url}/{repository.slug}/runs/{run.id}",
            "details_url": self.web_url,
            "status": run.status,
            "conclusion": run.conclusion,
            "started_at": BEGINNING,
            "completed_at": stamp() if run.conclusion else None,
            "output": {**output, "annotations_count": 0, "annotations_url": f"{url}/annotations"},
            "check_suite": None,
            "app": None,
            "pull_requests": [],
        }

    def _side(self, repository: Repository, branch: str, sha: str) -> Json:
        owner = repository.slug.split("/")[0]
        return {
            "label": f"{owner}:{branch}",
            "ref": branch,
            "sha": sha,
            "user": self.user(repository.owner),
            "repo": self.repository(repository),
        }


MERGES = ("merge_commit", "squash_merge", "rebase_merge")
