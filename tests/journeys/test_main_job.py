"""The main job: a request in Slack becomes a pull request in the person's own name, and is merged."""

from __future__ import annotations

from session import events as e
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import WHOLE


async def test_from_a_mention_to_the_merge(open_house: OpenHouse, database_url: str) -> None:
    async with open_house(database_url=database_url) as house:
        ada = await house.member("Ada")
        await house.member("Grace")
        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("our invoice totals are off by a cent: 2.665 should become 2.67")
        await thread.is_marked("eyes")
        asked = await thread.hears("May I publish this?")
        await thread.card("Waiting for your approval")
        await ada.reacts("white_check_mark", asked)
        answer = await thread.hears("Half a cent is now rounded up.")
        assert "Checks passed on" in answer.shown
        assert "Pull request #1" in answer.buttons
        assert "price unknown" not in answer.shown
        await thread.is_marked("white_check_mark")

        pull = house.github.pull(BILLING, 1)
        assert (pull.author.login, pull.title, pull.state) == ("ada", "Round half a cent up", "open")
        [commit] = await house.commits(BILLING, "main", pull.branch)
        assert commit.startswith("Ada\nRound half a cent up")

        await house.github.merge(BILLING, 1, "grace")
        await thread.hears("Pull request #1 was merged by grace.")
        card = await thread.card("#1 merged")
        assert "Stop" not in card.buttons
        assert [event.state for event in await thread.events(e.PullRequestStateChanged)] == ["merged"]
        await thread.holds_only("card", "approval", "answer", "notice")


async def test_in_a_container_and_over_http(open_house: OpenHouse, docker_host: str, base_image: str) -> None:
    async with open_house(docker=(docker_host, base_image), way="http") as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("round half a cent up")
        await ada.reacts("white_check_mark", await thread.hears("May I publish this?"))
        await thread.hears("Half a cent is now rounded up.")
        assert house.github.pull(BILLING, 1).author.login == "ada"
        sandbox = (await thread.view()).sandbox
        assert sandbox is not None
        assert sandbox.backend == "docker"
        await thread.holds_only("card", "approval", "answer")
