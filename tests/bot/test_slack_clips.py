"""Voice clips on Slack: written out by the broker's model, shown in the thread, and never in the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.agent.provider_client import provider_client
from sandbox.broker.audio_desk import AudioDesk, Unheard
from sandbox.broker.client import KINDS
from sandbox.broker.operations import application
from sandbox.broker.socket_server import serving
from session.audit import Audit
from session.halt import KillSwitch
from session.people import Person
from session.transcripts import MOST_CLIP_BYTES
from tests.bot.rooms import Rooms
from tests.bot.slack_side import bot_on
from tests.emulators.model.emulator import ModelEmulator
from tests.emulators.model.turns import HttpFault
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.people import Upload

EARS = "ears"
VOICE = Upload("audio_message.m4a", b"voice", "audio/mp4")


@asynccontextmanager
async def ears(rooms: Rooms) -> AsyncIterator[ModelEmulator]:
    """The broker's desk for clips at the rooms' socket, and the provider behind it."""
    async with (
        ModelEmulator() as model,
        provider_client(model.base_url, model.api_key) as client,
    ):
        desk = AudioDesk(client, EARS, Audit(rooms.database), KillSwitch(rooms.database))
        app = application(desk.operations(), {**KINDS, Unheard: "unheard"})
        async with serving(app, rooms.broker.socket, {}):
            yield model


async def test_a_clip_is_the_request_and_everybody_sees_how_it_was_understood(rooms: Rooms) -> None:
    async with (
        ears(rooms) as model,
        SlackEmulator(allow_unread=True) as slack,
        bot_on(slack, rooms),
    ):
        ada, guest = slack.person("Ada"), slack.person("Guest", is_restricted=True)
        model.hear(EARS, "Round invoices half up, please.", "And the credit notes.", "Stop.")
        slack.repeat_events(3)
        request = await ada.say_directly("", files=[VOICE])
        await slack.wait_for_post(request, "Round invoices half up, please.")
        session_id = await rooms.only_session()
        first = (await rooms.log.view(session_id)).prompts[0].prompt
        assert first.text == "Round invoices half up, please."
        assert [(a.media_type, a.text) for a in first.attachments] == [("audio/mp4", first.text)]
        await ada.say_directly("see the clip", thread=request, files=[VOICE])
        await slack.wait_for_post(request, "And the credit notes.")
        second = (await rooms.log.view(session_id)).prompts[1].prompt
        assert (second.text, second.attachments[0].text) == ("see the clip", "And the credit notes.")
        await ada.say_directly("", thread=request, files=[Upload("clip.webm", b"moving", "video/webm")])
        await slack.wait_for_post(request, "Stopped by Ada")
        await guest.say_directly("", files=[VOICE])
        await slack.wait_for_delivery()
        heard = [(h.name, h.content) for h in model.listening.heard]
        assert heard == [("clip.m4a", b"voice"), ("clip.m4a", b"voice"), ("clip.webm", b"moving")]
        rows = await rooms.database.rows("SELECT action, target FROM audit")
        assert [(row["action"], row["target"]) for row in rows] == [("model.transcribe", EARS)] * 3


async def test_a_clip_that_cannot_be_heard_is_said_and_the_request_taken(rooms: Rooms) -> None:
    long = Upload("long.mp3", b"x" * (MOST_CLIP_BYTES + 1), "audio/mpeg")
    odd = Upload("odd.amr", b"x", "audio/amr")
    async with (
        ears(rooms) as model,
        SlackEmulator(allow_unread=True) as slack,
        bot_on(slack, rooms),
    ):
        ada = slack.person("Ada")
        model.hear(EARS, HttpFault(500), "")
        request = await ada.say_directly("round invoices half up", files=[VOICE, long, odd])
        await slack.wait_for_post(request, "What writes recordings out does not answer right now.")
        await slack.wait_for_post(request, "“long.mp3”, so I go by your words alone. It is too long for me.")
        await slack.wait_for_post(request, "I cannot listen to that kind of recording.")
        await slack.wait_for_post(request, "Finding the repository")
        view = await rooms.log.view(await rooms.only_session())
        assert [a.text for a in view.prompts[0].prompt.attachments] == [None, None, None]
        silent = await ada.say_directly("this too", thread=request, files=[VOICE])
        await slack.wait_for_post(silent, "I heard no words in it.")
        switch, admin = KillSwitch(rooms.database), Person(id="p1", name="Grace")
        await switch.engage(admin, "the provider leaks")
        halted = await ada.say_directly("and this", thread=request, files=[VOICE])
        await slack.wait_for_post(halted, "Grace has stopped all work: the provider leaks.")
        await switch.release(admin)
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        alone = await slack.person("Grace").say_directly("and this", files=[VOICE])
        await slack.wait_for_post(alone, "The broker, which holds all credentials, does not answer.")
        await slack.wait_for_post(alone, "Finding the repository")
        assert len(await rooms.sessions()) == 2
