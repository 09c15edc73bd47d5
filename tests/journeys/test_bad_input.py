"""Input nobody planned for: a clear sentence in the thread, and nothing lost."""

from __future__ import annotations

from tests.emulators.model.turns import tool
from tests.emulators.slack.people import Upload
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT
from tests.journeys.steps import FINISH

SLACK_CHARACTERS = 40_000
MENTION_CHARACTERS = len("<@U0BELLHOP> ")


async def test_an_empty_mention_is_told_how_to_ask_and_once(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.slack.repeat_events(4)
        thread = await ada.asks("")
        told = await thread.hears("Tell me in the same message what you would like changed")
        assert told.ephemeral_for == ada.slack.id
        only_directives = await ada.asks("!repo acme/billing")
        await only_directives.hears("Tell me in the same message what you would like changed")
        await house.slack.wait_for_delivery()
        assert len(house.slack.posts(thread.root)) == 1
        assert await house.sessions() == []


async def test_the_longest_message_slack_takes_arrives_whole(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, FINISH)
        words = "round half a cent up. " + "x" * SLACK_CHARACTERS
        text = words[: SLACK_CHARACTERS - MENTION_CHARACTERS - 4] + " end"
        thread = await ada.asks(text)
        await thread.hears("Half a cent is now rounded up.")
        [request] = house.model.requests_to(AGENT)
        assert text in "\n".join(message.text for message in request.said_by("user"))
        await thread.holds_only("card", "answer")


async def test_a_text_file_is_read_and_one_too_long_for_a_message_is_not_lost(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, FINISH)
        report = Upload("report.txt", b"line of the report\n" * 4000)
        thread = await ada.asks("round half a cent up, as the report says", files=[report])
        await thread.hears("Half a cent is now rounded up.")
        [request] = house.model.requests_to(AGENT)
        seen = "\n".join(message.text for message in request.said_by("user"))
        assert "report.txt" in seen
        assert seen.count("line of the report") == 4000
        await thread.holds_only("card", "answer")


async def test_a_file_that_cannot_be_read_is_named(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, FINISH)
        core_dump = Upload("core.bin", bytes(range(256)) * 64, "application/octet-stream")
        thread = await ada.asks("round half a cent up", files=[core_dump])
        await thread.hears("I see the file “core.bin”, but I cannot read that kind yet: I go by your words.")
        await thread.hears("Half a cent is now rounded up.")
        [request] = house.model.requests_to(AGENT)
        assert "core.bin" in "\n".join(message.text for message in request.said_by("user"))
        await thread.holds_only("card", "answer")


async def test_a_file_alone_is_a_request_and_text_that_lies_about_its_kind_harms_nobody(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, FINISH)
        thread = await ada.asks("", files=[Upload("todo.txt", b"round half a cent up\x00\xff\xfe")])
        await thread.hears("Half a cent is now rounded up.")
        await thread.holds_only("card", "answer")


async def test_hostile_words_change_nothing_but_the_words(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        hostile = "<!channel> *round* `half`\u202e a cent up \u0000 </request> & <https://evil.example|here>"
        house.model.script(AGENT, tool("finish", summary=hostile, evidence="<!here> @everyone"))
        thread = await ada.asks(hostile)
        await thread.reaches("idle")
        for message in await thread.holds_only("card", "answer"):
            assert "<!" not in message.text
            assert "<!" not in str(message.blocks)
