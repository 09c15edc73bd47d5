"""Slack's home tab, slash command and modals, on the emulated workspace."""

from __future__ import annotations

import asyncio
import json

import pytest

from bot.home_view import Home, HomeSession
from bot.messages import Choice, Place
from bot.platforms.slack.blocks import render
from bot.platforms.slack.home import REPOSITORY_INPUT, home_view
from bot.platforms.slack.workspaces import SlackWorkspaces
from bot.thread_posts import repository_menu
from session import events as e
from session.people import Identity, Person
from session.preferences import Preferences
from tests.bot.rooms import CATALOGUE, PUBLIC_URL, Rooms
from tests.bot.slack_side import Way, bot_on, slack_platform
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.limits import elements_of
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.rendering import label_of
from tests.emulators.slack.views import View, check_view
from tests.emulators.slack.workspace import TEAM_ID, Message


async def person_of(rooms: Rooms, somebody: SlackPerson) -> Person:
    identity = Identity(
        platform="slack",
        workspace=TEAM_ID,
        account=somebody.id,
        name=somebody.name,
        email=f"{somebody.name.lower()}@emulated.example",
    )
    return await rooms.directory.resolve(identity)


def shown_on(view: View | None) -> str:
    """All words on a home tab."""
    assert view is not None
    return str(view.blocks)


async def home_of(slack: SlackEmulator, somebody: SlackPerson) -> View:
    await somebody.open_home()
    await slack.wait_for_delivery()
    assert somebody.home is not None
    return somebody.home


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_the_home_tab_shows_sessions_and_takes_preferences(rooms: Rooms, way: Way) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms, way):
        ada, guest = slack.person("Ada"), slack.person("Gus", is_restricted=True)
        assert "welcome to watch" in shown_on(await home_of(slack, guest))
        await ada.open_home("messages")
        await slack.wait_for_delivery()
        assert ada.home is None
        assert "Nothing is under way" in shown_on(await home_of(slack, ada))
        request = await ada.say(slack.channel("general"), "make <b>it</b> faster")
        await slack.wait_for_post(request, "Finding the repository")
        session_id = await rooms.only_session()
        home = await home_of(slack, ada)
        assert "At work" in shown_on(home)
        assert "make &amp;lt;b&amp;gt;it" not in shown_on(home)
        assert f"{PUBLIC_URL}/s/{session_id}" in shown_on(home)
        await rooms.write(session_id, e.RepositoryAsked(reason="It could be two.", candidates=()))
        assert "Waiting for you" in shown_on(await home_of(slack, ada))

        await ada.pick(home, "bellhop-home:model", "model-two")
        await ada.pick(home, "bellhop-home:verbosity", "quiet")
        await ada.press(home, "Set a branch…")
        form = ada.modal
        assert form is not None
        branch = {REPOSITORY_INPUT: "acme/web", "bellhop-branch:name": "not a branch"}
        errors = await ada.submit(form, **branch)
        assert "cannot be a branch" in errors["branch"]
        assert await ada.submit(form, **branch | {"bellhop-branch:name": "develop"}) == {}
        book, person = rooms.customs.people, await person_of(rooms, ada)
        assert await book.of(person.id) == Preferences("model-two", "quiet", {"acme/web": "develop"})
        assert "acme/web: `develop`" in shown_on(ada.home)
        assert "'value': 'quiet'}}" in shown_on(ada.home).replace("initial_option", "")
        old = json.loads(json.dumps(home.content).replace("model-two", "model-gone"))
        await ada.pick(View(home.id, ada.user, old, home.version), "bellhop-home:model", "model-gone")
        assert "I do not know a model called “model-gone”" in shown_on(ada.home)
        await ada.press(home, "Forget")
        await asyncio.gather(
            ada.pick(home, "bellhop-home:model", "default"),
            ada.pick(home, "bellhop-home:verbosity", "normal"),
        )
        assert await book.of(person.id) == Preferences()
        assert [initial(home, name) for name in ("model", "verbosity")] == ["default", "normal"]
        refused = {call.error for call in slack.calls_to("views.publish")} - {None}
        assert refused <= {"hash_conflict"}


def initial(view: View, name: str) -> str:
    """What a menu of the home tab shows as chosen."""
    menus = {element.get("action_id"): element for element in elements_of(view.blocks)}
    return str(menus[f"bellhop-home:{name}"]["initial_option"]["value"])


