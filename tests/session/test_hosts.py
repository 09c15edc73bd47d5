"""What hosts know of each other: signs of life, boxes left behind, saved work, shared images."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from session.boxes import Boxes, LeftBox
from session.hosts import Hosts
from session.image_builds import ImageBuilds, Made
from session.leases import Leases
from session.people import Person
from session.saved_work import Saved, SavedWork
from session.snapshots import Snapshot, Snapshots
from tests.session.room import Room, tick

HERE, THERE = "engine/a", "engine/b"


async def test_a_host_works_while_its_sign_is_fresh_and_until_it_leaves(room: Room) -> None:
    hosts = Hosts(room.database, 600)
    await hosts.beat(HERE, "anna")
    await tick(room.database)
    await hosts.beat(THERE, "bert")
    await hosts.beat(THERE, "berta")
    assert await hosts.at_work() == [THERE, HERE]
    old = await room.database.clock() - timedelta(seconds=601)
    await room.database.execute("UPDATE hosts SET seen_at = ? WHERE place = ?", old, HERE)
    assert await hosts.at_work() == [THERE]
    assert [host.name for host in await hosts.all()] == ["berta", "anna"]
    await hosts.leave(THERE)
    assert await hosts.at_work() == []


async def test_a_box_is_left_behind_when_its_session_gets_another(room: Room) -> None:
    boxes = Boxes(room.database)
    await boxes.give("s1", "waiting-1", HERE)
    assert await boxes.left(HERE) == []
    await boxes.give("s1", "bellhop-s1", THERE)
    assert await boxes.left(HERE) == [LeftBox("waiting-1", "s1")]
    assert await boxes.left(THERE) == []
    await boxes.forget("waiting-1", HERE)
    assert await boxes.left(HERE) == []
    kept = await boxes.of("s1")
    assert kept is not None
    assert (kept.box, kept.place) == ("bellhop-s1", THERE)


async def test_the_newest_work_of_each_ref_is_kept(room: Room) -> None:
    saved = SavedWork(room.database)
    await saved.keep("s1", "Acme/Web", {"refs/bellhop/checkpoint": "a" * 40}, b"\0one")
    await saved.keep("s1", "acme/web", {"refs/bellhop/head": "b" * 40}, b"head")
    await tick(room.database)
    await saved.keep("s1", "acme/web", {"refs/bellhop/checkpoint": "c" * 40}, b"\0two")
    await saved.keep("s2", "acme/web", {"refs/bellhop/head": "d" * 40}, b"other")
    assert await saved.of("s1", "acme/web") == [
        Saved("refs/bellhop/head", "b" * 40),
        Saved("refs/bellhop/checkpoint", "c" * 40),
    ]
    assert await saved.bundle("s1", "acme/WEB", "refs/bellhop/checkpoint") == b"\0two"
    await saved.forget("s1")
    assert await saved.of("s1", "acme/web") == []
    assert await saved.bundle("s1", "acme/web", "refs/bellhop/head") == b""
    assert await saved.bundle("s2", "acme/web", "refs/bellhop/head") == b"other"


async def test_work_is_let_go_once_its_session_is_over_and_quiet_for_long(room: Room, ada: Person) -> None:
    saved, kept = SavedWork(room.database), timedelta(days=30)
    waits, over, young, fresh, driven = [(await room.opened(ada)).id for _ in range(5)]
    for session_id in (waits, over, young, fresh, driven, "nobody's"):
        await saved.keep(session_id, "acme/web", {"refs/bellhop/head": "a" * 40}, b"work")
    now = await room.database.clock()
    old = now - kept - timedelta(minutes=1)
    await room.database.execute("UPDATE saved_work SET saved_at = ? WHERE session_id <> ?", old, fresh)
    await room.database.execute("UPDATE sessions SET updated_at = ?, state = 'archived'", old)
    await room.database.execute("UPDATE sessions SET state = 'awaiting_answer' WHERE id = ?", waits)
    await room.database.execute("UPDATE sessions SET updated_at = ? WHERE id = ?", now, young)
    assert await Leases(room.database).acquire(driven, "a worker") is not None
    assert await saved.let_go(kept) == 2
    assert await saved.let_go(kept) == 0
    left = {waits: b"work", over: b"", young: b"work", fresh: b"work", driven: b"work", "nobody's": b""}
    for session_id, content in left.items():
        assert await saved.bundle(session_id, "acme/web", "refs/bellhop/head") == content
        assert await saved.of(session_id, "acme/web") == [Saved("refs/bellhop/head", "a" * 40)]
    assert [item for item in left if await saved.is_over(item, kept)] == [over, fresh, "nobody's"]

    # After as long again nothing tells of it any more.
    await room.database.execute("UPDATE saved_work SET saved_at = ?", old - kept)
    await room.database.execute("UPDATE sessions SET updated_at = ? WHERE id = ?", old - kept, over)
    await saved.let_go(kept)
    assert [item for item in left if await saved.of(item, "acme/web")] == [waits, young, fresh, driven]


async def test_images_and_snapshots_say_where_they_are(room: Room, ada: Person) -> None:
    view, snapshots = await room.opened(ada), Snapshots(room.database)
    first = Snapshot("copy:a", view.id, HERE, "acme/web", 1, "c" * 40, 2)
    await snapshots.add(first)
    await snapshots.share("copy:a", "registry/x@sha256:1")
    [shared] = await snapshots.shared()
    await tick(room.database)
    await snapshots.add(replace(shared, reference="copy:b", place=THERE))
    assert [item.place for item in await snapshots.of(view.id)] == [THERE, HERE]
    await snapshots.unshare("registry/x@sha256:1")
    assert await snapshots.shared() == []
    assert {item.shared for item in await snapshots.of(view.id)} == {""}

    builds = ImageBuilds(room.database)
    built = await builds.begin(Made("acme/web", HERE, "a" * 40, "f" * 8, "recipe", "base"))
    await builds.ready(built, "repo:1", 3, 4096, None)
    await builds.share(built, "registry/y@sha256:2")
    build = await builds.find(built)
    assert build is not None
    for _ in range(2):
        await builds.copied(build, THERE, "repo:2")
    [copy] = await builds.of("acme/web", THERE)
    assert (copy.is_copy, build.is_copy) == (True, False)
    assert (copy.reference, copy.layers, copy.made.sha, copy.started_at) == (
        "repo:2",
        3,
        "a" * 40,
        build.started_at,
    )
    assert await builds.log(copy.id) == "Fetched from the registry: registry/y@sha256:2"
    await builds.unshare("registry/y@sha256:2")
    assert {item.shared for item in await builds.all()} == {""}
