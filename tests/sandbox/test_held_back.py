"""Work that cannot leave the sandbox: people are told what keeps it, each thing once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sandbox.broker.desk import StorePlaces
from sandbox.broker.quarantine import QuarantineLimits
from sandbox.forge.protocol import ForgeRefused
from session import events as e
from session.catalogue import Approvals
from tests.emulators.model.turns import tool
from tests.sandbox.hooked_forge import HookedForge, fails
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH, FIX, PROPOSE
from tests.sandbox.workbench import git

AUTO = Approvals(pull_request="auto")
# Put together in the box, so that no scanner takes this file for a leak.
AWS_KEY = "AKIA" + "ZQ3DR7XWMT5KPL2N"
LEAK = f"""
keep() {{ git add --all; git commit -qm "$1"; }}
a={AWS_KEY[:4]}; echo "id = ${{a}}{AWS_KEY[4:]}" >k.txt; keep leak; git rm -q k.txt; keep 'no leak'
git push -q origin HEAD:refs/heads/bellhop/SESSION/work
"""
MORE = """
head -c 5242881 /dev/zero >big.bin; ln -s ../../etc/passwd link; ln -s link fine; git add --all
git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),lib; git commit -qm more
"""
MEND = "git reset -q --soft origin/main; rm link fine; git add --all; git commit -qm mended"
MEND_ALL = "rm big.bin; git add --all; git commit -q --amend -m 'all mended'"
SMALL = QuarantineLimits(bundle_bytes=300_000)
NOISE = tool("bash", command="head -c 400000 /dev/urandom >noise.bin")


async def happened(house: Household, session_id: str, *kinds: type[e.Event]) -> list[e.Event]:
    """All events of those kinds."""
    return [event for event in await house.events(session_id) if isinstance(event, kinds)]


def about(event: e.Event) -> list[tuple[str, str, str]]:
    """What the event tells: kind, path, reason."""
    assert isinstance(event, (e.WorkHeldBack, e.HoldsLifted))
    return [hold.key for hold in event.holds]


async def test_what_is_in_commits_is_told_once_and_taken_back_when_it_is_gone() -> None:
    secret = ("secret", "k.txt", "holds what looks like an AWS access key")
    large = ("commit", "big.bin", "is larger than the 5 MB that one file may have")
    link = ("commit", "link", "is a link that leads out of the repository")
    module = ("commit", "lib", "changes a submodule")
    async with household(approvals=AUTO, verify=()) as house:
        session_id = await house.opened()
        steps = [LEAK.replace("SESSION", session_id), MORE, MEND, MEND_ALL]
        leak, more, mend, mend_all = [tool("bash", command=step) for step in steps]
        house.model.script(
            MODEL, FIX, leak, leak, more, PROPOSE, PROPOSE, mend, PROPOSE, mend_all, PROPOSE, FINISH
        )
        view = await house.run(session_id)
        pushed, proposed, mended, all_mended = await happened(
            house, session_id, e.WorkHeldBack, e.HoldsLifted
        )
        assert isinstance(pushed, e.WorkHeldBack)
        assert (pushed.saved, about(pushed)) == (False, [secret])
        assert isinstance(proposed, e.WorkHeldBack)
        assert (proposed.saved, about(proposed)) == (True, [large, module, link])
        assert about(mended) == [secret, module, link]
        assert about(all_mended) == [large]
        assert view.held_back == ()
        assert view.pull_request is not None
        assert AWS_KEY[:8] not in pushed.model_dump_json()
        # The commit that is named is the one that brought it, and it is kept where the harness took it over.
        store = StorePlaces.under(house.home).quarantines.path(session_id, house.repository.slug)
        added = git(store, "show", "--format=", "--name-only", proposed.holds[0].commit)
        assert added.split() == ["big.bin", "fine", "lib", "link"]


async def test_what_is_undone_is_no_longer_held_back() -> None:
    async with household(approvals=AUTO, verify=()) as house:
        session_id = await house.opened()
        more = tool("bash", command="git commit -q --allow-empty -m 'id = AKIA''ZQ3DR7XWMT5KPL2N'; date >now")
        undo = tool("bash", command="git reset -q --hard origin/main")
        house.model.script(MODEL, more, PROPOSE, FINISH)
        view = await house.run(session_id)
        assert [(hold.kind, hold.path) for hold in view.held_back] == [("secret", "")]
        house.model.script(MODEL, undo, FINISH)
        await house.prompt(session_id, "Leave it")
        view = await house.run(session_id)
        assert view.held_back == ()
        assert len(await happened(house, session_id, e.WorkHeldBack)) == 1


async def test_work_that_is_too_much_is_told_once_and_so_is_that_it_is_not_saved() -> None:
    async with household(approvals=AUTO, verify=(), limits=SMALL) as house:
        session_id = await house.opened()
        push = f"git push -q origin HEAD:refs/heads/bellhop/{session_id}/work"
        house.model.script(MODEL, NOISE, PROPOSE, PROPOSE, tool("bash", command=push), FINISH)
        view = await house.run(session_id)
        [taken, pushed] = await happened(house, session_id, e.WorkHeldBack)
        assert isinstance(taken, e.WorkHeldBack)
        assert not taken.saved
        assert "larger than the 0.286 MB that can leave a sandbox at once" in taken.holds[0].what
        assert about(pushed) == [
            ("handover", "", "A push may have no more than 0.286 MB; push fewer or smaller files.")
        ]
        [unsaved] = view.degraded
        assert unsaved.part == "sandbox"
        assert unsaved.detail.startswith(
            "the work could not be saved outside of it, and would be lost with it. The changes are larger"
        )
        assert "could not be taken out of it. The changes are larger" in view.answer

        undo = tool("bash", command="rm noise.bin; git reset -q --hard origin/main; echo fine >fine.txt")
        house.model.script(MODEL, undo, FINISH)
        await house.prompt(session_id, "Without the noise, please")
        view = await house.run(session_id)
        assert (view.held_back, view.degraded) == ((), ())


async def test_a_stop_whose_work_cannot_be_saved_says_so() -> None:
    async with household(verify=(), limits=SMALL) as house:
        house.model.script(MODEL, NOISE, tool("bash", command="sleep 300"))
        session_id = await house.opened()
        running = asyncio.create_task(house.run(session_id))
        await house.until(
            session_id, lambda event: isinstance(event, e.ToolCalled) and "sleep" in event.action
        )
        await house.commands.stop(session_id, house.ada)
        view = await running
        assert view.state == "stopped"
        assert [part.part for part in view.degraded] == ["sandbox"]
        assert not view.saved


async def test_what_the_forge_refuses_is_told_without_what_it_quotes(tmp_path: Path) -> None:
    refused = ForgeRefused(f"The branch was refused: push protection found {AWS_KEY}.", 422)
    forge = HookedForge(tmp_path, publishing=fails(refused))
    async with household(approvals=AUTO, verify=(), forge=forge) as house:
        house.model.script(MODEL, FIX, PROPOSE, PROPOSE, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        [told] = await happened(house, session_id, e.WorkHeldBack)
        assert about(told) == [("publication", "", "It was refused with words that look like a secret.")]
        assert view.held_back[0].kind == "publication"
