"""The routing job: reads what was asked, decides, and tells the session."""

from __future__ import annotations

import structlog

from classifier.decision import Classifier
from classifier.request import Classification, RoutingRequest
from session.catalogue import Catalogue
from session.channel_rules import ChannelRuleBook, channel_of
from session.commands import Commands
from session.events import RepositoryAsked, RepositoryChosen
from session.listing import SessionFilter
from session.log import Log
from session.picks import Picks
from session.refusals import Refusal
from session.view import SessionView
from session.warming import Warming

_log = structlog.get_logger(__name__)

_RECENT = 5
"""So many of the author's latest sessions tell what they work on."""

_LIKELY = 0.4
"""From here on a repository that is asked about is worth a sandbox that waits while the person chooses."""


class Routing:
    """Carries `route_session` jobs out."""

    def __init__(
        self,
        log: Log,
        commands: Commands,
        catalogue: Catalogue,
        classifier: Classifier,
        warming: Warming,
        channels: ChannelRuleBook,
        picks: Picks,
    ) -> None:
        self._log = log
        self._picks = picks
        self._commands = commands
        self._catalogue = catalogue
        self._classifier = classifier
        self._warming = warming
        self._channels = channels

    async def route_session(self, session_id: str) -> None:
        """Decides the repository of a session that still waits for it; does nothing for any other.

        Emits: RepositoryChosen or RepositoryAsked.
        """
        view = await self._log.view(session_id)
        if view.state not in ("routing", "awaiting_repository") or not view.waiting_prompts:
            return
        decision = await self._classifier.classify(await self._request(view))
        _log.info("routed", session_id=session_id, repository=decision.slug, how=decision.how)
        likely = decision.confidence >= _LIKELY and decision.alternatives
        if slug := decision.slug or (decision.alternatives[0].slug if likely else ""):
            await self._warming.for_repository(slug)
        try:
            await self._tell(view, decision)
        except Refusal as refusal:
            # Somebody picked or stopped while the model was thinking; what they decided stands.
            _log.info("routing came too late", session_id=session_id, reason=refusal.sentence)

    async def _tell(self, view: SessionView, decision: Classification) -> None:
        if decision.slug is None or decision.how is None:
            asked = RepositoryAsked(
                reason=decision.reason, candidates=decision.alternatives, together=decision.together
            )
            await self._commands.ask_repository(view.id, asked)
            return
        repository = self._catalogue.get(decision.slug)
        chosen = RepositoryChosen(
            slug=repository.slug,
            branch=await self._commands.starting_branch(view, repository),
            how=decision.how,
            reason=decision.reason,
            confidence=decision.confidence,
            alternatives=decision.alternatives,
        )
        await self._commands.choose_repository(view.id, chosen)

    async def _request(self, view: SessionView) -> RoutingRequest:
        prompts = [item.prompt for item in view.waiting_prompts]
        named = [prompt.repository for prompt in prompts if prompt.repository]
        channel = channel_of(view.origin)
        return RoutingRequest(
            text="\n\n".join(prompt.text for prompt in prompts),
            named=named[-1] if named else None,
            context=prompts[0].context,
            channel_name=view.origin.channel_name,
            channel_topic=view.origin.channel_topic,
            channel_rules=await self._channels.of(channel),
            recent=await self._recent(view),
            session_id=view.id,
            picks=await self._picks.of(channel),
        )

    async def _recent(self, view: SessionView) -> tuple[str, ...]:
        rows = await self._log.sessions(SessionFilter(person=view.requester.id, limit=_RECENT))
        slugs = [row.repository for row in rows if row.repository and row.id != view.id]
        return tuple(dict.fromkeys(slugs))
