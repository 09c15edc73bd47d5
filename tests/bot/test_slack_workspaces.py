"""One Slack app in several workspaces: what is for another workspace than ours is not taken as ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.bot.rooms import Rooms
from tests.bot.slack_side import Way, bot_on
from tests.emulators.slack.deliveries import Envelope, Transport
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.refusals import Json
from tests.emulators.slack.workspace import STRANGER_TEAM_ID as ELSEWHERE
from tests.emulators.slack.workspace import TEAM_ID


def seen_by(payload: Json, *, team: str, authorized: str) -> Json:
    """The event as it comes where it happened in `team` and is seen by the installation in `authorized`."""
    authorizations = [{**entry, "team_id": authorized} for entry in payload["authorizations"]]
    return {**payload, "team_id": team, "context_team_id": team, "authorizations": authorizations}


def shared(held: Sequence[Json]) -> Iterator[Json]:
    """Each event twice, as for two workspaces with one channel and one app."""
    for payload in held:
        yield seen_by(payload, team=ELSEWHERE, authorized=TEAM_ID)
        yield seen_by(payload, team=TEAM_ID, authorized=ELSEWHERE)


def from_elsewhere(payload: Json, number: int) -> Json:
    """An event like that one, of another workspace alone: another event, another message."""
    event = {**payload["event"], "ts": f"1700000000.00000{number}"}
    own = {"event_id": f"EvElsewhere{number}", "event": event}
    return seen_by({**payload, **own}, team=ELSEWHERE, authorized=ELSEWHERE)


class FromElsewhere:
    """Brings interactions as the other workspace's."""

    def __init__(self, transport: Transport) -> None:
        self.sent = transport.sent
        self._transport = transport

    async def send(self, envelope: Envelope) -> Json | None:
        """See `Transport.send`."""
        payload = {**envelope.payload, "team": {"id": ELSEWHERE, "domain": "elsewhere"}}
        return await self._transport.send(Envelope(envelope.kind, payload))


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_another_workspace_is_not_heard_and_a_shared_channel_is_heard_once(
    rooms: Rooms, way: Way, capfd: pytest.CaptureFixture[str]
) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms, way):
        ada, channel = slack.person("Ada"), slack.channel("shared")
        async with slack.held_events(shared):
            request = await ada.say(channel, "round invoices half up")
        await slack.wait_for_delivery()
        session_id = await rooms.only_session()
        assert len((await rooms.log.view(session_id)).prompts) == 1

        mention = next(sent.payload for sent in slack.sent if sent.payload["event"]["type"] == "app_mention")
        for number in (1, 2):
            slack.deliveries.event(from_elsewhere(mention, number))
        await slack.wait_for_delivery()
        assert await rooms.sessions() == [session_id]

        await rooms.start_turn(session_id)
        card = await slack.wait_for_post(request, "Working")
        before = await rooms.log.view(session_id)
        ours = slack.deliveries.transport
        slack.deliveries.transport = FromElsewhere(ours)
        await ada.press(card, "Stop")
        assert await rooms.log.view(session_id) == before
        slack.deliveries.transport = ours
        await ada.press(card, "Stop")
        await slack.wait_for_post(request, "Stopped by Ada")
    said = "".join(capfd.readouterr())
    assert said.count("slack.other_workspace") == 1, "said once, however much comes"
