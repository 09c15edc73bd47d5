"""Voice clips: what was said in them becomes words of the message, before anything else is made of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace

import structlog

from bot import sentences
from bot.counter import Counter
from bot.messages import ChatMessage, Clip
from session.broker import BrokerDown, BrokerRefused
from session.people import Attachment, Identity
from session.transcripts import MOST_CLIP_BYTES

MOST_SECONDS = 600
TRANSCRIPT_CHARACTERS = 20_000
_KEPT = 200

_log = structlog.get_logger(__name__)


class Clips:
    """Listens to clips. Each is sent out once, however often a platform delivers its message meanwhile."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._heard: OrderedDict[str, asyncio.Task[Attachment]] = OrderedDict()

    async def heard(self, message: ChatMessage) -> ChatMessage:
        """The message with its clips written out, as attachments; they are its text where it has none.

        What cannot be heard is told its author, and the request goes on without.
        """
        if not message.clips:
            return message
        tasks = [self._task(message, clip, number) for number, clip in enumerate(message.clips)]
        found = await asyncio.gather(*(asyncio.shield(task) for task in tasks))
        spoken = "\n\n".join(item.text for item in found if item.text)
        return replace(
            message,
            text=message.text if message.text.strip() else spoken,
            attachments=(*message.attachments, *found),
            clips=(),
        )

    def _task(self, message: ChatMessage, clip: Clip, number: int) -> asyncio.Task[Attachment]:
        key = f"{message.workspace}:{message.channel}:{message.message}:{number}"
        task = self._heard.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._heard[key] = asyncio.create_task(self._hear(message, clip), name="voice clip")
            if len(self._heard) > _KEPT:
                self._heard.popitem(last=False)
        return task

    async def _hear(self, message: ChatMessage, clip: Clip) -> Attachment:
        text, trouble = await self._words(clip, message.author)
        if trouble:
            _log.info("chat.unheard", platform=self._counter.platform.name, detail=trouble)
            said = sentences.clips.unheard(clip.name, trouble)
            await self._counter.tell(message.place, message.author, said)
        return Attachment(
            name=clip.name,
            media_type=clip.media_type,
            size_bytes=clip.size_bytes,
            text=text[:TRANSCRIPT_CHARACTERS] or None,
        )

    async def _words(self, clip: Clip, author: Identity) -> tuple[str, str]:
        """What is said, or why it is not known."""
        if self._counter.transcripts is None:
            return "", sentences.clips.NO_EARS
        if clip.size_bytes > MOST_CLIP_BYTES or (clip.seconds or 0) > MOST_SECONDS:
            return "", sentences.clips.TOO_LONG
        content = await clip.read(MOST_CLIP_BYTES)
        if content is None:
            return "", sentences.clips.GONE
        try:
            text = await self._counter.transcripts.of(content, clip.media_type, by=author.key)
        except (BrokerDown, BrokerRefused) as error:
            return "", str(error)
        return text, "" if text else sentences.clips.SILENT
