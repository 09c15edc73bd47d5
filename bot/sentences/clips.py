"""What the bot says about voice clips."""

from __future__ import annotations

from bot.long_text import one_line

TOO_LONG = "It is too long for me."
GONE = "The platform did not let me have it."
SILENT = "I heard no words in it."
NO_EARS = "I cannot listen to recordings here."


def unheard(name: str, why: str) -> str:
    """Said once for a clip that could not be written out."""
    return (
        f"I could not make out the recording “{one_line(name, 80)}”, so I go by your words alone. {why} "
        "You can write here what it says."
    )


def heard(text: str) -> str:
    """What a clip was understood as, for everybody to see."""
    return f"🎙️ What I heard:\n\n> {one_line(text, 2_000)}"
