"""Plain words in a session's thread: read by the fast model, done, said, and taken back with one word."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from bot.messages import StatusCard
from bot.platforms.console.platform import ConsolePlatform
from classifier.fast_model import FastModel
from classifier.plain_words import KnownModel, PlainWords
from classifier.reading import Reading
from deploy.demo.chat_requests import ChatRequest
from deploy.demo.model_server import ModelServer
from deploy.demo.rehearsal import RehearsedClassifier
from deploy.demo.replies import Reply
from sandbox.agent.provider_client import provider_client
from session import events as e
from session.events import ChangesRecorded, SessionStopped, TurnFinished
from session.listing import need
from session.locks import Locks
from session.view import SessionView
from session.words import Wish
from tests.bot.rooms import CATALOGUE, Rooms

MODELS = [
    KnownModel("big-5", Decimal(10)),
    KnownModel("big-5-mini", Decimal(3)),
    KnownModel("big-5-nano", Decimal(1)),
    KnownModel("other-tiny", Decimal(0)),
]


class Reader:
    """The fast model: answers each message as it was told to; keeps what it was asked."""

    def __init__(self) -> None:
        self.intents: dict[str, dict[str, object]] = {}
        self.asked: list[ChatRequest] = []
        self.nonsense = 0

    def takes(self, text: str, intent: str, **more: object) -> None:
        """The message means that."""
        none = {"size": None, "model": None, "repository": None, "confidence": 0.95}
        self.intents[text] = {**none, "intent": intent, **more}

    def reply(self, request: ChatRequest) -> Reply:
        """Its answer; a text that it cannot stand behind as often as `nonsense` says."""
        self.asked.append(request)
        if self.nonsense:
            self.nonsense -= 1
            return Reply(text="Sure! I will stop everything.")
        message = json.loads(request.said_by("user")[0].text)["message"]
        return Reply(text=json.dumps(self.intents[message]))


class Thread:
    """A session of Ada's at work in acme/billing, and what is said in its thread."""

    def __init__(self, rooms: Rooms, console: ConsolePlatform, reading: Reading, reader: Reader) -> None:
        self.rooms, self.console, self.reading, self.reader = rooms, console, reading, reader
        self.thread = self.session_id = ""

    async def begin(self) -> None:
        request = await self.console.people.say("round invoices half up")
        self.thread = request.thread
        self.session_id = await self.rooms.only_session()
        await self.rooms.start_turn(self.session_id)

    async def finish(self) -> None:
        view = await self.view()
        assert view.turn is not None
        await self.rooms.write(self.session_id, TurnFinished(turn_id=view.turn.turn_id, summary="Done."))

    async def say(self, text: str, name: str = "Ada") -> SessionView:
        """Somebody writes that, and a worker reads what is to be read."""
        await self.console.people.say(f"@bellhop {text}", name, thread=self.thread)
        if need(await self.view()) == "read":
            await self.reading.read_words(self.session_id)
        return await self.view()

    async def view(self) -> SessionView:
        return await self.rooms.log.view(self.session_id)

    async def hears(self, words: str) -> None:
        await self.console.threads.wait_for(lambda m: words in m.text, 60)


@pytest.fixture
async def thread(rooms: Rooms) -> AsyncIterator[Thread]:
    """A thread with its session, read by a scripted model."""
    reader, console = Reader(), ConsolePlatform()
    async with (
        ModelServer({"fast": reader}, "key").serve() as base_url,
        provider_client(base_url, "key") as client,
        rooms.serving(console),
    ):
        words = PlainWords(CATALOGUE, FastModel(client, "fast", timeout_seconds=60), MODELS, "big-5")
        reading = Reading(rooms.log, rooms.commands, words, Locks(rooms.database))
        made = Thread(rooms, console, reading, reader)
        await made.begin()
        yield made


async def test_the_model_is_switched_by_words_for_the_turns_to_come_and_back_by_one(thread: Thread) -> None:
    thread.reader.takes("use a smaller model", "switch_model", size="smaller")
    view = await thread.say("use a smaller model")
    assert (view.model, view.turn and view.turn.model, len(view.prompts)) == ("big-5-mini", "test-model", 1)
    await thread.hears("Going on with `big-5-mini` from the next turn, instead of `big-5`.")
    await thread.console.threads.wait_for(
        lambda m: (
            isinstance(m.content, StatusCard) and ("Model", "test-model, then big-5-mini") in m.content.facts
        ),
        60,
    )
    assert (await thread.say("Use a smaller model".lower())).model == "big-5-nano"
    view = await thread.say("undo")
    assert (view.model, [p.prompt.text for p in view.waiting_prompts]) == (
        "big-5-mini",
        ["use a smaller model"],
    )
    await thread.hears("Taken back. `big-5-mini` it is again.")
    view = await thread.say("undo")
    assert [p.prompt.text for p in view.waiting_prompts][1:] == ["undo"], "now it is a request"
    # Named, by a directive or in words; one that is not known is refused with those that are.
    assert (await thread.say("!model big-5")).model == "big-5"
    view = await thread.say("undo")
    assert (view.model, len(view.waiting_prompts)) == ("big-5-mini", 2), "a directive is no request"
    assert (await thread.say("!model big-5")).model == "big-5"
    assert (await thread.say("!model huge")).model == "big-5"
    await thread.hears("I do not know that model. You can name one of these: `big-5`")
    thread.reader.takes("the model should be bigger", "switch_model", size="larger")
    await thread.say("the model should be bigger")
    await thread.hears("`big-5` is the largest there is.")


