"""Ten conversations, the same on every platform: what people say and press, and what they then read.

The inbox, the commands, the log and the feed are the real ones, over a database; what the agent does is
written into the log as a worker writes it, so no conversation needs a box. The last test takes no such short
cut: the whole house is at work there, with a model, a sandbox and a pull request. Slack has that in
test_main_job.py and test_stopping.py, so it is the other platforms' turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.messages import DONE, FAILED, SEEN, STOPPED
from bot.platforms import platform_names
from session import events as e
from session.view import SessionView
from tests.bot.rooms import Rooms, open_rooms, repository_chosen
from tests.emulators.model.turns import Held, tool
from tests.faults.waiting import until
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.stages import OUTSIDER, STAGES, Stage, served
from tests.journeys.steps import NOTE, WHOLE

REQUEST = "round invoices half up"
FINDING, IN_LINE, WORKING = "Finding the repository", "In line", "Working"
APPROVAL = "Round half up"
PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Talk:
    """A conversation about one session: the stage it plays on, and a pen for what the agent does."""

    stage: Stage
    rooms: Rooms
    session: str = ""

    async def begins(self) -> None:
        """Ada asks for something; a card says that it was heard."""
        await self.stage.says("Ada", REQUEST)
        await self.stage.sees(FINDING)
        self.session = await self.rooms.only_session()
        await self.stage.is_marked(SEEN)

    async def works(self, prompt: int = 0) -> None:
        """The agent takes up the prompt; the card says so."""
        await self.rooms.start_turn(self.session, prompt)
        await self.stage.sees(WORKING)

    async def asks_approval(self) -> None:
        """The agent wants to open a pull request."""
        await self.works()
        await self.rooms.ask_approval(self.session)
        await self.stage.sees(APPROVAL)

    async def answers(self, summary: str, prompt: int = 0) -> None:
        """The agent is done."""
        await self.writes(e.TurnFinished(turn_id=f"t{prompt}", summary=summary))

    async def writes(self, *events: e.Event) -> None:
        """Whatever else the agent does."""
        await self.rooms.write(self.session, *events)

    async def view(self) -> SessionView:
        """How the session stands."""
        return await self.rooms.log.view(self.session)

    async def reaches(self, fits: Callable[[SessionView], bool], what: str) -> None:
        """Returns once the session is so; `what` names it."""

        async def holds() -> bool:
            return fits(await self.view())

        await until(holds, what, PATIENCE_SECONDS)

    async def holds_only(self, *words: str) -> None:
        """Nothing is left to tell, and the bot's messages to all are these: each shows its words."""

        async def told() -> bool:
            posts = self.stage.posts()
            return len(posts) == len(words) and all(w in p for w, p in zip(words, posts, strict=True))

        async def said() -> bool:
            return not await self.rooms.feed.outbox.pending(self.stage.platform.name, limit=1000)

        await until(said, "everything is told", PATIENCE_SECONDS)
        with suppress(AssertionError):
            await until(told, "the thread holds that and no more", PATIENCE_SECONDS)
        assert await told(), "\n\n".join([f"{words} is not what the thread holds:", *self.stage.posts()])


