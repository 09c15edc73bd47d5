"""Text for other people's pages, without what a browser loads from elsewhere by merely showing it."""

from __future__ import annotations

import re

# One mark taken away could leave another in its place.
_IMAGE = re.compile(r"!+(?=\[)")
_LOADED = re.compile(
    r"<(?=/?(?:img|image|picture|source|video|audio|track|iframe|embed|object|input|link|svg|style)\b)", re.I
)


def still(text: str) -> str:
    """The Markdown with links in place of images, and HTML that loads something shown as text.

    An image's address is asked for whenever somebody looks at the page: who wrote it would learn what stands
    in it, and the agent writes what strangers tell it to.
    """
    return _LOADED.sub("&lt;", _IMAGE.sub("", text))
