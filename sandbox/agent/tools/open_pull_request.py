"""The tool `open_pull_request`."""

from __future__ import annotations

from pydantic import Field

from sandbox.agent.tool import Arguments, Tool, ToolOutcome
from sandbox.agent.tool_context import ToolContext
from sandbox.proposal import Proposal


class OpenPullRequestArguments(Arguments):
    title: str = Field(min_length=5, max_length=120, description="What the change does, in one line.")
    body: str = Field(
        min_length=1, max_length=20_000, description="Why, how it was verified, what to look at. Markdown."
    )
    draft: bool = Field(False, description="Open it as a draft: not ready to be merged.")


class OpenPullRequest(Tool[OpenPullRequestArguments]):
    """Commits, checks, asks and publishes; or brings an open pull request up to date."""

    name = "open_pull_request"
    description = (
        "Propose everything changed in the workspace as a pull request: it is committed, the repository's "
        "checks run on that commit in a fresh sandbox, a person is asked, then it is opened. If this "
        "session's pull request is open already, the new commits are added to it. Failing checks come back "
        "to you as an error with their output."
    )
    arguments = OpenPullRequestArguments
    mutates = True
    journaled = False

    def action(self, arguments: OpenPullRequestArguments) -> str:
        return "preparing the pull request"

    async def run(self, context: ToolContext, arguments: OpenPullRequestArguments) -> ToolOutcome:
        proposal = Proposal(arguments.title, arguments.body, arguments.draft)
        return await context.publication.propose(context.call_id, proposal)
