"""The piece of work that most of these tests have done, and how to tell that it was done exactly once."""

from __future__ import annotations

import asyncio

from deploy.demo.chat_requests import ChatRequest
from deploy.demo.replies import Reply
from session import events as e
from tests.emulators.model.turns import Held, tool
from tests.faults.processes import MODEL, PATIENCE_SECONDS, House
from tests.sandbox.workbench import git

COMMAND = "echo once >> ran; sed -i 's/ + 1//' total.py"
FIX = tool("bash", command=COMMAND)
PROPOSE = tool("open_pull_request", title="Sum invoice lines rightly", body="It added one.")
FINISH = tool("finish", summary="The total is right now.")


def work(request: ChatRequest) -> Reply:
    """The next step of the same work in each session, by how much of it is done."""
    steps = (FIX, PROPOSE, FINISH)
    return steps[sum(message.role == "assistant" for message in request.messages)]


def held_work(house: House) -> Held:
    """Has all of the work done in one session; the model's first answer waits to be released."""
    held = Held(FIX)
    house.model.script(MODEL, held)
    house.model.play(MODEL, work)
    return held


async def reached(held: Held) -> None:
    """Returns once the model has begun that answer and stands still."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        await held.reached.wait()


async def assert_done_once(house: House, session_id: str) -> None:
    """The turn ends with one pull request and one answer, and the command ran once."""
    view = await house.finished(session_id)
    assert view.pull_request is not None
    assert git(house.bare, "show", f"{view.pull_request.branch}:ran") == "once"
    assert house.pull_requests().count(view.pull_request.branch) == 1
    kinds = [type(event) for event in await house.events(session_id)]
    assert kinds.count(e.PullRequestOpened) == 1
    assert kinds.count(e.TurnFinished) == 1
    await house.assert_one_answer(session_id)
