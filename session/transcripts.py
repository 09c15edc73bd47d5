"""Voice clips, written out: the broker asks the model provider, since it alone holds the key."""

from __future__ import annotations

import base64

from pydantic import ConfigDict, Field

from session.broker import Broker
from session.people import Declared

MOST_CLIP_BYTES = 2_900_000
"""About six minutes of speech as chat platforms record it; larger ones do not fit into one call."""

CLIP_SECONDS = 25.0
"""How long the provider has for one clip."""


class Recording(Declared):
    """A clip as it travels. `content` is base64; `by` goes on the audit: whose account said it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    media_type: str = Field(max_length=100)
    content: str = Field(max_length=MOST_CLIP_BYTES * 4 // 3 + 4, repr=False)
    by: str = ""


class Transcript(Declared):
    """What was said."""

    text: str


class Transcripts:
    """Writes clips out, by way of the broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def of(self, content: bytes, media_type: str, by: str = "") -> str:
        """What is said in the clip; empty where nothing is.

        Raises: BrokerDown, BrokerRefused (its message can be shown), ValueError for a clip that is too large.
        """
        asked = Recording(media_type=media_type, content=base64.b64encode(content).decode(), by=by)
        answer = await self._broker.call("audio.transcribe", asked, Transcript, seconds=CLIP_SECONDS + 5)
        return answer.text
