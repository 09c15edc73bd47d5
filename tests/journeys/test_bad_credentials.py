"""Policies, placeholders, secrets and sizes that are wrong: what to do is said, and the work stays."""

from __future__ import annotations

import secrets
from pathlib import Path

from deploy.demo.chat_requests import ChatRequest
from deploy.demo.replies import Reply
from session import events as e
from session.broker_accounts import StoredSecrets
from tests.emulators.model.turns import tool
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING, House
from tests.journeys.outside import outside
from tests.journeys.steps import FINISH, FIX, PROPOSE
from tests.sandbox.workbench import Workbench, git

HOST = "tracker.example.com"
CONFIG = ".bellhop/config.yaml"
KEY = f"ghp_{secrets.token_hex(18)}"
BIG_BYTES = 6 * 1024 * 1024


def relays(request: ChatRequest) -> Reply:
    """An agent that ends with what it was told last."""
    told = [message.text for message in request.said_by("tool")]
    return tool("finish", summary=told[-1], evidence="nothing to show")


def on_main(house: House, directory: Path, files: dict[str, str | bytes | None]) -> None:
    """Somebody pushes that to the repository's main branch."""
    bench = Workbench.clone(house.github.repository(BILLING).path, directory)
    bench.commit("Change the policy", files)
    git(bench.path, "push", "--quiet", "origin", "HEAD:main")


async def test_a_policy_that_cannot_be_read_names_file_and_line(
    open_house: OpenHouse, tmp_path: Path
) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        on_main(house, tmp_path / "one", {CONFIG: "deny: [npm publish]\nbudgets: {money_usd: 100}\n"})
        thread = await ada.asks("round half a cent up")
        wider = await thread.hears(f"{CONFIG}:2 of the repository is wrong: `budgets` is decided in the")
        assert "Correct that, then retry." in wider.shown
        on_main(house, tmp_path / "two", {CONFIG: "verify: make test\nprotected_path: [/schema/]\n"})
        await ada.reacts("repeat", wider)
        misspelt = await thread.hears(f"{CONFIG}:2 of the repository is wrong: protected_path: is no setting")
        assert "protected_paths" in misspelt.shown
        assert await house.environment.list() == []

        on_main(house, tmp_path / "three", {CONFIG: "protected_paths: [/schema/]\n"})
        house.model.script(AGENT, FINISH)
        await ada.reacts("repeat", misspelt)
        await thread.hears("Half a cent is now rounded up.")
        await thread.holds_only("card", "failure", "failure", "answer")


async def test_an_unknown_placeholder_and_a_secret_taken_away_are_named(
    open_house: OpenHouse, tmp_path: Path
) -> None:
    async with outside(tmp_path) as there:
        rule = there.rule(HOST, credential={"secret": "TRACKER_TOKEN"})
        async with open_house(
            settings=there.settings, repositories={BILLING: {"egress": ["forge", rule]}}
        ) as house:
            stored = StoredSecrets(house.core.broker)
            await stored.set("TRACKER_TOKEN", "t0ken-of-the-company")
            ada = await house.member("Ada")
            fetch = f"curl -sS --fail-with-body {there.url(HOST)}"
            header = "-H 'Authorization: Bearer bellhop-placeholder-{}'".format
            known = tool("bash", command=f"{fetch} {header('TRACKER_TOKEN')}")
            misspelt = tool("bash", command=f"{fetch} {header('TRACKR_TOKEN')}")
            house.model.script(AGENT, known, misspelt, relays)
            thread = await ada.asks("look up the ticket")
            answer = await thread.hears("The header Authorization holds the placeholder of TRACKR_TOKEN")
            assert "which no rule for this request puts there" in answer.shown
            [got] = there.server.got
            assert got.headers["authorization"] == "Bearer t0ken-of-the-company"

            await stored.delete("TRACKER_TOKEN")
            house.model.script(AGENT, known, relays)
            await ada.replies(thread, "once more")
            gone = await thread.hears("puts the secret TRACKER_TOKEN into a header, but")
            assert "bellhop secrets set TRACKER_TOKEN" in gone.shown
            assert len(there.server.got) == 1
            await thread.holds_only("card", "answer", "answer")


async def test_a_secret_in_history_and_a_file_too_large_stay_in_the_box(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        added = f"echo 'KEY = \"{KEY}\"' > key.py && head -c {BIG_BYTES} /dev/urandom > dump.bin"
        commit = "git add -A && git commit -qm"
        script = f"{added} && {commit} 'Try it' && rm key.py dump.bin && {commit} 'Clean up'"
        house.model.script(AGENT, FIX, tool("bash", command=script), PROPOSE, relays)
        thread = await ada.asks("round half a cent up")
        answer = await thread.hears("This must not leave the sandbox as it is:")
        assert "key.py in " in answer.shown
        assert "dump.bin in " in answer.shown
        assert "Take it out of the commits themselves" in answer.shown
        assert KEY not in house.slack.transcript()
        assert house.github.repository(BILLING).pulls == {}
        view = await thread.view()
        assert view.published is None

        # Nothing is lost: taken out of the commits, the same work goes out.
        clean = tool("bash", command="git reset -q --soft origin/main")
        house.model.script(AGENT, clean, PROPOSE, FINISH)
        await ada.replies(thread, "take them out")
        await ada.reacts("white_check_mark", await thread.hears("May I publish this?"))
        await thread.hears("Half a cent is now rounded up.")
        [whole] = await house.commits(BILLING, "main", house.github.pull(BILLING, 1).branch)
        assert whole.startswith("Ada\nRound half a cent up")
        assert not any(KEY in r.output for r in await thread.events(e.ToolReturned))
        await thread.holds_only("card", "notice", "answer", "approval", "answer")