def test_no_home_tab_is_more_than_slack_takes() -> None:
    session = HomeSession(
        "<!channel> & " * 60, "awaiting_approval", "a/" + "r" * 200, "https://x.example/s/1"
    )
    branches = {f"{'o' * 100}/{n}{'r' * 100}": "b" * 200 for n in range(60)}
    models = ("m" * 200, *(f"model-{n}-{'m' * 60}" for n in range(150)))
    full = Home(
        waiting=(session,) * 10,
        running=(session,) * 10,
        preferences=Preferences("model-3-" + "m" * 60, "detailed", branches),
        models=models,
        account_page="https://x.example/account",
    )
    view = check_view(home_view(full, "& " * 3_000), "home")
    assert "<!channel>" not in str(view)
    check_view(home_view(Home(models=("one",))), "home")


async def test_the_command_answers_its_writer_alone(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        ada, guest = slack.person("Ada"), slack.person("Gus", is_restricted=True)
        channel = slack.channel("billing")

        async def told(somebody: SlackPerson, text: str) -> str:
            answer = await somebody.command(channel, "/bellhop", text)
            assert answer is not None
            assert answer["response_type"] == "ephemeral"
            return str(answer["text"])

        assert "Model: as usual, `model-one`" in await told(ada, "")
        assert "`model-two`" in await told(ada, "model MODEL-TWO")
        assert "There is model-one and model-two." in await told(ada, "model gpt-9")
        assert "“a&lt;b” here" in await told(ada, "a<b")
        assert "`develop`" in await told(ada, "branch acme/web develop")
        assert "Did you mean acme/web or" in await told(ada, "branch acme/wbe develop")
        assert "updates" not in await told(ada, "verbosity quiet")
        assert "no sessions yet" in await told(ada, "sessions")
        assert "/bellhop verbosity" in await told(ada, "help")
        await ada.say_directly("make fix_it & *go*")
        await slack.wait_for_delivery()
        session_id = await rooms.only_session()
        listed = await told(ada, "sessions")
        assert "fix_it &amp;" in listed
        assert f"{PUBLIC_URL}/s/{session_id}" in listed
        assert "Nothing special" in await told(ada, "channel")
        assert "set by admins" in await told(ada, "channel repository acme/web")
        assert "full members here" in await told(guest, "model model-two")
        person = await person_of(rooms, ada)
        await rooms.directory.set_role(person.id, "admin")
        assert "`acme/web`, unless" in await told(ada, "channel repository acme/web")
        assert "“outage” starts work" in await told(ada, "channel words outage invoice=acme/billing")
        assert "only to those who mention me" in await told(ada, "channel mentions on")
        (rules,) = await rooms.customs.channels.all()
        assert (rules.channel.channel, rules.channel.name) == (channel.id, "billing")
        await ada.command(slack.channel("secret", kind="group"), "/bellhop", "channel mentions off")
        assert {rules.channel.name for rules in await rooms.customs.channels.all()} == {"billing", "secret"}
        direct = slack.workspace.direct_channel(ada.id)
        answer = await ada.command(direct, "/bellhop", "channel repository acme/web")
        assert answer is not None
        assert "only the two of us" in answer["text"]
        assert await rooms.sessions() == [session_id]


async def test_channel_rules_decide_who_is_listened_to(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        ada, guest = slack.person("Ada"), slack.person("Gus", is_restricted=True)
        channel = slack.channel("alerts")
        admin = await person_of(rooms, ada)
        await rooms.directory.set_role(admin.id, "admin")
        await ada.command(channel, "/bellhop", "channel words outage")
        await ada.command(channel, "/bellhop", "channel mentions on")
        for somebody, text in ((ada, "all is well"), (guest, "outage!"), (ada, f"<@{guest.id}> outage?")):
            await somebody.say(channel, text, mention_bot=False)
        await slack.wait_for_delivery()
        assert await rooms.sessions() == []
        request = await ada.say(channel, "Outage in the shop", mention_bot=False)
        card = await slack.wait_for_post(request, "Finding the repository")
        session_id = await rooms.only_session()
        await ada.say(channel, "since Monday", thread=request, mention_bot=False)
        await ada.say(channel, "and only there", thread=request)
        await slack.wait_for_delivery()
        view = await rooms.log.view(session_id)
        assert [item.prompt.text for item in view.prompts] == ["Outage in the shop", "and only there"]
        await ada.say(channel, "preferences verbosity detailed", thread=request)
        told = await slack.wait_for_post(request, "each run of the checks")
        assert told.ephemeral_for == ada.id
        await slack.wait_for_delivery()
        answers = [m for m in slack.thread(request) if "each run of the checks" in m.shown]
        assert len(answers) == 1, "a mention comes as two events"
        await rooms.start_turn(session_id)
        check = e.CheckResult(command="make test", verdict="passed", exit_code=0)
        ran = e.VerificationFinished(turn_id="t0", head_sha="0123456789ab", verdict="passed", checks=(check,))
        await rooms.write(session_id, e.UpdatePosted(text="Halfway there"), ran)
        await slack.wait_for_post(request, "Checks passed on 0123456")
        await rooms.customs.people.set_verbosity(admin, "quiet", through="web")
        await rooms.write(session_id, e.UpdatePosted(text="Nearly there"), ran)
        await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="All done."))
        await slack.wait_for_post(request, "All done.")
        shown = [message.shown for message in slack.posts(request) if message is not card]
        assert [any(text in words for words in shown) for text in ("Halfway", "Nearly")] == [True, False]


