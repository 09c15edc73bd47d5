"""The workspace's own emoji: the set that is shipped, and what the bot does with it."""

from __future__ import annotations

import struct
import zlib

from bot.messages import DONE, FAILED, SEEN, STOPPED, TAKEN
from bot.platforms.slack.blocks import TONE_EMOJI
from bot.platforms.slack.workspace import OWN_EMOJI
from deploy.emoji.draw import PICTURES, png
from session import events as e
from tests.bot.rooms import Rooms
from tests.bot.slack_side import bot_on
from tests.emulators.slack.emulator import SlackEmulator
from tests.provision.places import CHECKOUT

SHIPPED = {path.stem: path.read_bytes() for path in (CHECKOUT / "deploy" / "emoji").glob("*.png")}
MOST_BYTES = 64_000


def pixels(picture: bytes) -> bytes:
    """What a PNG of a single piece shows, row by row."""
    start = picture.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", picture[start - 8 : start - 4])
    return zlib.decompress(picture[start : start + length])


def test_every_emoji_that_is_looked_for_is_shipped_and_slack_takes_it() -> None:
    assert set(OWN_EMOJI) == {SEEN, TAKEN, DONE, FAILED, STOPPED}
    assert set(SHIPPED) == {*OWN_EMOJI.values(), *(f"bellhop-{tone}" for tone in TONE_EMOJI)} == set(PICTURES)
    for name, picture in SHIPPED.items():
        assert picture.startswith(b"\x89PNG\r\n\x1a\n"), name
        assert struct.unpack(">II", picture[16:24]) == (128, 128), name
        assert len(picture) < MOST_BYTES, name
    assert len({pixels(picture) for picture in SHIPPED.values()}) == len(SHIPPED)
    assert pixels(SHIPPED["bellhop"]) == pixels(png(PICTURES["bellhop"]))


async def test_a_workspace_with_the_whole_set_sees_it_and_starts_by_its_bell(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack:
        slack.custom_emoji(*SHIPPED)
        async with bot_on(slack, rooms):
            ada = slack.person("Ada")
            report = await ada.say(slack.channel("bugs"), "checkout is off", mention_bot=False)
            await ada.react(report, "bellhop")
            await slack.wait_for_delivery()
            session_id = await rooms.only_session()
            await slack.wait_for(lambda: slack.workspace.bot.id in report.reactions["bellhop"])
            await rooms.start_turn(session_id)
            card = await slack.wait_for_post(report, ":bellhop-working:")
            await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="It is right now."))
            await slack.wait_for(lambda: ":bellhop-done:" in card.shown)
            await slack.wait_for(lambda: slack.workspace.bot.id in report.reactions.get("bellhop-done", []))
