"""The bot's side: platforms, their inboxes and their feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import structlog

from bot.counter import Counter
from bot.inbox import ChatInbox
from bot.messages import Choice
from bot.platforms.discord.platform import DiscordAccount, DiscordPlatform
from bot.platforms.protocol import Platform, PlatformError
from bot.platforms.slack.doors import SlackApp
from bot.platforms.slack.installations import Installations, OwnToken
from bot.platforms.slack.stored_installations import StoredInstallations
from bot.platforms.slack.workspaces import SlackWorkspaces
from bot.previews import SessionPreviews
from bot.reactions import ReactionTable
from bot.session_feed import FeedRooms
from bot.thread_feed import ThreadFeed
from bot.thread_posts import ThreadPosts
from deploy.core import Core
from session.broker_accounts import GitHubAccounts
from session.broker_slack import SlackTokens
from session.slack_installations import SlackInstallations
from session.transcripts import Transcripts

_log = structlog.get_logger(__name__)


def choices(core: Core) -> tuple[Choice, ...]:
    """The repositories as menu entries."""
    return tuple(
        Choice(value=repository.slug, label=repository.slug, description=repository.description)
        for repository in core.catalogue.active
    )


def slack(core: Core) -> SlackWorkspaces | None:
    """Slack, where it is set up: all workspaces that the app is in. Without an app-level token, events come
    over HTTP.
    """
    settings, installations = core.settings, _installations(core)
    if installations is None:
        return None
    app = SlackApp(
        app_token=settings.slack_app_token or None,
        # Two secrets, parted by a comma, are valid at once while one is replaced.
        signing_secrets=tuple(
            part.strip() for part in settings.slack_signing_secret.split(",") if part.strip()
        ),
        api_url=settings.slack_api_url,
    )
    previews = SessionPreviews(core.log, core.settings.page_address)
    return SlackWorkspaces(app, installations, choices(core), previews=previews)


def _installations(core: Core) -> Installations | None:
    """The workspace of SLACK_BOT_TOKEN, and where the app can be added to others, those too."""
    settings = core.settings
    if settings.slack_client_id:
        rows, tokens = SlackInstallations(core.database), SlackTokens(core.broker)
        return StoredInstallations(rows, tokens, settings.slack_bot_token)
    return OwnToken(settings.slack_bot_token) if settings.slack_bot_token else None


def discord(core: Core) -> DiscordPlatform | None:
    """Discord, where it is set up."""
    settings = core.settings
    if not settings.discord_bot_token or settings.discord_guild is None:
        return None
    account = DiscordAccount(
        bot_token=settings.discord_bot_token,
        guild_id=settings.discord_guild,
        member_role=settings.discord_member_role,
        api_url=settings.discord_api_url,
        gateway_url=settings.discord_gateway_url,
    )
    return DiscordPlatform(account, choices(core))


async def listen(core: Core, platform: Platform) -> None:
    """Brings what people do on the platform to the session room, until cancelled."""
    counter = Counter(
        platform=platform,
        log=core.log,
        commands=core.commands,
        directory=core.directory,
        messages=core.messages,
        reactions=ReactionTable.standard(),
        customs=core.customs,
        repositories=choices(core),
        mentions_required=core.settings.mentions_required,
        transcripts=Transcripts(core.broker),
        public_url=core.settings.page_address,
    )
    async with asyncio.TaskGroup() as waiting:
        await platform.run(ChatInbox(counter, GitHubAccounts(core.broker), waiting, core.warming))


async def tell(core: Core, platform: Platform) -> None:
    """Shows on the platform what happens in its sessions, until cancelled."""
    rooms = FeedRooms(
        core.log, core.commands, core.outbox, core.effects, core.messages, core.pulse, core.customs.people
    )
    posts = ThreadPosts(public_url=core.settings.page_address, repositories=choices(core))
    feed = ThreadFeed(platform, rooms, posts, interval_seconds=core.settings.feed_interval_seconds)
    await feed.run()


async def side_by_side(core: Core, platforms: Sequence[Platform]) -> None:
    """Listens and tells on all of them, until cancelled. One that will not have us does not end the others.

    Raises: PlatformError, when none is left.
    """
    ended: list[PlatformError] = []

    async def serve(platform: Platform) -> None:
        try:
            await chat(core, platform)
        except* PlatformError as errors:
            ended.append(next(iter(_leaves(errors))))
            _log.error("chat.ended", platform=platform.name, detail=str(ended[-1]))

    async with asyncio.TaskGroup() as group:
        for platform in platforms:
            group.create_task(serve(platform), name=platform.name)
    raise ended[-1]


def _leaves(errors: ExceptionGroup[PlatformError]) -> Iterator[PlatformError]:
    for error in errors.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def chat(core: Core, platform: Platform) -> None:
    """Listens and tells, until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(listen(core, platform), name=f"{platform.name} inbox")
        group.create_task(tell(core, platform), name=f"{platform.name} feed")