MANY = [Choice(r.slug, r.slug) for r in CATALOGUE.active] + [
    Choice(f"acme/web-{n}", f"acme/web-{n}") for n in range(150)
]


def with_many(slack: SlackEmulator) -> SlackWorkspaces:
    return slack_platform(slack, repositories=MANY)


async def asked(rooms: Rooms, slack: SlackEmulator, platform: SlackWorkspaces, request: Message) -> Message:
    """The question of a session which repository is meant, with more choices than a menu holds."""
    await slack.wait_for_post(request, "Finding the repository")
    session_id = await rooms.only_session()
    await rooms.write(session_id, e.RepositoryAsked(reason="Hm.", candidates=()))
    origin = (await rooms.log.view(session_id)).origin
    place = Place(origin.workspace, origin.channel, origin.thread)
    await platform.post(place, repository_menu(session_id, "Which of many?", (), MANY), "k1")
    return await slack.wait_for_post(request, "Which of many?")


async def test_two_search_for_the_repository_and_the_first_wins(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack:
        platform = with_many(slack)
        async with bot_on(slack, rooms, platform=platform):
            ada, bo = slack.person("Ada"), slack.person("Bo")
            channel = slack.channel("general")
            channel.members.add(bo.id)
            request = await ada.say(channel, "make it faster")
            question = await asked(rooms, slack, platform, request)
            for somebody in (ada, bo):
                await somebody.press(question, "Search…")
            first, second = ada.modal, bo.modal
            assert first is not None
            assert second is not None
            found = await ada.search(first, REPOSITORY_INPUT, "web")
            assert len(found) == 100
            assert found[0]["value"] == "acme/web", "the one that is meant stands first"
            assert await ada.submit(first, **{REPOSITORY_INPUT: "acme/web"}) == {}
            assert await bo.submit(second, **{REPOSITORY_INPUT: "acme/billing"}) == {}
            told = await slack.wait_for_post(request, "Ada has picked acme/web in the meantime")
            assert told.ephemeral_for == bo.id
            chosen = (await rooms.log.view(await rooms.only_session())).repository
            assert chosen is not None
            assert (chosen.slug, chosen.by and chosen.by.name) == ("acme/web", "Ada")


async def test_a_search_that_comes_too_late_is_said(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True, trigger_seconds=-1.0) as slack:
        platform = with_many(slack)
        async with bot_on(slack, rooms, platform=platform):
            ada = slack.person("Ada")
            request = await ada.say(slack.channel("general"), "make it faster")
            question = await asked(rooms, slack, platform, request)
            await ada.press(question, "Search…")
            await slack.wait_for_post(request, "I was too slow to open that")
            assert slack.calls_to("views.open")[0].error == "expired_trigger_id"
        slack.take_violations()


def test_a_menu_that_shows_all_has_no_search() -> None:
    few = render(repository_menu("s1", "Which?", (), MANY[:20]))
    many = render(repository_menu("s1", "Which?", (), MANY))
    assert [label_of(element) == "Search…" for element in elements_of(few.blocks)] == [False]
    assert [label_of(element) == "Search…" for element in elements_of(many.blocks)] == [False, True]
