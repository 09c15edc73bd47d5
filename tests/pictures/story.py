"""The story in the pictures: what people write, and what the model does about it in the sample repository."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.messages import DONE
from deploy.demo.replies import Reply
from tests.emulators.model.turns import Held, HttpFault, say_json, together, tool
from tests.emulators.slack.workspace import Message
from tests.faults.waiting import until
from tests.journeys.house import CLASSIFIER, WEB, House, Member
from tests.journeys.stages import Stage
from tests.journeys.thread import Thread

REQUEST = "Our invoice totals are off by a cent: 2.665 should become 2.67"
FOLLOW_UP = "Also say in the README how half a cent is rounded, please"
TOPIC = "invoices, taxes, and what finance asks for"

MODEL = "gpt-5.2"
"""One whose price is known."""

_REPRODUCE, _FIND, _MEND = (
    "Reproduce the wrong total",
    "Find where amounts are rounded",
    "Mend it and run the tests",
)
_TESTS = tool("bash", command="python3 -m unittest", timeout_seconds=60)


def _plan(*steps: str, done: int) -> Reply:
    states = ["done"] * done + ["in_progress"] + ["pending"] * len(steps)
    items = [{"text": text, "status": status} for text, status in zip(steps, states, strict=False)]
    return tool("plan", items=items)


_FIRST = (
    together(
        _plan(_REPRODUCE, _FIND, _MEND, done=0),
        _TESTS,
        text="I'll reproduce it before I touch anything.",
    ),
    together(
        _plan(_REPRODUCE, _FIND, _MEND, done=1),
        tool("grep", pattern="quantize|ROUND_"),
        tool("read_file", path="billing/money.py"),
        text="One test of six fails: 2.665 becomes 2.66. All rounding should go through one place.",
    ),
    together(
        tool(
            "post_update",
            text="Found it: `round_cents` in `billing/money.py` names no rounding mode, so Python rounds "
            "half to even. Only amounts that end in exactly half a cent are off.",
        ),
        _plan(_REPRODUCE, _FIND, _MEND, done=2),
        tool(
            "edit_file",
            path="billing/money.py",
            old_string="from decimal import Decimal",
            new_string="from decimal import ROUND_HALF_UP, Decimal",
        ),
        tool(
            "edit_file",
            path="billing/money.py",
            old_string='"""The amount in whole cents."""\n    return amount.quantize(CENT)',
            new_string='"""The amount in whole cents; half a cent is rounded up, as finance does."""\n'
            "    return amount.quantize(CENT, rounding=ROUND_HALF_UP)",
        ),
        text="`quantize` without a mode rounds half to even; finance rounds half a cent up.",
    ),
)
_FIRST_END = (
    together(_TESTS, text="Now the whole suite, to see that nothing else relied on the old rounding."),
    together(
        _plan(_REPRODUCE, _FIND, _MEND, done=3),
        tool(
            "open_pull_request",
            title="Round half a cent up",
            body="`round_cents`, the only place where amounts are rounded, named no rounding mode. Python's "
            "default rounds half to even, so 2.665 became 2.66.\n\nFinance rounds half a cent up.",
            draft=False,
        ),
        text="All six tests pass.",
    ),
    tool(
        "finish",
        summary="Half a cent is now rounded up, so 2.665 becomes **2.67**. The cause was a missing rounding "
        "mode in `round_cents`; it is the only place where amounts are rounded.",
        evidence="The test that showed the bug passes, and so do the other five.",
    ),
)

_ASK, _WRITE = "See what the README promises", "Say how half a cent is rounded"
_SECOND = (
    together(
        _plan(_ASK, _WRITE, done=0),
        tool("read_file", path="README.md"),
        text="The README has one sentence about rounding; I'll make it exact.",
    ),
    together(
        tool(
            "edit_file",
            path="README.md",
            old_string="before lines are added.",
            new_string="before lines are added: 2.665 becomes 2.67.\n"
            "`billing/money.py` is the only place that rounds.",
        ),
        _plan(_ASK, _WRITE, done=2),
        tool(
            "open_pull_request",
            title="Round half a cent up",
            body="Rounds half a cent up, and says so in the README.",
            draft=False,
        ),
        text="Written down, with Ada's example.",
    ),
    tool("finish", summary="The README now says how half a cent is rounded.", evidence="All six tests pass."),
)


_UNSURE = say_json(
    kind="unknown",
    repository=None,
    confidence=0.3,
    reason="Both acme/web and acme/billing print the year.",
    alternatives=["acme/web", "acme/billing"],
)
_TITLES = tool(
    "write_file", path="docs/titles.md", content="Titles on the site are written in sentence case.\n"
)
_TITLES_PULL = tool(
    "open_pull_request", title="Write down how titles are cased", body="For new pages.", draft=False
)
_TITLES_END = tool("finish", summary="The site's titles are described in `docs/titles.md`.", evidence="")


@dataclass(frozen=True, slots=True)
class Others:
    """Sessions beside the story."""

    merged: Thread
    failed: Thread
    asked: Thread


async def others_before(house: House, linus: Member) -> Others:
    """What Linus asked for earlier, each in its own channel: one is merged, one failed, one waits."""
    website, finance = house.slack.channel("website"), house.slack.channel("finance")
    house.model.script(CLASSIFIER, _UNSURE)
    house.model.script(MODEL, _TITLES, _TITLES_PULL, _TITLES_END)
    asked = await linus.asks("The copyright year is last year's", house.general)
    merged = await linus.asks("!repo acme/web\nWrite down how we case the titles of pages", website)
    await linus.reacts("+1", await merged.hears("May I publish this?"))
    await merged.hears("The site's titles")
    house.model.script(MODEL, HttpFault(401, "Incorrect API key provided.", "invalid_api_key"))
    failed = await linus.asks("!repo acme/billing\nAdd the customer's reference to every invoice", finance)
    await house.github.merge(WEB, 1, linus.login)
    await merged.hears("was merged by")
    await failed.hears("That did not work")
    await asked.hears("Which repository do you mean?")
    for thread in (merged, failed, asked):
        await thread.is_told()
    return Others(merged, failed, asked)


@dataclass(frozen=True, slots=True)
class Telling:
    """The story as far as it was told: the thread, its people, and what waits for a yes."""

    thread: Thread
    ada: Member
    grace: Member
    asked: Message | None = None


async def until_the_tests_run(house: House) -> tuple[Telling, Held]:
    """Ada's request is being worked on; the model is in the middle of a sentence until it is released."""
    house.billing.topic = TOPIC
    ada, grace = await house.member("Ada"), await house.member("Grace")
    first, *rest = _FIRST_END
    held = Held(first, after_events=6)
    house.model.script(MODEL, *_FIRST, held, *rest)
    thread = await ada.asks(REQUEST)
    async with asyncio.timeout(60):
        await held.reached.wait()
    await thread.hears("Found it")
    return Telling(thread, ada, grace), held


