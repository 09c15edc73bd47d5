"""What people pick is kept with the beginning of the request, for the channel in which it was asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from session import events as e
from session.channel_rules import channel_of
from session.people import Origin, Person
from session.picks import KEPT_DAYS, KEPT_IN_A_CHANNEL, LONGEST_WORDS, Picks
from tests.session.people import prompt
from tests.session.room import Room

FINANCE = Origin(
    platform="slack", workspace="T1", channel="C1", channel_name="finance", thread="1", message="1"
)
CHANNEL = channel_of(FINANCE)


@pytest.mark.databases("sqlite")
async def test_picks_are_kept_for_their_channel_and_not_for_ever(room: Room, ada: Person) -> None:
    picks = Picks(room.database)
    asked = prompt(ada).model_copy(update={"text": "totals are off " * 40})
    view = await room.commands.open_session(asked, FINANCE)
    await room.commands.pick_repository(view.id, "acme/web", ada)
    [pick] = await picks.of(CHANNEL)
    assert (pick.slug, pick.refused, pick.words) == ("acme/web", "", asked.text[:LONGEST_WORDS])
    await room.commands.pick_repository(view.id, "acme/api", ada)
    [pick] = await picks.of(CHANNEL)
    assert (pick.slug, pick.refused) == ("acme/api", "acme/web"), "the last word counts"
    assert await picks.named("#finance") == (pick,)
    assert await picks.of(replace(CHANNEL, channel="C2")) == ()
    # What nobody picked is no example.
    other = await room.commands.open_session(prompt(ada), FINANCE)
    chosen = e.RepositoryChosen(slug="acme/web", branch="main", how="model", reason="so it seems")
    await room.commands.choose_repository(other.id, chosen)
    assert len(await picks.of(CHANNEL)) == 1
    # Old ones go, and those that are too many, when the next pick is kept.
    sql = (
        "INSERT INTO picks SELECT session_id || ?, platform, workspace, channel, channel_name, words, slug, "
        "refused, datetime(picked_at, ?) FROM picks WHERE session_id = ?"
    )
    await room.database.execute(sql, "old", f"-{KEPT_DAYS + 1} days", view.id)
    for number in range(KEPT_IN_A_CHANNEL):
        await room.database.execute(sql, f"n{number}", "-1 days", view.id)
    await room.commands.pick_repository(other.id, "acme/api", ada)
    rows = await room.database.rows("SELECT session_id FROM picks")
    assert len(rows) == KEPT_IN_A_CHANNEL
    assert {view.id, other.id} <= {row["session_id"] for row in rows}
    assert f"{view.id}old" not in {row["session_id"] for row in rows}
