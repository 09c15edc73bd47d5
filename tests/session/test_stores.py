"""What the room keeps beside the log: cursors, effects, messages, artifacts, people, tickets, secrets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from session.artifacts import MAX_BYTES, ArtifactTooLarge
from session.boxes import Boxes
from session.directory import IdentityTaken
from session.leases import StaleEpoch
from session.messages import ChatMessageRow, ChatMessages
from session.people import Person
from session.secret_rows import SecretRows
from session.snapshots import NOT_YET, Snapshot, Snapshots
from session.warm_boxes import WarmBoxes
from session.warm_hints import WarmHints
from tests.session.people import identity, prompt
from tests.session.room import Room, tick


async def test_cursors_move_forward_only_and_the_longest_waiting_comes_first(room: Room, ada: Person) -> None:
    first = await room.opened(ada)
    await tick(room.database)
    second = await room.opened(ada)
    assert [item.session_id for item in await room.outbox.pending("slack")] == [first.id, second.id]
    assert [item.session_id for item in await room.outbox.pending("slack", skip=(first.id,))] == [second.id]
    assert len(await room.outbox.pending("slack", limit=1)) == 1
    await tick(room.database)
    await room.outbox.advance("slack", first.id, 1)
    assert [item.session_id for item in await room.outbox.pending("slack")] == [second.id, first.id]
    await room.outbox.advance("slack", first.id, 2)
    await room.outbox.advance("slack", first.id, 1)
    assert [item.session_id for item in await room.outbox.pending("slack")] == [second.id]
    await room.commands.add_prompt(first.id, prompt(ada))
    pending = {item.session_id: item for item in await room.outbox.pending("slack")}
    assert (pending[first.id].delivered_seq, pending[first.id].seq) == (2, 3)


async def test_other_consumers_follow_what_they_subscribed_to(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    assert await room.outbox.pending("discord") == []
    await room.outbox.subscribe("discord", view.id, delivered_seq=view.seq)
    await room.outbox.subscribe("discord", view.id)
    await room.outbox.subscribe("discord", "nowhere")
    assert await room.outbox.pending("discord") == []
    waiting = asyncio.create_task(room.outbox.wait("discord", timeout_seconds=100))
    await room.commands.add_prompt(view.id, prompt(ada))
    async with asyncio.timeout(60):
        await waiting
    assert [item.delivered_seq for item in await room.outbox.pending("discord")] == [view.seq]


async def test_an_effect_is_new_once_then_begun_then_done(room: Room, ada: Person) -> None:
    view = await room.queued(ada)
    lease = await room.leases.acquire(view.id, "worker")
    assert lease is not None
    assert (await room.effects.known("push:1")).state == "new"
    tries = await asyncio.gather(*(room.effects.begin("push:1", view.id, lease.epoch) for _ in range(6)))
    assert sorted(effect.state for effect in tries) == ["begun"] * 5 + ["new"]
    assert (await room.effects.known("push:1")).state == "begun"
    await room.effects.finish("push:1", "sha1")
    await room.effects.finish("push:1", "sha2")
    done = await room.effects.begin("push:1", view.id)
    assert (done.state, done.result) == ("done", "sha1")
    assert await room.effects.known("push:1") == done
    with pytest.raises(StaleEpoch):
        await room.effects.begin("push:2", view.id, lease.epoch + 1)
    assert (await room.effects.begin("push:2", view.id)).state == "new"


async def test_chat_messages_are_found_both_ways_and_never_go_back(room: Room, ada: Person) -> None:
    messages = ChatMessages(room.database)
    view = await room.opened(ada)
    await messages.remember("slack", "C1", "1.0", view.id, "card", revision=3)
    await messages.remember("slack", "C1", "1.0", view.id, "card", revision=2)
    await messages.remember("slack", "C1", "2.0", view.id, "approval", "a1", 1)
    card = await messages.by_message("slack", "C1", "1.0")
    assert card == ChatMessageRow("slack", "C1", "1.0", view.id, "card", "", 3)
    found = await messages.find(view.id, "approval", "a1")
    assert found is not None
    assert found.message_id == "2.0"
    assert await messages.find(view.id, "approval", "a1", platform="discord") is None
    assert await messages.by_message("slack", "C2", "1.0") is None


async def test_artifacts_come_back_as_they_were_and_only_to_their_session(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    added = await room.artifacts.put(view.id, "image", "page.png", "image/png", b"\x00\xff" * 50)
    assert added.size_bytes == 100
    artifact = await room.artifacts.get(view.id, added.artifact_id)
    assert artifact is not None
    assert (artifact.content, artifact.media_type) == (b"\x00\xff" * 50, "image/png")
    assert await room.artifacts.get("another", added.artifact_id) is None
    with pytest.raises(ArtifactTooLarge):
        await room.artifacts.put(view.id, "log", "big", "text/plain", b"x" * (MAX_BYTES + 1))


async def test_snapshots_are_found_by_session_and_place_the_newest_first(room: Room, ada: Person) -> None:
    snapshots, view = Snapshots(room.database), await room.opened(ada)
    first = Snapshot("copy:t1", view.id, "engine/a", "acme/web", 1, "c" * 40, 2)
    second = replace(first, reference="copy:t2", turns=2)
    for snapshot in (first, second, replace(first, checkpoint="d" * 40)):
        await snapshots.add(snapshot)
        await tick(room.database)
    found = await snapshots.of(view.id, "engine/a")
    assert [(item.reference, item.checkpoint[0]) for item in found] == [("copy:t2", "c"), ("copy:t1", "d")]
    assert [item.reference for item in await snapshots.on("engine/a")] == ["copy:t1", "copy:t2"]
    assert all(item.taken_at > NOT_YET for item in found)
    assert await snapshots.of(view.id, "engine/b") == await snapshots.on("engine/b") == []
    await snapshots.drop("copy:t2")
    assert [item.turns for item in await snapshots.of(view.id, "engine/a")] == [1]


async def test_people_are_made_once_and_follow_their_platform(room: Room) -> None:
    people = await asyncio.gather(*(room.directory.resolve(identity("Ada")) for _ in range(6)))
    assert len({person.id for person in people}) == 1
    renamed = await room.directory.resolve(
        identity("Ada").model_copy(update={"name": "Ada L.", "email": "ada@example.com"})
    )
    assert (renamed.id, renamed.name, renamed.email) == (people[0].id, "Ada L.", "ada@example.com")
    await room.directory.set_forge_login(renamed.id, "ada")
    person = await room.directory.person(renamed.id)
    assert person is not None
    assert person.forge_login == "ada"
    assert await room.directory.role("nobody") == "viewer"


async def test_a_guest_stays_a_viewer_whatever_the_role(room: Room) -> None:
    guest = await room.directory.resolve(identity("Guest", guest=True))
    await room.directory.set_role(guest.id, "admin")
    assert await room.directory.role(guest.id) == "viewer"
    assert guest.id not in await room.directory.approvers()


async def test_accounts_are_linked_to_one_person(room: Room) -> None:
    ada = await room.directory.resolve(identity("Ada"))
    discord = identity("Ada", platform="discord")
    stranger = await room.directory.resolve(discord)
    await room.directory.link(ada.id, discord)
    assert (await room.directory.resolve(discord)).id == ada.id
    assert await room.directory.person(stranger.id) == ada
    assert await room.directory.ids(stranger.id) == (ada.id, stranger.id)
    assert await room.directory.names([stranger.id, "p_nobody"]) == {stranger.id: "Ada"}
    assert await room.directory.names([]) == {}
    assert await room.directory.role(stranger.id) == await room.directory.role(ada.id)
    assert await room.directory.approvers() == (ada.id,)
    assert {item.platform for item in await room.directory.identities(ada.id)} == {"slack", "discord"}
    grace = await room.directory.resolve(identity("Grace"))
    with pytest.raises(IdentityTaken):
        await room.directory.link(grace.id, discord)


async def test_links_of_links_end_at_one_person(room: Room) -> None:
    first, second, third = [
        await room.directory.resolve(identity("Ada", platform=platform))
        for platform in ("console", "discord", "slack")
    ]
    await room.directory.link(second.id, identity("Ada", platform="console"))
    with pytest.raises(IdentityTaken):
        await room.directory.link(third.id, identity("Ada", platform="discord"))
    await room.directory.link(first.id, identity("Ada", platform="slack"))
    assert await room.directory.ids(third.id) == (second.id, *sorted((first.id, third.id)))
    assert (await room.directory.resolve(identity("Ada", platform="slack"))).id == second.id


async def test_a_ticket_opens_once_for_its_purpose_and_in_time(room: Room) -> None:
    token = await room.directory.issue_ticket("sign_in", "ada", 60)
    assert await room.directory.redeem_ticket("link", token) is None
    answers = await asyncio.gather(*(room.directory.redeem_ticket("sign_in", token) for _ in range(5)))
    assert sorted(answer or "" for answer in answers) == ["", "", "", "", "ada"]
    late = await room.directory.issue_ticket("sign_in", "ada", -1)
    assert await room.directory.redeem_ticket("sign_in", late) is None
    assert await room.directory.redeem_ticket("sign_in", "made up") is None
    rows = await room.database.rows("SELECT token_hash FROM tickets")
    assert token not in {row["token_hash"] for row in rows}


async def test_sealed_secrets_are_kept_by_name_and_locked_one_at_a_time(room: Room) -> None:
    rows = SecretRows(room.database)
    await rows.put("b", b"\x01")
    await rows.put("a", b"\x02")
    await rows.put("b", b"\x03")
    assert await rows.names() == ["a", "b"]
    assert await rows.get("b") == b"\x03"
    await rows.delete("b")
    assert await rows.get("b") is None
    inside = 0
    most = 0

    async def refresh() -> None:
        nonlocal inside, most
        async with rows.lock("a"):
            inside += 1
            most = max(most, inside)
            await rows.put("a", b"\x04")
            inside -= 1

    async with asyncio.timeout(60):
        await asyncio.gather(*(refresh() for _ in range(5)))
    assert most == 1


async def test_a_box_is_one_sessions_until_it_is_forgotten(room: Room, ada: Person) -> None:
    boxes, view, other = Boxes(room.database), await room.opened(ada), await room.opened(ada)
    assert await boxes.of(view.id) is None
    assert await boxes.owner("box-a", "engine/a") is None
    await boxes.give(view.id, "box-a", "engine/a")
    first = await boxes.of(view.id)
    await boxes.give(other.id, "box-b", "engine/a")
    await boxes.give(view.id, "box-a", "engine/a")
    assert first is not None
    assert await boxes.of(view.id) == first
    assert (first.box, first.place) == ("box-a", "engine/a")
    assert await boxes.owner("box-a", "engine/a") == view.id

    await boxes.give(view.id, "box-a", "engine/b")
    assert await boxes.owner("box-a", "engine/a") is None
    assert await boxes.owner("box-a", "engine/b") == view.id
    await boxes.forget("box-a", "engine/a")
    assert await boxes.owner("box-a", "engine/b") == view.id
    await boxes.forget("box-a", "engine/b")
    assert await boxes.of(view.id) is None
    assert await boxes.owner("box-b", "engine/a") == other.id


async def test_hints_ring_and_run_out(room: Room) -> None:
    hints = WarmHints(room.database, room.pulse)
    with hints.watch() as news:
        await hints.give("acme/web", timedelta(minutes=-1))
        assert await news.wait(60)
        assert await hints.live() == []
        await hints.give("acme/api", timedelta(minutes=1))
        await hints.give("acme/web", timedelta(minutes=1))
        assert await news.wait(60)
    assert await hints.live() == ["acme/api", "acme/web"]
    await hints.give("acme/web", timedelta(minutes=-1))
    assert await hints.live() == ["acme/api"]


async def test_a_box_that_waits_is_taken_once_by_one_that_it_fits(room: Room, ada: Person) -> None:
    warm, boxes = WarmBoxes(room.database), Boxes(room.database)
    sessions = [(await room.queued(ada)).id for _ in range(5)]
    for box in ("warm-a", "warm-b", "warm-c"):
        await warm.begin(box, "engine/a", "acme/web", "fit", "basis")
    assert await warm.take(sessions[0], "engine/a", "acme/web", "fit") is None, "none is ready"
    assert await warm.ready("warm-a", "engine/a")
    assert await warm.ready("warm-b", "engine/a")
    for place, repository, fit in (
        ("engine/b", "acme/web", "fit"),
        ("engine/a", "acme/api", "fit"),
        ("engine/a", "acme/web", "other"),
    ):
        assert await warm.take(sessions[0], place, repository, fit) is None
    taken = await asyncio.gather(*(warm.take(id, "engine/a", "acme/web", "fit") for id in sessions))
    assert sorted(filter(None, taken)) == ["warm-a", "warm-b"]
    for session_id, got in zip(sessions, taken, strict=True):
        assert got is None or await boxes.owner(got, "engine/a") == session_id

    assert not await warm.give_up("warm-a", "engine/a"), "it is somebody's"
    assert await warm.give_up("warm-c", "engine/a")
    assert not await warm.ready("warm-c", "engine/a"), "it was given up while it was made"
    assert await warm.known("warm-c", "engine/a")
    await warm.forget("warm-c", "engine/a")
    assert await warm.on("engine/a") == []
    slug = (await room.log.view(sessions[0])).repository
    assert slug is not None
    assert await warm.demand("engine/a", timedelta(hours=1)) == {slug.slug: 2}
    assert await warm.demand("engine/a", timedelta()) == await warm.demand("engine/b", timedelta(1)) == {}