async def test_a_wish_is_only_what_the_model_is_sure_of_and_nothing_said_is_lost(thread: Thread) -> None:
    thread.reader.takes("stop the header from jumping", "follow_up")
    thread.reader.takes("hold it there, maybe", "stop", confidence=0.4)
    thread.reader.takes("done yet? use claude", "switch_model", model="claude-of-my-own")
    for text in thread.reader.intents:
        await thread.say(text)
    thread.reader.nonsense = 1
    thread.reader.takes("wait, also stop logging names", "follow_up")
    await thread.say("wait, also stop logging names")
    thread.reader.nonsense = 2
    view = await thread.say("please stop now or so")
    texts = [p.prompt.text for p in view.waiting_prompts]
    assert texts == [*thread.reader.intents, "please stop now or so"]
    # What cannot be a wish is not shown to the model, and waits for nobody.
    asked = len(thread.reader.asked)
    view = await thread.say("also add a test for zero")
    long = await thread.say("stop " + "and round half up " * 20)
    assert (len(view.waiting_prompts), len(long.waiting_prompts), len(thread.reader.asked)) == (6, 7, asked)
    shown = json.loads(thread.reader.asked[0].said_by("user")[0].text)
    assert shown["message"] == "stop the header from jumping"
    assert "round invoices" not in thread.reader.asked[0].said_by("user")[0].text


async def test_order_is_kept_and_a_reader_that_is_gone_costs_no_message(thread: Thread) -> None:
    say = thread.console.people.say
    await say("@bellhop stop using floats", "Ada", thread=thread.thread)
    await say("@bellhop and round the tax too", "Ada", thread=thread.thread)
    view = await thread.view()
    assert ([p.text for p in view.unread], need(view)) == (
        ["stop using floats", "and round the tax too"],
        "read",
    )
    thread.reader.takes("stop using floats", "follow_up")
    thread.reader.takes("and round the tax too", "follow_up")
    await thread.reading.read_words(thread.session_id)
    await thread.reading.read_words(thread.session_id)
    view = await thread.view()
    assert [p.prompt.text for p in view.waiting_prompts] == ["stop using floats", "and round the tax too"]


async def test_how_far_it_is_is_answered_without_a_turn(thread: Thread) -> None:
    await thread.rooms.write(
        thread.session_id,
        e.PlanChanged(items=(e.PlanItem(text="find it", status="done"), e.PlanItem(text="fix it"))),
        e.ToolCalled(turn_id="t0", call_id="c0", tool="bash", action="running the tests in `billing`"),
    )
    thread.reader.takes("how far are you?", "status")
    view = await thread.say("how far are you?", "Grace")
    await thread.hears("1 of 2 steps of the plan are done. The last thing I did: running the tests in")
    assert (view.turns, len(view.prompts), view.state) == (1, 1, "running")


async def test_stop_in_other_words_stops_and_undo_goes_on(thread: Thread) -> None:
    thread.reader.takes("hold on, leave it for now", "stop")
    view = await thread.say("hold on, leave it for now")
    assert view.state == "stopped"
    await thread.hears("You want me to stop, I take it, so I do.")
    view = await thread.say("undo")
    assert (view.state, len(view.waiting_prompts)) == ("queued", 2)
    await thread.rooms.set_role("Linus", "prompter")
    thread.reader.takes("halt please, all of it", "stop")
    await thread.rooms.start_turn(thread.session_id, prompt=0)
    view = await thread.say("halt please, all of it", "Linus")
    assert view.state == "running"
    await thread.hears("Sorry, Linus: only Ada, people who prompted here and approvers can stop")


