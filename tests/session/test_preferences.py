"""What people prefer and what holds in channels: kept, checked, on the audit, and used where it decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from session import events as e
from session.audit import Audit
from session.channel_rules import Channel, ChannelRules, WatchedWord
from session.commands import Commands
from session.customs import Customs
from session.people import Identity, Prompt
from session.preferences import Preferences
from session.refusals import Changed, NotAllowed, NotFound, Refusal
from tests.session.people import ORIGIN, identity, prompt
from tests.session.room import CATALOGUE, Room

BILLING = Channel("slack", "T1", "C1", "billing")


def customs_of(room: Room, models: tuple[str, ...] = ("big", "small")) -> Customs:
    return Customs.over(room.database, room.directory, CATALOGUE, Audit(room.database), models)


def with_preferences(room: Room) -> Commands:
    return Commands(room.log, room.queue, room.directory, room.leases, CATALOGUE, customs_of(room).people)


async def test_preferences_are_kept_checked_and_on_the_audit(room: Room) -> None:
    book, ada = customs_of(room).people, await room.person("Ada")
    assert await book.of(ada.id) == Preferences()
    await book.set_model(ada, "SMALL", through="slack")
    await book.set_branch(ada, "ACME/web", "develop", through="slack")
    await book.set_branch(ada, "acme/web", "release/2.0", through="web")
    await book.set_branch(ada, "acme/api", "v1", through="web")
    await book.set_branch(ada, "acme/api", None, through="web")
    kept = await book.set_verbosity(ada, "quiet", through="web")
    assert kept == Preferences("small", "quiet", {"acme/web": "release/2.0"})
    assert await customs_of(room, ("big",)).people.of(ada.id) == replace(kept, model=None)
    refused = [
        (book.set_model(ada, "huge", through="web"), NotFound, "“huge”. There is big and small."),
        (book.set_verbosity(ada, "loud", through="web"), Refusal, "quiet, normal and detailed, not “loud”"),
        (book.set_branch(ada, "acme/wbe", "x", through="web"), NotFound, "Did you mean acme/web"),
        *(
            (book.set_branch(ada, "acme/web", name, through="web"), Refusal, "cannot be a branch")
            for name in ("a b", "-x", "a..b", "x.lock", "x/", "a//b", "a\nb", "", "x" * 201)
        ),
    ]
    for work, kind, sentence in refused:
        with pytest.raises(kind) as told:
            await work
        assert sentence in told.value.sentence
    assert await book.of(ada.id) == kept
    guest = await room.directory.resolve(identity("Gus").model_copy(update={"guest": True}))
    viewer = await room.person("Vera", "viewer")
    with pytest.raises(NotAllowed, match="Guests"):
        await book.set_model(guest, "small", through="slack")
    assert (await book.set_model(viewer, "big", through="slack")).model == "big"
    rows = await Audit(room.database).page(None, 20)
    assert [row.entry.action for row in rows] == [
        "preferences.set", "preferences.set", "preferences.clear", *["preferences.set"] * 4,
    ]  # fmt: skip
    assert (rows[-1].entry.actor, rows[-1].entry.target) == (f"slack for {ada.id}", "model")
    assert rows[-1].entry.detail == {"by": "Ada", "value": "small"}


async def test_somebody_who_is_linked_keeps_what_they_preferred_and_can_clear_it(room: Room) -> None:
    book = customs_of(room).people
    ada = await room.person("Ada")
    chat = Identity(platform="slack", workspace="T1", account="U1", name="ada")
    before = await room.directory.resolve(chat)
    await book.set_model(before, "small", through="slack")
    await book.set_verbosity(before, "quiet", through="slack")
    await room.directory.link(ada.id, chat)
    assert (await book.of(before.id)) == Preferences("small", "quiet")
    await book.set_verbosity(ada, "detailed", through="web")
    assert await book.of(ada.id) == Preferences("small", "detailed")
    assert (await book.set_model(ada, None, through="web")).model is None


async def test_channel_rules_are_for_admins_kept_and_checked(room: Room) -> None:
    book, grace = customs_of(room).channels, await room.person("Grace", "admin")
    outage, invoices = WatchedWord("Outage", starts=True), WatchedWord("invoices", repository="acme/api")
    assert await book.of(BILLING) == ChannelRules(BILLING)
    ada = await room.person("Ada", "approver")
    refused = [
        (book.set_repository(ada, BILLING, "acme/web", through="slack"), NotAllowed, "set by admins"),
        (book.forget(ada, BILLING, through="slack"), NotAllowed, "set by admins"),
        (book.set_repository(grace, BILLING, "acme/wbe", through="slack"), NotFound, "acme/web"),
        (book.set_repository(grace, Channel("slack", "", ""), None, through="web"), Refusal, "which channel"),
        (
            book.set_words(
                grace, BILLING, [invoices, replace(invoices, repository="acme/web")], through="web"
            ),
            Refusal,
            "cannot lead to both",
        ),
        (book.set_words(grace, BILLING, [WatchedWord("x" * 65)], through="web"), Refusal, "1 to 64"),
        (
            book.set_words(grace, BILLING, [WatchedWord(f"w{n}") for n in range(51)], through="web"),
            Refusal,
            "these are 51",
        ),
    ]
    for work, kind, sentence in refused:
        with pytest.raises(kind) as told:
            await work
        assert sentence in told.value.sentence
    assert await book.all() == ()
    await book.set_repository(grace, BILLING, "ACME/web", through="slack")
    await book.set_words(grace, BILLING, [outage, invoices, replace(invoices, starts=True)], through="web")
    rules = await book.set_mention_required(grace, replace(BILLING, name=""), True, through="web")
    both = WatchedWord("invoices", starts=True, repository="acme/api")
    assert rules == ChannelRules(
        BILLING, "acme/web", (WatchedWord("outage", starts=True), both), mention_required=True
    )
    assert await book.all() == (rules,)
    assert rules.starts_work("An OUTAGE!")
    assert not rules.starts_work("outages")
    assert rules.repositories_of("two invoices") == (("acme/api", "invoices"),)
    assert await book.of(replace(BILLING, channel="C2")) == ChannelRules(replace(BILLING, channel="C2"))
    newest = (await Audit(room.database).page(None, 1))[0].entry
    assert (newest.action, newest.target, newest.detail["rule"]) == (
        "channel_rules.set", "slack T1 C1", "mentions",
    )  # fmt: skip
    await book.forget(grace, BILLING, through="web")
    assert (await book.of(BILLING)).says_nothing


async def test_preferences_fill_in_what_a_request_does_not_say(room: Room) -> None:
    commands, ada = with_preferences(room), await room.person("Ada")
    book = customs_of(room).people
    await book.set_model(ada, "small", through="slack")
    await book.set_branch(ada, "acme/web", "develop", through="slack")
    silent = await commands.open_session(prompt(ada, "fix it"), ORIGIN)
    outspoken = await commands.open_session(
        prompt(ada, "fix it").model_copy(update={"model": "big", "branch": "main"}), ORIGIN
    )
    follow_up = await commands.add_prompt(outspoken.id, prompt(await room.person("Bo"), "and that"))
    assert [view.prompts[0].prompt.model for view in (silent, outspoken)] == ["small", "big"]
    assert follow_up.view.prompts[1].prompt.model is None, "Bo prefers nothing"
    picked = [await commands.pick_repository(s.id, "acme/web", ada) for s in (silent, outspoken)]
    assert [view.repository and view.repository.branch for view in picked] == ["develop", "main"]
    other = await commands.open_session(Prompt(id="p9", text="fix", author=ada), ORIGIN)
    elsewhere = await commands.pick_repository(other.id, "acme/api", ada)
    assert elsewhere.repository is not None
    assert elsewhere.repository.branch == "main"


async def test_of_two_who_pick_from_the_same_question_the_second_is_told(room: Room) -> None:
    commands = with_preferences(room)
    ada, bo = await room.person("Ada"), await room.person("Bo")
    view = await room.opened(ada)
    await room.log.record(view.id, lambda _: [e.RepositoryAsked(reason="Which?", candidates=())])
    await commands.pick_repository(view.id, "acme/web", ada, instead_of="")
    with pytest.raises(Changed) as told:
        await commands.pick_repository(view.id, "acme/api", bo, instead_of="")
    assert "Ada has picked acme/web in the meantime" in told.value.sentence
    same = await commands.pick_repository(view.id, "acme/web", bo, instead_of="")
    assert same.repository is not None
    assert same.repository.by == ada
    moved = await commands.pick_repository(view.id, "acme/api", bo, instead_of="acme/web")
    assert moved.repository is not None
    assert moved.repository.slug == "acme/api"
