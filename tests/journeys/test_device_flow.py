"""Codes for linking that come to nothing: each ends in a sentence to the person alone, with what to do."""

from __future__ import annotations

import re
import secrets

from tests.emulators.slack.workspace import Message
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, House, Member
from tests.journeys.steps import FINISH


async def code(house: House, member: Member) -> tuple[Message, str]:
    """The place and the code that the member gets for saying "link"."""
    direct = await member.slack.say_directly("link")
    told = await house.slack.wait_for_post(direct, "To link your GitHub account")
    assert told.ephemeral_for == member.slack.id
    found = re.search(r"[A-Z]{4}-[A-Z]{4}", told.shown)
    assert found is not None
    return direct, found[0]


async def hears(house: House, member: Member, direct: Message, words: str) -> None:
    """The member is told that, and nobody else."""
    told = await house.slack.wait_for_post(direct, words)
    assert told.ephemeral_for == member.slack.id


async def test_refused_run_out_taken_and_unlinked(open_house: OpenHouse) -> None:
    async with open_house() as house:
        devices = house.github.sign_in.devices
        devices.interval = 0.05
        ada, grace = await house.member("Ada", linked=False), await house.member("Grace")

        direct, first = await code(house, ada)
        devices.deny(first)
        await hears(house, ada, direct, "You said no on GitHub, so nothing was linked. Say “link” to begin")
        direct, second = await code(house, ada)
        devices.expire(second)
        await hears(house, ada, direct, "The code ran out before it was typed in. Say “link” for a new one.")
        wrong = await ada.slack.say_directly(f"link {secrets.token_urlsafe(32)}")
        await hears(
            house, ada, wrong, "That code has been used, or its time is over. Your account page gives"
        )
        # Ada types in her code while signed in to GitHub as Grace.
        direct, third = await code(house, grace)
        devices.enter(third, "grace")
        await hears(house, grace, direct, "Linked: what you ask for is done as grace on GitHub")
        direct, fourth = await code(house, ada)
        devices.enter(fourth, "grace")
        await hears(house, ada, direct, "The GitHub account grace already belongs to somebody else here")
        nothing = await ada.slack.say_directly("unlink")
        await hears(
            house, ada, nothing, "No GitHub account of yours is linked, so there is nothing to unlink"
        )

        unlinked = await grace.slack.say_directly("unlink github")
        await hears(house, grace, unlinked, "Unlinked: nothing is done as grace on GitHub for you any more.")
        thread = await grace.asks("round half a cent up")
        failure = await thread.hears("Grace has no linked account on github")
        assert "Say “link” to me in a direct message" in failure.shown
        assert await house.environment.list() == []

        direct, fifth = await code(house, grace)
        devices.enter(fifth, "grace")
        await hears(house, grace, direct, "If a turn failed over it, try 🔁.")
        house.model.script(AGENT, FINISH)
        await grace.reacts("repeat", await thread.card("Failed"))
        await thread.hears("Half a cent is now rounded up.")
        await thread.holds_only("card", "failure", "answer")
