"""People in a workspace, for tests to act as: they write, react, press and pick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.emulators.slack import chat_methods
from tests.emulators.slack.deliveries import Deliveries
from tests.emulators.slack.event_feed import EventFeed
from tests.emulators.slack.interactions import Interactions, Place
from tests.emulators.slack.payloads import message_payload
from tests.emulators.slack.refusals import Json
from tests.emulators.slack.views import View, Views
from tests.emulators.slack.workspace import Channel, File, Message, User, Workspace


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send along with a message."""

    name: str
    content: bytes
    mimetype: str = "text/plain"


class SlackPerson:
    """One person. What they do reaches the app as Slack would tell it."""

    def __init__(
        self,
        user: User,
        workspace: Workspace,
        feed: EventFeed,
        deliveries: Deliveries,
        views: Views,
        base_url: str,
        scopes: frozenset[str],
    ) -> None:
        self.user = user
        self._workspace = workspace
        self._feed = feed
        self._views = views
        self._base_url = base_url
        self._interactions = Interactions(user, workspace, deliveries, views, base_url, scopes)

    @property
    def id(self) -> str:
        """The user id."""
        return self.user.id

    @property
    def name(self) -> str:
        """The name others see."""
        return self.user.name

    @property
    def modal(self) -> View | None:
        """The modal this person has in front of them."""
        stack = self._views.modals.get(self.id)
        return stack[-1] if stack else None

    @property
    def home(self) -> View | None:
        """The app's home tab as this person sees it."""
        return self._views.homes.get(self.id)

    async def say(
        self,
        channel: Channel,
        text: str,
        *,
        thread: Message | None = None,
        mention_bot: bool = True,
        files: Sequence[Upload] = (),
    ) -> Message:
        """Write in a channel, in the thread of `thread` if given; the event is on its way on return."""
        channel.members.add(self.id)
        if mention_bot and channel.kind != "im":
            text = f"<@{self._workspace.bot.id}> {text}"
        root = thread.root_ts if thread else None
        uploads = [self._upload(file) for file in files]
        message = self._workspace.post(channel, self.user, text, thread_ts=root, files=uploads)
        message.read = True
        self._feed.message_posted(message)
        return message

    async def say_directly(
        self, text: str, *, thread: Message | None = None, files: Sequence[Upload] = ()
    ) -> Message:
        """Write to the bot alone."""
        channel = self._workspace.direct_channel(self.id)
        return await self.say(channel, text, thread=thread, mention_bot=False, files=files)

    async def edit(self, message: Message, text: str) -> None:
        """Change an own message."""
        assert message.author is self.user, f"{self.name} cannot edit a message of {message.author.name}"
        before = message_payload(message)
        message.revisions.append(message.shown)
        message.text = text
        self._workspace.watch.changed()
        self._feed.message_changed(message, before)

    async def react(self, message: Message, name: str) -> None:
        """Put a reaction on a message; skin tones are written as `+1::skin-tone-3`."""
        assert chat_methods.is_emoji(name, self._workspace.custom_emoji), f"there is no emoji :{name}:"
        users = message.reactions.setdefault(name, [])
        assert self.id not in users, f"{self.name} has already reacted with :{name}:"
        users.append(self.id)
        self._workspace.watch.changed()
        self._feed.reaction(message, self.user, name, added=True)

    async def unreact(self, message: Message, name: str) -> None:
        """Take a reaction off again."""
        chat_methods.withdraw(message, name, self.id)
        self._workspace.watch.changed()
        self._feed.reaction(message, self.user, name, added=False)

    async def press(self, place: Place, button: str) -> None:
        """Press the button whose action id, value or label is `button`, and wait until it is acknowledged."""
        await self._interactions.press(place, button)

    async def pick(self, place: Place, menu: str, option: str) -> None:
        """Pick `option` (its value or label) from the menu with that action id, placeholder or block id."""
        await self._interactions.pick(place, menu, option)

    async def search(self, place: Place, menu: str, query: str) -> list[Json]:
        """The options an external menu offers for what was typed."""
        return await self._interactions.search(place, menu, query)

    async def submit(self, view: View, **values: str) -> dict[str, str]:
        """Submit a modal with `values` by action id; the errors shown, or nothing once it is closed."""
        return await self._interactions.submit(view, values)

    async def shortcut(self, message: Message, callback_id: str) -> None:
        """Choose a message shortcut from a message's menu, which has none without the scope `commands`."""
        await self._interactions.shortcut(message, callback_id)

    async def command(self, channel: Channel, command: str, text: str = "") -> Json | None:
        """Type a slash command; what the app answered at once, if anything. There is none without the scope
        `commands`."""
        return await self._interactions.command(channel, command, text)

    async def open_home(self, tab: str = "home") -> None:
        """Look at the app's home tab, or at the `messages` with it."""
        self._feed.home_opened(self.user, self.home, tab)

    async def share_link(self, channel: Channel, url: str) -> Message:
        """Write a link to one of the app's pages."""
        message = await self.say(channel, f"<{url}>", mention_bot=False)
        self._feed.link_shared(message, url)
        return message

    async def stop_agent(self, message: Message) -> None:
        """Press Slack's own stop button in a message's thread, which ends what is streamed there."""
        session = self._workspace.agent_sessions.get((message.channel.id, message.root_ts))
        assert session is not None, "no agent is at work in that thread"
        assert session.status == "processing", f"there is no stop button: the status is {session.status}"
        streams = [m for m in self._workspace.in_thread(message.channel, message.root_ts) if m.streaming]
        for stream in streams:
            stream.streaming = False
        self._feed.agent_stopped(
            self.user, message.channel.id, message.root_ts, [stream.ts for stream in streams]
        )

    def _upload(self, upload: Upload) -> File:
        file_id = self._workspace.new_id("F")
        url = f"{self._base_url}/files/{file_id}/{upload.name}"
        file = File(file_id, upload.name, upload.mimetype, upload.content, self.id, url)
        self._workspace.files[file_id] = file
        return file
