"""A secret in the agent's commits: the thread hears where it is and what to do, never the secret."""

from __future__ import annotations

import asyncio
from base64 import b64encode

from session import events as e
from tests.emulators.model.turns import tool
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT
from tests.journeys.steps import FINISH, FIX, PROPOSE
from tests.sandbox.workbench import git

# Put together in the box, so that neither this file nor the card's last action holds it.
KEY = "AKIA" + "ZQ3DR7XWMT5KPL2N"
LEAK = f"""
echo "aws_access_key_id = $(echo {b64encode(KEY.encode()).decode()} | base64 -d)" >deploy.env
git add --all; git commit -qm deploy; git rm -q deploy.env
"""
MEND = "git reset -q --soft origin/main"


async def test_what_keeps_the_work_in_is_said_in_the_thread_without_the_secret(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        # The agent says nothing of it, tries again, and mends it in the end.
        leak, mend = tool("bash", command=LEAK), tool("bash", command=MEND)
        house.model.script(AGENT, FIX, leak, PROPOSE, PROPOSE, mend, PROPOSE, FINISH)
        thread = await ada.asks("our invoice totals are off by a cent")
        notice = await thread.hears("Nothing has left the sandbox, and the work is saved.")
        held = await thread.event(e.WorkHeldBack)
        assert isinstance(held.event, e.WorkHeldBack)
        commit = held.event.holds[0].commit[:7]
        assert f"`deploy.env` in commit {commit} holds what looks like an AWS access key." in notice.shown
        assert "tell me here how to go on" in notice.shown
        assert "please replace it where it is in use" in notice.shown

        approval = await thread.hears("May I publish this?")
        assert "Held back" not in (await thread.card("Waiting for your approval")).shown
        await ada.reacts("white_check_mark", approval)
        await thread.hears("Half a cent is now rounded up.")
        told = await thread.holds_only("card", "notice", "approval", "answer")
        seen = "\n".join(f"{each.text} {each.blocks} {each.shown} {each.revisions}" for each in told)
        assert commit in seen
        assert KEY[4:] not in seen
        forge = house.github.repository("acme/billing").path
        assert "deploy.env" not in await asyncio.to_thread(git, forge, "log", "--all", "--name-only")