@pytest.fixture(params=platform_names())
async def talk(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> AsyncIterator[Talk]:
    """A conversation that is about to begin."""
    async with (
        open_rooms(f"sqlite://{tmp_path / 'bellhop.db'}", redis_url) as rooms,
        STAGES[request.param]() as stage,
        rooms.serving(stage.platform),
    ):
        await stage.connected(rooms.directory)
        yield Talk(stage, rooms)


async def test_1_a_mention_a_card_and_an_answer(talk: Talk) -> None:
    await talk.begins()
    await talk.works()
    await talk.writes(
        e.PlanChanged(items=(e.PlanItem(text="find the rounding"),)),
        e.ToolCalled(turn_id="t0", call_id="c0", tool="bash", action="running the tests"),
    )
    await talk.stage.sees("running the tests")
    await talk.answers("Totals are rounded up now.")
    await talk.stage.is_marked(DONE)
    await talk.holds_only("Done", "Totals are rounded up now.")
    assert "find the rounding" in talk.stage.posts()[0]


async def test_2_the_repository_is_picked_by_button(talk: Talk) -> None:
    await asked_for_the_repository(talk)
    await talk.stage.presses("Ada", "acme/web", "Which repository")
    await settled_on(talk, "acme/web")


async def test_3_the_repository_is_named_in_words(talk: Talk) -> None:
    await asked_for_the_repository(talk)
    await talk.stage.says("Ada", "Billing!")
    await settled_on(talk, "acme/billing")


async def asked_for_the_repository(talk: Talk) -> None:
    await talk.begins()
    likely = (e.Candidate(slug="acme/web", reason="the shop has invoices too"),)
    await talk.writes(e.RepositoryAsked(reason="It could be two.", candidates=likely))
    question = await talk.stage.sees("Which repository do you mean?")
    assert "the shop has invoices too" in question


async def settled_on(talk: Talk, slug: str) -> None:
    await talk.stage.sees(", picked by Ada")
    chosen = (await talk.view()).repository
    assert chosen is not None
    assert (chosen.slug, chosen.how) == (slug, "picked")
    await talk.holds_only(slug, "picked by Ada")


async def test_4_a_wrong_repository_is_put_right(talk: Talk) -> None:
    await talk.begins()
    await talk.writes(repository_chosen())
    await talk.works()
    await talk.stage.presses("Ada", "Wrong repository?", WORKING)
    await talk.stage.sees("Sorry about that!")
    await talk.stage.picks("Ada", "acme/web", "Sorry about that!")
    await talk.reaches(
        lambda view: view.repository is not None and view.repository.slug == "acme/web", "put right"
    )
    await talk.works()
    await talk.answers("The shop rounds up now.")
    await talk.holds_only("Done", "picked by Ada", "move back and it is there", "The shop rounds up now.")


async def test_5_a_reaction_stops_and_a_follow_up_goes_on(talk: Talk) -> None:
    await talk.begins()
    await talk.works()
    await talk.stage.reacts("Ada", STOPPED, WORKING)
    await talk.stage.sees("Stopped by Ada.")
    await talk.stage.is_marked(STOPPED)
    await talk.stage.says("Ada", "only the credit notes, please")
    await talk.reaches(lambda view: len(view.prompts) == 2, "the follow-up is taken")
    await talk.works(1)
    await talk.answers("Credit notes are rounded up now.", 1)
    await talk.holds_only("Done", "Stopped by Ada.", "Credit notes are rounded up now.")


async def test_6_plain_words_stop_and_what_waits_in_line_is_kept(talk: Talk) -> None:
    await talk.begins()
    await talk.works()
    await talk.stage.says("Ada", "also add a test")
    await talk.reaches(lambda view: len(view.prompts) == 2, "the follow-up is in line")
    await talk.stage.says("Ada", "Stop, please!")
    assert "1 follow-up is kept" in await talk.stage.sees("Stopped by Ada.")
    await talk.holds_only("Stopped", "Stopped by Ada.")


async def test_7_a_yes_approves_and_that_of_an_outsider_does_not(talk: Talk) -> None:
    await talk.begins()
    await talk.asks_approval()
    await talk.stage.reacts(OUTSIDER, DONE, APPROVAL)
    await talk.stage.is_told(OUTSIDER, talk.stage.tells_outsiders)
    assert (await talk.view()).approvals[0].state == "open"
    await talk.stage.reacts("Grace", DONE, APPROVAL)
    await talk.stage.sees("Approved by Grace")
    await talk.writes(e.ApprovalUsed(approval_id="a1"))
    await talk.answers("It is open.")
    await talk.holds_only("Done", "Approved by Grace, and done.", "It is open.")


async def test_8_a_no_goes_back_to_the_agent(talk: Talk) -> None:
    await talk.begins()
    await talk.asks_approval()
    await talk.stage.reacts("Grace", "❌", APPROVAL)
    await talk.stage.sees("Grace said no.")
    view = await talk.view()
    assert (view.approvals[0].state, view.turn_open) == ("refused", True)

    async def rung() -> bool:
        return await talk.rooms.queue.status("run_turn", talk.session, 1) == "queued"

    await until(rung, "a worker is rung for", PATIENCE_SECONDS)
    await talk.answers("I left it at the branch.")
    await talk.holds_only("Done", "Grace said no.", "I left it at the branch.")


async def test_9_two_who_talk_are_left_alone_until_they_call(talk: Talk) -> None:
    await talk.begins()
    await talk.stage.says("Ada", "and the credit notes")
    await talk.reaches(lambda view: len(view.prompts) == 2, "the follow-up is in line")
    await talk.stage.says("Grace", "is that right, Ada?")
    await talk.stage.says("Ada", "yes, I think so")
    await talk.stage.says("Grace", "and the receipts", mention=True)
    await talk.reaches(lambda view: len(view.prompts) >= 3, "the call is heard")
    said = [(item.prompt.author.name, item.prompt.text) for item in (await talk.view()).prompts]
    assert said == [("Ada", REQUEST), ("Ada", "and the credit notes"), ("Grace", "and the receipts")]
    await talk.holds_only(FINDING)


async def test_10_a_failure_is_told_tried_again_and_no_text_rings_anybody(talk: Talk) -> None:
    await talk.begins()
    await talk.works()
    hostile = f"{talk.stage.call_on('Grace')} what the file says"
    await talk.writes(e.TurnFailed(turn_id="t0", cause=hostile, advice="Try again."))
    failure = await talk.stage.sees("That did not work:")
    assert "The work so far is saved." in failure
    await talk.stage.is_marked(FAILED)
    await talk.stage.reacts("Ada", "🔁", "That did not work:")
    await talk.stage.sees(IN_LINE)
    await talk.works()
    await talk.answers(hostile)
    await talk.holds_only("Done", "That did not work:", "what the file says")
    assert talk.stage.rung() == []


async def test_the_whole_house_answers_stops_and_goes_on_elsewhere_than_on_slack(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        ada = await (await house.member("Ada")).person()
        for number, name in enumerate((name for name in platform_names() if name != "slack"), 1):
            async with STAGES[name]() as stage, served(house.core, stage):
                await house.directory.link(ada.id, stage.identity("Ada"))
                house.model.script(AGENT, *WHOLE)
                await stage.says("Ada", f"{REQUEST} in {BILLING}")
                await stage.sees("May I publish this?")
                await stage.reacts("Ada", DONE, "May I publish this?")
                assert "Checks passed on" in await stage.sees("Half a cent is now rounded up.")
                await stage.is_marked(DONE)
                pull = house.github.pull(BILLING, number)
                assert (pull.author.login, pull.title) == ("ada", "Round half a cent up")

                held = Held(NOTE)
                house.model.script(AGENT, held)
                await stage.says("Ada", "write that down, please")
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await held.reached.wait()
                await stage.sees(WORKING)
                await stage.reacts("Ada", STOPPED, WORKING)
                await stage.sees("Stopped by Ada. The work so far is saved.")
                house.model.script(AGENT, tool("finish", summary="Nothing else is left to do."))
                await stage.says("Ada", "leave it at that")
                await stage.sees("Nothing else is left to do.")
