"""Merging a pull request that a person approved, at exactly the commit they saw."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import structlog

from sandbox.broker.client import BrokerForge
from sandbox.broker.publishing import PublishRefused
from sandbox.broker.rights import NotPermitted
from sandbox.forge.protocol import ForgeError, ForgeUnavailable, PullRequestRef
from sandbox.proposal import RAN_OUT, merge_digest
from session import events as e
from session.access import MergeExclusion
from session.catalogue import Catalogue, Repository
from session.effects import Effects
from session.log import Log
from session.policy import policy_version
from session.view import ApprovalView, PullRequestView, SessionView

log = structlog.get_logger()

TRIES = 3
"""So often a merge that was begun is tried, where the forge goes away in the middle of it."""
PAUSE_SECONDS = 30.0


def merge_request(
    view: SessionView, repository: Repository, exclusion: MergeExclusion, approval_minutes: float
) -> e.ApprovalRequested | None:
    """The question whether to merge, where the repository's policy asks it and nobody was asked for this
    commit.

    `exclusion` is who may not approve it, and what is said where that cannot be held.
    """
    current = view.pull_request
    if repository.approvals.merge != "ask" or current is None or current.state != "open":
        return None
    asked = (item.request for item in view.approvals if item.request.kind == "merge")
    if any(request.head_sha == current.head_sha for request in asked):
        return None
    verdict = view.verification.verdict if view.verification else "not_run"
    return e.ApprovalRequested(
        approval_id=uuid4().hex[:16],
        kind="merge",
        title=f"Merge pull request #{current.number}: {current.title}",
        detail=(
            f"{repository.slug}: {current.branch} into {current.base}. Checks: {verdict.replace('_', ' ')}. "
            f"{exclusion.note}"
        ).strip(),
        digest=merge_digest(repository.slug, current.number, current.head_sha),
        head_sha=current.head_sha,
        policy_version=policy_version(repository),
        expires_at=datetime.now(UTC) + timedelta(minutes=approval_minutes),
        blocking=False,
        excluded=exclusion.excluded,
    )


class Merger:
    """Carries approved merges out.

    `pause_seconds`: between two tries of a merge that the forge went away in the middle of.
    """

    def __init__(
        self,
        log: Log,
        effects: Effects,
        catalogue: Catalogue,
        forge: BrokerForge,
        *,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._log = log
        self._effects = effects
        self._catalogue = catalogue
        self._forge = forge
        self._pause_seconds = pause_seconds

    async def merge_approved(self, session_id: str, epoch: int) -> None:
        """Every merge of the session that was approved, or begun and not ended, is carried out or failed
        aloud.

        Emits: ApprovalUsed, PullRequestStateChanged, MergeFailed, ApprovalVoided.
        Raises: StaleEpoch, UnknownRepository; ForgeAway, while the yes still stands.
        """
        view = await self._log.view(session_id)
        for item in view.due_merges:
            await self._merge(session_id, epoch, item)

    async def _merge(self, session_id: str, epoch: int, item: ApprovalView) -> None:
        view = await self._log.view(session_id)
        current = view.pull_request
        if current is None or view.repository is None or item.by is None:
            return
        repository = self._catalogue.get(view.repository.slug)
        if no_longer := await self._outdated(repository, current, item):
            void = e.ApprovalVoided(approval_id=item.request.approval_id, reason=no_longer)
            await self._log.record(session_id, lambda _: (void,), epoch=epoch)
            return
        try:
            if item.state == "given":
                await self._use(session_id, epoch, item)
            merged = await self._carried_out(session_id, epoch, current.number, item)
        except NotPermitted as error:
            failed = e.MergeFailed(cause=str(error), advice=error.advice)
        except (ForgeError, PublishRefused) as error:
            failed = e.MergeFailed(
                cause=str(error),
                advice="Look at the pull request on the forge, and merge it there if it should be.",
            )
        else:
            await self._log.record(session_id, lambda now: _told(now, merged, item), epoch=epoch)
            return
        await self._log.record(session_id, lambda now: _failed(now, failed, item), epoch=epoch)

    async def _outdated(self, repository: Repository, current: PullRequestView, item: ApprovalView) -> str:
        """Why the yes does not count any more, in words; empty when it does."""
        request = item.request
        shown = (repository.slug, current.number, request.head_sha or "")
        same = merge_digest(*shown) == request.digest and current.head_sha == request.head_sha
        if not same or policy_version(repository) != request.policy_version:
            return "What it showed has changed."
        if item.state == "given" and await self._log.clock() >= request.expires_at:
            return RAN_OUT
        return ""

    async def _use(self, session_id: str, epoch: int, item: ApprovalView) -> None:
        """The yes is used, once the forge has said that its giver may merge.

        Raises: ForgeAway, ApprovalGone, NotPermitted, ForgeError; the yes is not used then.
        """
        assert item.by is not None
        approval_id = item.request.approval_id
        try:
            await self._forge.require_write(session_id, item.by)
        except ForgeUnavailable as error:
            raise ForgeAway(str(error)) from error

        def decide(view: SessionView) -> Sequence[e.Event]:
            now = view.approval(approval_id)
            if now is None or now.state != "given":
                raise ApprovalGone(approval_id)
            return (e.ApprovalUsed(approval_id=approval_id),)

        await self._log.record(session_id, decide, epoch=epoch)

    async def _carried_out(
        self, session_id: str, epoch: int, number: int, item: ApprovalView
    ) -> PullRequestRef:
        """The merge, through an outage in the middle of it: the yes is used, so nobody else comes back to
        it."""
        for _ in range(TRIES - 1):
            try:
                return await self._at_forge(session_id, epoch, number, item)
            except ForgeUnavailable as error:
                log.warning("merge waits for the forge", session_id=session_id, reason=str(error))
                await asyncio.sleep(self._pause_seconds)
        return await self._at_forge(session_id, epoch, number, item)

    async def _at_forge(self, session_id: str, epoch: int, number: int, item: ApprovalView) -> PullRequestRef:
        """Merge it, once: an earlier try is found by reading the pull request, which `Forge.merge` does
        first."""
        head_sha = item.request.head_sha or ""
        op_key = f"{session_id}:merge:{number}:{head_sha}"
        effect = await self._effects.begin(op_key, session_id, epoch)
        if effect.state != "new":
            found = await self._forge.pull_request(session_id, number)
            if found.state == "merged":
                await self._effects.finish(op_key, "merged")
                return found
        merged = await self._forge.merge(session_id, item.request.approval_id)
        await self._effects.finish(op_key, "merged")
        return merged


class ApprovalGone(Exception):
    """The yes was taken back before it took effect."""


class ForgeAway(Exception):
    """The forge does not answer, and nothing was begun: the yes still stands for a later try."""


def _failed(view: SessionView, failed: e.MergeFailed, item: ApprovalView) -> Sequence[e.Event]:
    """A yes that was not used yet is spent with the failure, or the merge would be tried for ever."""
    now = view.approval(item.request.approval_id)
    if now is None or now.state != "given":
        return (failed,)
    return (e.ApprovalVoided(approval_id=item.request.approval_id, reason=failed.cause), failed)


def _told(view: SessionView, merged: PullRequestRef, item: ApprovalView) -> Sequence[e.Event]:
    """Nothing when the forge's own message came first."""
    if view.pull_request is None or view.pull_request.state == "merged":
        return ()
    by = item.by.forge_login or item.by.name if item.by else merged.author
    return (e.PullRequestStateChanged(number=merged.number, state="merged", by=by),)
