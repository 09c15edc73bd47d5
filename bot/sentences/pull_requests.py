"""What the bot says of pull requests."""

from __future__ import annotations


def merge_failure(cause: str, advice: str) -> str:
    """Why an approved merge was not carried out."""
    return f"**I could not merge it:** {cause}\n\nThe pull request is untouched. {advice}".strip()


def branch_only(branch: str, public_url: str) -> str:
    """Said with the answer when the work is on the forge, but no pull request could be opened."""
    account = f"{public_url.rstrip('/')}/account" if public_url else "the account page"
    return (
        f"The branch `{branch}` is published, but no pull request was opened: open it by hand with the "
        "button below. To have me do it in your name, say “link github” to me, or "
        f"connect your GitHub account on {account}."
    )


def merged(number: int, by: str) -> str:
    """Said when the pull request is in."""
    return f"🎉 Pull request #{number} was merged" + (f" by {by}." if by else ".")


def closed(number: int, by: str) -> str:
    """Said when the pull request was closed without merging."""
    who = f" by {by}" if by else ""
    return f"Pull request #{number} was closed{who} without merging. Tell me here if I should go at it again."
