"""What people ask the bot about itself: by a command of the platform, and in plain words on any."""

from __future__ import annotations

from dataclasses import replace

from bot.messages import CommandWords, Inquiry
from bot.platforms.console.people import CHANNEL, PLATFORM, WORKSPACE, identity
from bot.platforms.console.platform import ConsolePlatform
from bot.sentences.overview import NO_SESSION_HERE, NO_SESSIONS, STOPPING
from session.preferences import Preferences
from tests.bot.rooms import PUBLIC_URL, Rooms

ASKED = Inquiry("i1", PLATFORM, WORKSPACE, CHANNEL, "", identity("Ada"), "status")
TYPED = CommandWords(PLATFORM, WORKSPACE, CHANNEL, identity("Ada"), "")


async def test_how_things_stand_and_which_sessions_are_mine(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console) as inbox:
        assert await inbox.on_inquiry(ASKED) == NO_SESSION_HERE
        assert await inbox.on_inquiry(replace(ASKED, name="sessions")) == NO_SESSIONS
        request = await console.people.say("round <!everyone> *half* up")
        session_id = await rooms.only_session()
        page = f"{PUBLIC_URL}/s/{session_id}"
        here = replace(ASKED, thread=request.thread)
        status = await inbox.on_inquiry(here)
        assert r"round \<!everyone\> \*half\* up" in status
        assert status.endswith(page)
        listed = await inbox.on_inquiry(replace(ASKED, name="sessions"))
        assert listed == await inbox.on_words(replace(TYPED, text="sessions"))
        assert page in listed
        guest = replace(here, author=here.author.model_copy(update={"guest": True}), name="stop")
        assert "full members here" in await inbox.on_inquiry(guest)
        assert (await rooms.log.view(session_id)).stop_requested is None
        assert await inbox.on_inquiry(replace(here, name="stop")) == STOPPING
        assert (await rooms.log.view(session_id)).state == "stopped"


async def test_plain_words_set_preferences_and_requests_about_them_stay_requests(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await console.people.say("preferences model model-two")
        told = await console.threads.wait_for(lambda m: m.only_for == "ada", 60)
        assert "goes to `model-two`" in told.text
        ada = await rooms.directory.resolve(identity("Ada"))
        assert await rooms.customs.people.of(ada.id) == Preferences("model-two")
        assert await rooms.sessions() == []
        await console.people.say("preferences model is not saved, please fix it")
        (prompt,) = (await rooms.log.view(await rooms.only_session())).prompts
        assert prompt.prompt.model == "model-two"
