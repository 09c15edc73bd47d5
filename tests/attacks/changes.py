"""Every route of the pages that changes something, with a request that the route would carry out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from companion_web.channels import channel_key
from sandbox.broker.accounts import UserTokens
from session import events as e
from session.channel_rules import Channel
from session.each_repository import together_digest
from session.image_requests import QUEUE_AWAY
from session.people import Person
from session.slack_installations import SlackInstallation
from tests.companion_web import story
from tests.companion_web.stage import Stage

API = "/api/v1/sessions"
SECRET = {"name": "REGISTRY_TOKEN", "value": "a value"}


@dataclass(frozen=True, slots=True)
class Change:
    """What a route does for who may: the address, and what is sent there.

    `rung`: words of the answer which show that a job was rung for, where that is all that the route does;
    `leads_to`: where the answer leads, where nothing else of it shows.
    """

    address: str
    fields: Mapping[str, str] = field(default_factory=dict)
    rung: str = ""
    leads_to: str = ""


async def changes(stage: Stage, ada: Person) -> AsyncIterator[tuple[str, Change]]:
    """Each changing route with one that would be carried out, its session made for it."""
    opened, begun = story.opening(), [*story.opening(), *story.start()]
    queued = [*begun, e.PromptQueued(prompt=story.prompt("pr2", "Also the footer", ada))]
    asked = [*begun, *story.work(), *story.finish()]
    given = [*asked, e.ApprovalGiven(approval_id="a1", digest="d" * 64, by=ada)]
    question = e.QuestionAsked(question_id="q1", turn_id="t1", call_id="c1", text="Which?")
    candidates = (e.Candidate(slug="acme/web"), e.Candidate(slug="acme/billing"))
    several = e.RepositoryAsked(reason="both send mails", candidates=candidates, together=True)
    answered = [*begun, e.TurnFinished(turn_id="t1", summary="Done.")]
    failed = [*begun, e.TurnFailed(turn_id="t1", cause="gone", advice="try again")]
    text, digest = {"text": "send me the customers"}, {"digest": "d" * 64}
    of_session: dict[str, tuple[Iterable[e.Event], Mapping[str, str]]] = {
        "/s/{session_id}/prompts": (begun, text),
        "/s/{session_id}/prompts/{prompt_id}/edit": (queued, {"text-pr2": "send me the customers"}),
        "/s/{session_id}/prompts/{prompt_id}/cancel": (queued, {}),
        "/s/{session_id}/prompts/{prompt_id}/steer": (queued, {}),
        "/s/{session_id}/approvals/{approval_id}/approve": (asked, digest),
        "/s/{session_id}/approvals/{approval_id}/refuse": (asked, {}),
        "/s/{session_id}/approvals/{approval_id}/withdraw": (given, {}),
        "/s/{session_id}/questions/{question_id}": ([*begun, question], {"answer": "that one"}),
        "/s/{session_id}/repository": (
            [*opened, e.RepositoryAsked(reason="two fit", candidates=candidates)],
            {"slug": "acme/web"},
        ),
        "/s/{session_id}/each": ([*opened, several], {"shown": together_digest(several)}),
        "/s/{session_id}/feedback": (answered, {"verdict": "good"}),
        "/s/{session_id}/stop": (begun, {}),
        "/s/{session_id}/retry": (failed, {}),
        "/s/{session_id}/archive": (answered, {}),
        f"{API}/{{session_id}}/prompts": (begun, text),
        f"{API}/{{session_id}}/stop": (begun, {}),
        f"{API}/{{session_id}}/approvals/{{approval_id}}/approve": (asked, digest),
    }
    for number, (path, (events, fields)) in enumerate(of_session.items()):
        await stage.session(f"s{number}", list(events))
        address = path.format(session_id=f"s{number}", prompt_id="pr2", approval_id="a1", question_id="q1")
        yield path, Change(address, fields)
    # No queue answers in these tests, and it was asked.
    yield "/repositories/build", Change("/repositories/build", {"slug": "acme/web"}, QUEUE_AWAY)
    yield "/warm", Change("/warm", {"repository": "acme/web"}, leads_to="/")
    await stage.broker.accounts.link(ada.id, UserTokens(login="ada", access_token="ghu_of_ada"))
    channel = Channel("slack", "T1", "C1", "billing")
    await stage.customs.channels.set_repository(ada, channel, "acme/web", through="web")
    here = {"channel": channel_key(channel)}
    home = SlackInstallation("T0HOME", "Home", None, "U0BOT", (), ada.id, datetime.now(UTC))
    await stage.slack.installations.put(home)
    for path, fields in {
        "/sessions": text,
        API: text,
        "/account/code": {},
        "/account/unlink": {},
        "/account/preferences": {"verbosity": "quiet"},
        "/account/branches": {"repository": "acme/web", "branch": "theirs"},
        "/admin/channels": {**here, "words": "invoice"},
        "/admin/channels/forget": here,
        "/admin/secrets": SECRET,
        "/admin/secrets/delete": SECRET,
        "/slack/install": {},
        "/admin/slack/remove": {"team": home.team_id},
        "/admin/stop": {"reason": "a joke"},
        "/admin/resume": {},
        "/sign-in/link": {"ticket": await stage.directory.issue_ticket("sign-in", ada.id, 900.0)},
        "/sign-out": {},
    }.items():
        yield path, Change(path, fields)
