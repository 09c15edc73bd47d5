"""Rules for commands: what is denied never runs; what is asked about runs after a yes, just so and once."""

from __future__ import annotations

from session import events as e
from tests.emulators.model.turns import tool
from tests.faults.waiting import until
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import FINISH, FIX
from tests.journeys.thread import Thread

RULES = {
    BILLING: {
        "deny": [{"command": "git push **", "reason": "publishing goes through Bellhop"}],
        "ask": [{"command": "tee **", "reason": "it writes the ledger"}],
    }
}
ONE, TWO = "echo 2.67 | tee -a ledger.txt", "echo 2.68 | tee -a ledger.txt"


async def told(thread: Thread) -> list[tuple[str, str]]:
    """Status and output of the shell's calls, in order."""
    return [(r.status, r.output) for r in await thread.events(e.ToolReturned) if r.tool == "bash"]


async def test_denied_asked_about_edited_and_refused(open_house: OpenHouse) -> None:
    async with open_house(repositories=RULES) as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        sneaky = tool("bash", command="touch marker && env sh -c 'git push origin main'")
        house.model.script(
            AGENT, sneaky, *(tool("bash", command=each) for each in (ONE, ONE, TWO)), FIX, FINISH
        )
        thread = await ada.asks("round half a cent up")
        first = await thread.hears("May I run this?")
        assert ONE in first.shown
        assert "it writes the ledger" in first.shown
        assert "✅ allows exactly this, once; answer until" in first.shown
        ledger = house.workspace(await thread.session()) / "ledger.txt"
        assert not ledger.exists()
        await ada.reacts("white_check_mark", first)

        # The same once more, and the same in other words: a yes counts for one of them.
        await thread.sees(lambda view: len(view.approvals) == 2, "asked again")
        second = (await thread.is_told())[-1]
        assert ledger.read_text() == "2.67\n"
        assert first.shown.endswith("✅ Approved by Ada, and done.")
        await grace.presses("✅ Approve", second)
        await thread.sees(lambda view: len(view.approvals) == 3, "asked about the other command")
        third = (await thread.is_told())[-1]
        assert TWO in third.shown
        assert ledger.read_text() == "2.67\n2.67\n"
        await ada.reacts("octagonal_sign", third)
        await thread.hears("Half a cent is now rounded up.")
        assert ledger.read_text() == "2.67\n2.67\n"

        denied, *ran, refused = await told(thread)
        assert denied[0] == "error"
        assert "publishing goes through Bellhop" in denied[1]
        assert not (ledger.parent / "marker").exists(), "of a script with a denied command nothing runs"
        assert ran == [("ok", "2.67"), ("ok", "2.67")]
        assert refused == (
            "error",
            "Not run: Ada said no. If it is still needed after that, ask for it anew.",
        )
        await thread.holds_only("card", "approval", "approval", "approval", "answer")


async def test_a_yes_that_comes_too_late_runs_nothing(open_house: OpenHouse) -> None:
    async with open_house(repositories=RULES, settings={"APPROVAL_MINUTES": "0.001"}) as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, tool("bash", command=ONE), FINISH)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I run this?")
        expires_at = (await thread.view()).approvals[0].request.expires_at

        async def ran_out() -> bool:
            return await house.core.log.clock() > expires_at

        await until(ran_out, "the time of the approval is over")
        await ada.reacts("white_check_mark", asked)
        await thread.hears(
            "That can no longer be approved: its time ran out. If it is still wanted, just say"
        )
        await house.slack.wait_for(lambda: "No longer open: its time ran out" in asked.shown)
        await thread.hears("Half a cent is now rounded up.")
        [(status, output)] = await told(thread)
        assert status == "error"
        assert "the request no longer stands (its time ran out)" in output
        assert not (house.workspace(await thread.session()) / "ledger.txt").exists()
        await thread.holds_only("card", "approval", "answer")
