"""From words on a console to an answer in its thread, through the real log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from bot.messages import SEEN, StatusCard
from bot.platforms.console.people import identity
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.console.thread import BOT, ConsoleMessage
from session import events as e
from session.directory import LINK_PURPOSE
from session.people import Identity
from tests.bot.rooms import Rooms, repository_chosen
from tests.bot.views import ASKED_BUDGET, ASKED_COMMAND, ASKED_EGRESS, ASKED_PLAN


def card_says(state: str) -> Callable[[ConsoleMessage], bool]:
    return lambda m: isinstance(m.content, StatusCard) and m.content.state == state


def question_in(thread: str) -> Callable[[ConsoleMessage], bool]:
    return lambda m: m.kind == "repository" and m.thread == thread


def settled(message: str) -> Callable[[ConsoleMessage], bool]:
    return lambda m: m.id == message and "Repository: **acme/web**" in m.text


def told(name: str) -> Callable[[ConsoleMessage], bool]:
    return lambda m: m.only_for == name.lower()


def reactions(message: ConsoleMessage | None) -> set[str]:
    return {emoji for emoji, name in message.reactions if name == BOT} if message else set()


async def test_a_request_becomes_a_session_with_one_card_and_one_answer(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        request = await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await console.threads.wait_for(card_says("Finding the repository"), 60)
        assert reactions(console.threads.get(request.id)) == {SEEN}
        await rooms.start_turn(session_id)
        await rooms.write(
            session_id,
            e.PlanChanged(items=(e.PlanItem(text="find the rounding"),)),
            e.ToolCalled(turn_id="t0", call_id="c0", tool="bash", action="running the tests in `billing`"),
        )
        await console.threads.wait_for(lambda m: "running the tests" in m.text, 60)
        await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="Rounded **half up**."))
        answer = await console.threads.wait_for(lambda m: m.kind == "answer", 60)
        await console.threads.wait_for(card_says("Done"), 60)
        await console.threads.wait_for(lambda m: m.id == request.id and reactions(m) == {"✅"}, 60)
    assert "half up" in answer.text
    assert [m.kind for m in console.threads] == ["request", "card", "answer"]


async def test_a_yes_approves_exactly_what_was_shown_and_can_be_taken_back(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await rooms.ask_approval(session_id)
        asking = await console.threads.wait_for(lambda m: m.asks, 60)
        assert "Round half up" in asking.text
        assert "0123456" in asking.text
        await console.people.react("✅", "Grace")
        view = await rooms.log.view(session_id)
        assert view.approvals[0].state == "given"
        assert view.approvals[0].by is not None
        assert view.approvals[0].by.name == "Grace"
        await console.threads.wait_for(lambda m: m.id == asking.id and "Approved by Grace" in m.text, 60)
        # Somebody else's emoji that goes away is nobody's withdrawal.
        await console.people.react("✅", "Ada", on=asking.id, added=False)
        assert (await rooms.log.view(session_id)).approvals[0].state == "given"
        await console.people.react("✅", "Grace", on=asking.id, added=False)
        assert (await rooms.log.view(session_id)).approvals[0].state == "open"
        await console.threads.wait_for(lambda m: m.id == asking.id and m.asks, 60)
        await console.people.react("🛑", "Grace")
        assert (await rooms.log.view(session_id)).approvals[0].state == "refused"


async def test_a_refusal_is_told_to_that_person_alone(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await rooms.set_role("Linus", "viewer")
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await rooms.ask_approval(session_id)
        await console.threads.wait_for(lambda m: m.asks, 60)
        await console.people.react("👍", "Linus")
        told = await console.threads.wait_for(lambda m: m.only_for == "linus", 60)
        assert "approv" in told.text
        assert (await rooms.log.view(session_id)).approvals[0].state == "open"


async def test_plain_stop_stops_and_the_follow_up_in_line_is_kept_and_said_so(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        request = await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await console.people.say("also add a test", thread=request.thread)
        await console.people.say("Stop, please!", thread=request.thread)
        await console.people.say("stop please", thread=request.thread)
        notice = await console.threads.wait_for(lambda m: m.kind == "notice" and "Stopped" in m.text, 60)
        assert "1 follow-up is kept" in notice.text
        await console.threads.wait_for(card_says("Stopped"), 60)
        await console.people.react("🔁")
        assert (await rooms.log.view(session_id)).state == "queued"


async def test_the_bell_starts_a_session_from_any_message_with_its_thread(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        report = await console.people.say("checkout shows 0.1 too much", "Grace", mention=False)
        await console.people.say("same here since Monday", "Linus", thread=report.thread, mention=False)
        assert await rooms.sessions() == []
        await console.people.react("🛎️", "Ada", on=report.id)
        session_id = await rooms.only_session()
        view = await rooms.log.view(session_id)
        assert view.requester.name == "Ada"
        assert view.prompts[0].prompt.text == "checkout shows 0.1 too much"
        assert [(line.author, line.text) for line in view.prompts[0].prompt.context] == [
            ("Grace", "checkout shows 0.1 too much"),
            ("Linus", "same here since Monday"),
        ]
        # A second person rings for the same message: one session.
        await console.people.react("🛎", "Linus", on=report.id)
        assert await rooms.sessions() == [session_id]


async def test_the_repository_is_asked_for_and_picked_by_button_menu_or_words(rooms: Rooms) -> None:
    for pick in ("button", "menu", "words"):
        console = ConsolePlatform()
        async with rooms.serving(console):
            request = await console.people.say(f"make it faster ({pick})")
            session_id = (await rooms.sessions())[0]
            candidate = e.Candidate(slug="acme/web", reason="the shop is slow")
            await rooms.write(
                session_id, e.RepositoryAsked(reason="It could be two.", candidates=(candidate,))
            )
            asked = await console.threads.wait_for(question_in(request.thread), 60)
            if pick == "button":
                await console.people.press("acme/web")
            elif pick == "menu":
                await console.people.press("", value="acme/web")
            else:
                await console.people.say("web", thread=request.thread)
            chosen = (await rooms.log.view(session_id)).repository
            assert chosen is not None
            assert (chosen.slug, chosen.how) == ("acme/web", "picked")
            await console.threads.wait_for(settled(asked.id), 60)


async def test_a_wrong_repository_is_put_right_in_two_clicks(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.write(session_id, repository_chosen())
        await console.threads.wait_for(lambda m: "[Wrong repository?]" in m.text, 60)
        await console.people.press("Wrong repository?")
        await console.people.press("", value="acme/web")
        view = await rooms.log.view(session_id)
        assert view.repository is not None
        assert view.repository.slug == "acme/web"


async def test_who_may_not_pick_gets_no_menu_into_the_thread(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await rooms.set_role("Linus", "viewer")
        await rooms.set_role("Margaret", "prompter")
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await console.threads.wait_for(lambda m: "[Wrong repository?]" in m.text, 60)
        for name in ("Linus", "Margaret"):
            await console.people.press("Wrong repository?", name)
            await console.threads.wait_for(told(name), 60)
        assert not [m for m in console.threads if m.kind == "repository"]
        assert (await rooms.log.view(session_id)).state == "running"


async def test_a_question_is_answered_by_button(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await rooms.write(
            session_id,
            e.QuestionAsked(
                question_id="q1", turn_id="t0", call_id="c1", text="Which way?", options=("up", "even")
            ),
        )
        await console.threads.wait_for(lambda m: m.kind == "question", 60)
        await console.people.press("even")
        await console.threads.wait_for(lambda m: m.kind == "question" and "Ada: even" in m.text, 60)
        answers = [
            r.event for r in await rooms.log.read(session_id) if isinstance(r.event, e.QuestionAnswered)
        ]
        assert [answer.text for answer in answers] == ["even"]


async def test_feedback_fork_and_an_empty_mention_get_a_kind_word(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await console.people.say("   ")
        assert "in your own words" in console.threads.transcript()
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="Done."))
        await console.threads.wait_for(lambda m: m.kind == "answer", 60)
        await console.people.react("👍🏽", "Grace")
        await console.people.react("🍴", "Grace")
        given = [r.event for r in await rooms.log.read(session_id) if isinstance(r.event, e.FeedbackGiven)]
        assert [(f.verdict, f.by.name) for f in given] == [("good", "Grace")]
        assert "not possible yet" in console.threads.transcript()


async def test_forty_thousand_characters_and_leading_directives_arrive(rooms: Rooms) -> None:
    console = ConsolePlatform()
    long = "word " * 7_999 + "last!"
    async with rooms.serving(console):
        await console.people.say(f"!repo acme/web !model small\n!branch release-2 {long}")
        view = await rooms.log.view(await rooms.only_session())
    prompt = view.prompts[0].prompt
    assert (prompt.repository, prompt.model, prompt.branch) == ("acme/web", "small", "release-2")
    assert prompt.text == long


async def test_two_people_talking_are_left_alone_until_they_call(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        request = await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await console.threads.wait_for(lambda m: m.kind == "card", 60)
        thread = request.thread
        await console.people.say("and the credit notes", thread=thread, mention=False)
        await console.people.say("is that right, Ada?", "Grace", thread=thread, mention=False)
        await console.people.say("yes I think so", "Ada", thread=thread, mention=False)
        view = await rooms.log.view(session_id)
        assert [p.prompt.text for p in view.prompts] == ["round invoices half up", "and the credit notes"]


async def test_calling_on_the_bot_by_name_is_not_part_of_the_request(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await console.people.say("@Bellhop, mail ada@bellhop.example about @bellhop's bell")
        view = await rooms.log.view(await rooms.only_session())
    assert view.prompts[0].prompt.text == "mail ada@bellhop.example about @bellhop's bell"


async def test_a_code_from_the_account_page_links_the_chat_account_once(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        on_the_page = await rooms.directory.resolve(
            Identity(platform="github", workspace="", account="17", name="Ada Lovelace")
        )
        code = await rooms.directory.issue_ticket(LINK_PURPOSE, on_the_page.id, 60)
        await console.people.say(f"link {code}")
        told = await console.threads.wait_for(lambda m: m.only_for == "ada", 60)
        assert "Ada Lovelace" in told.text
        assert (await rooms.directory.resolve(identity("Ada"))).id == on_the_page.id
        await console.people.say(f"link {code}", "Grace")
        spent = await console.threads.wait_for(lambda m: m.only_for == "grace", 60)
        assert "has been used" in spent.text
        assert await rooms.sessions() == []


@pytest.mark.parametrize(
    "asked", [ASKED_EGRESS, ASKED_COMMAND, ASKED_BUDGET, ASKED_PLAN], ids=lambda asked: asked.kind
)
async def test_governance_asks_and_is_answered_like_everything_else(
    rooms: Rooms, asked: e.ApprovalRequested
) -> None:
    console = ConsolePlatform()
    expires = datetime.now(UTC) + timedelta(minutes=30)
    requests = [
        asked.model_copy(update={"approval_id": f"a{n}", "expires_at": expires, "turn_id": "t0"})
        for n in range(4)
    ]
    async with rooms.serving(console):
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        for number, request in enumerate(requests):
            await rooms.write(session_id, request)
            await console.threads.wait_for(lambda m: m.asks and asked.title in m.text, 60)
            match number:
                case 0:
                    await console.people.react("✅", "Grace")
                    await rooms.write(session_id, e.ApprovalUsed(approval_id="a0"))
                case 1:
                    await console.people.react("🛑", "Grace")
                case 2:
                    await console.people.press("✅ Approve", "Grace")
                    await rooms.write(session_id, e.ApprovalUsed(approval_id="a2"))
                case 3:
                    await console.people.press("🛑 No", "Grace")
            await console.threads.wait_for(settled_number(number + 1), 60)
        view = await rooms.log.view(session_id)
    assert [item.state for item in view.approvals] == ["used", "refused", "used", "refused"]


HOW_IT_ENDED = ("and done", "I work by it", "said no")


def settled_number(count: int) -> Callable[[ConsoleMessage], bool]:
    """Whether that many approvals show how they ended."""
    seen: set[str] = set()

    def look(message: ConsoleMessage) -> bool:
        if message.kind == "approval" and any(words in message.text for words in HOW_IT_ENDED):
            seen.add(message.id)
        return len(seen) == count

    return look
