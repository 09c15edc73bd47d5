"""Pages from text: the first line is the title, a blank line parts paragraphs."""

from html import escape
from pathlib import Path

PAGES = Path(__file__).parent / "pages"


def render(text: str) -> str:
    """One page as HTML."""
    title, _, body = text.strip().partition("\n")
    paragraphs = [part.strip() for part in body.split("\n\n") if part.strip()]
    inner = "\n".join(f"<p>{escape(part)}</p>" for part in paragraphs)
    return f"<!doctype html>\n<title>{escape(title)}</title>\n<h1>{escape(title)}</h1>\n{inner}\n"


def render_all() -> dict[str, str]:
    """All pages by name."""
    return {path.stem: render(path.read_text(encoding="utf-8")) for path in sorted(PAGES.glob("*.txt"))}