async def test_a_session_moves_by_words_and_says_what_it_leaves_behind(thread: Thread) -> None:
    sha = "0123456789abcdef"
    await thread.rooms.write(
        thread.session_id,
        ChangesRecorded(base_sha="b", head_sha=sha, files=2, insertions=10, deletions=3),
    )
    await thread.rooms.set_role("Linus", "prompter")
    thread.reader.takes("do this in web instead", "move_repository", repository="acme/web")
    view = await thread.say("do this in web instead", "Linus")
    assert (view.state, view.repository and view.repository.slug) == ("running", "acme/billing")
    await thread.hears("Only Ada or an approver can say which repository is meant here.")
    view = await thread.say("do this in web instead")
    assert view.repository is not None
    assert (view.state, view.repository.slug, view.repository.by and view.repository.by.name) == (
        "queued",
        "acme/web",
        "Ada",
    )
    assert ([p.prompt.text for p in view.waiting_prompts], view.changes) == (["round invoices half up"], None)
    await thread.hears(
        "Now in **acme/web**, starting afresh there. Left behind in acme/billing: the changes in 2 files "
        "(+10 −3), up to commit 0123456. That stays saved with this session in acme/billing"
    )
    view = await thread.say("undo")
    assert view.repository is not None
    assert view.repository.slug == "acme/billing"
    thread.reader.takes("wrong repository, I think", "move_repository")
    await thread.say("wrong repository, I think")
    await thread.hears("Another repository, I take it. Which one?")
    await thread.rooms.start_turn(thread.session_id)
    opened = e.PullRequestOpened(
        number=7,
        url="https://f/7",
        branch="b",
        base="main",
        head_sha=sha,
        title="t",
        author="Ada",
        draft=False,
    )
    await thread.rooms.write(thread.session_id, opened)
    view = await thread.say("do this in web instead")
    assert (view.state, view.repository and view.repository.slug) == ("running", "acme/billing")
    await thread.hears(
        "Pull request #7 of this session is in acme/billing already. Mention me in a new message"
    )


async def test_a_move_waits_until_the_worker_has_let_go_and_a_directive_brings_its_request(
    thread: Thread,
) -> None:
    leases = thread.rooms.leases
    lease = await leases.acquire(thread.session_id, "a worker")
    assert lease is not None
    await thread.console.people.say("@bellhop !repo web fix the footer", "Ada", thread=thread.thread)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(thread.reading.read_words(thread.session_id))
        async for record in thread.rooms.log.follow(thread.session_id):
            if isinstance(record.event, e.StopRequested):
                by = record.event.by
                break
        view = await thread.view()
        assert view.turn is not None
        await thread.rooms.write(thread.session_id, SessionStopped(turn_id=view.turn.turn_id, by=by))
        # The worker still saves what was done in billing: until it has let go, nothing moves.
        to_web = Wish("move_repository", slug="acme/web")
        await thread.rooms.commands.understand(thread.session_id, view.unread[0].id, to_web)
        assert (await thread.view()).unread
        await leases.release(lease)
    view = await thread.view()
    assert ([p.prompt.text for p in view.waiting_prompts], view.unread) == (["fix the footer"], ())
    assert (view.repository and view.repository.slug, thread.reader.asked) == ("acme/web", [])
    view = await thread.say("undo")
    assert (view.repository and view.repository.slug, len(view.waiting_prompts)) == ("acme/billing", 1)
    # What is still unread when the session is closed is cancelled like all that waits.
    await thread.console.people.say("@bellhop stop using floats", "Ada", thread=thread.thread)
    view = await thread.rooms.commands.archive(thread.session_id, view.requester)
    assert (view.unread, [p.state for p in view.prompts]) == ((), ["stopped", "cancelled", "cancelled"])


async def test_a_misspelt_repository_is_answered_with_those_it_nearly_names(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        request = await console.people.say("make it faster")
        session_id = await rooms.only_session()
        asked = e.RepositoryAsked(reason="Both could be meant.", candidates=())
        await rooms.write(session_id, asked)
        await console.people.say("biling", thread=request.thread)
        offered = await console.threads.wait_for(lambda m: "No repository is called quite so" in m.text, 60)
        assert "acme/billing" in offered.text
        assert (await rooms.log.view(session_id)).state == "awaiting_repository"
        await console.people.say("billing", thread=request.thread)
        view = await rooms.log.view(session_id)
        assert (view.repository and view.repository.slug, len(view.prompts)) == ("acme/billing", 1)


async def test_the_demo_understands_a_few_words_too(thread: Thread) -> None:
    view = await thread.view()
    prompt = view.prompts[0].prompt
    async with (
        ModelServer({"fast": RehearsedClassifier()}, "key").serve() as base_url,
        provider_client(base_url, "key") as client,
    ):
        words = PlainWords(CATALOGUE, FastModel(client, "fast", timeout_seconds=60), MODELS, "big-5")
        for text, wish in (
            ("do this in web instead", Wish("move_repository", slug="acme/web", former="acme/billing")),
            ("how far are you?", Wish("status")),
            ("stop the header from jumping", Wish("follow_up")),
        ):
            assert await words.wish(prompt.model_copy(update={"text": text}), view) == wish


async def test_two_jobs_for_one_session_ask_once(thread: Thread) -> None:
    thread.reader.takes("use a smaller model", "switch_model", size="smaller")
    await thread.console.people.say("@bellhop use a smaller model", "Ada", thread=thread.thread)
    await asyncio.gather(*(thread.reading.read_words(thread.session_id) for _ in range(4)))
    view = await thread.view()
    assert (view.unread, view.model) == ((), "big-5-mini")
    assert len(thread.reader.asked) == 1