async def until_the_follow_up_waits(house: House, telling: Telling) -> Telling:
    """Ada has approved and got her answer; Grace's follow-up waits for its approval."""
    thread = telling.thread
    first = await thread.hears("May I publish this?")
    await telling.ada.reacts("white_check_mark", first)
    await thread.hears("Half a cent is now rounded up")
    await thread.is_marked("white_check_mark")
    house.model.script(MODEL, *_SECOND)
    await telling.grace.replies(thread, FOLLOW_UP)
    asked = await thread.hears("Update pull request #1")
    await thread.card("Waiting for your approval")
    await thread.is_told()
    return Telling(thread, telling.ada, telling.grace, asked)


async def until_the_end(telling: Telling) -> None:
    """Grace approves, and both are answered."""
    assert telling.asked is not None
    await telling.grace.reacts("white_check_mark", telling.asked)
    await telling.thread.hears("The README now says")
    await telling.thread.card("Done")
    await telling.thread.is_told()


async def on_another_stage(house: House, stage: Stage, *people: Member) -> None:
    """The same story on another platform, until the follow-up waits; `people` are Ada and Grace there too."""
    for member in people:
        await house.directory.link((await member.person()).id, stage.identity(member.name))
    house.model.script(MODEL, *_FIRST, *_FIRST_END)
    await stage.says("Ada", REQUEST)
    await stage.sees("Found it")
    await stage.sees("May I publish this?")
    await stage.reacts("Ada", DONE, "May I publish this?")
    await stage.sees("Half a cent is now rounded up")
    await stage.is_marked(DONE)
    house.model.script(MODEL, *_SECOND[:-1])
    await stage.says("Grace", FOLLOW_UP, mention=True)
    await stage.sees("Update pull request")
    await stage.sees("Waiting for your approval")

    async def told() -> bool:
        return not await house.core.outbox.pending(stage.platform.name, limit=1000)

    await until(told, "everything is told")
