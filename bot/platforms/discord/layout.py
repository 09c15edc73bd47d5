"""Cards and posts as Discord's components, within its limits whatever the content is.

Source: https://docs.discord.com/developers/components/reference: 40 components and 4,000 characters of text
in a message, 25 options in a menu, 80 characters on a button.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from discord import ButtonStyle, SelectOption
from discord.ui import ActionRow, Container, LayoutView, Section, Select, Separator, TextDisplay
from discord.ui import Button as Control

from bot.long_text import one_line, split_text
from bot.messages import Button, Choice, Menu, Outgoing, Post, StatusCard, Tone
from bot.platforms.discord.keys import SEARCH, Carried, custom_id, short_value
from bot.platforms.discord.markdown import bare, cut, discord_markdown, escape, units
from bot.platforms.plan_lines import PlanForm, plan_lines

# Together with labels they stay below 4,000.
MESSAGE_CHARACTERS = 2_400
HEADING_CHARACTERS = 300
FOOTER_CHARACTERS = 400
HEAD_CHARACTERS = 700
FACTS_CHARACTERS = 600
PLAN_CHARACTERS = 1_200
NOTES_CHARACTERS = 500
BUTTON_CHARACTERS = 80
ADDRESS_CHARACTERS = 512
MENU_OPTIONS = 25
BUTTONS_SHOWN = 10

_IN_ROW = 5
_CODE = re.compile(r"(`[^`\s](?:[^`]*[^`\s])?`)")

Layout = LayoutView
Box = Container[Layout]
Part = TextDisplay[Layout] | Section[Layout] | Separator[Layout] | ActionRow[Layout]

COLOURS: Mapping[Tone, int] = {
    "waiting": 0xF0B232,
    "working": 0x5865F2,
    "done": 0x23A55A,
    "failed": 0xF23F43,
    "stopped": 0x80848E,
    "quiet": 0x4E5058,
}
_TONE_MARKS: Mapping[Tone, str] = {
    "waiting": "🔔",
    "working": "⚙️",
    "done": "✅",
    "failed": "⚠️",
    "stopped": "🛑",
    "quiet": "📦",
}
_PLAN = PlanForm(
    marks={"done": "✅", "in_progress": "▶️", "pending": "⚪", "dropped": "➖"},
    text=escape,
    aside=lambda words: f"*{words}*",
    room=PLAN_CHARACTERS - 60,
    length=units,
)
_STYLES = {"primary": ButtonStyle.primary, "danger": ButtonStyle.danger, "plain": ButtonStyle.secondary}


def render(content: Outgoing, number: int) -> Layout:
    """The content as one message whose outermost component carries `number`."""
    parts = list(_card(content) if isinstance(content, StatusCard) else _post(content))
    return _laid_out(Container[Layout](*parts, accent_colour=COLOURS[content.tone], id=number))


def plain_layout(text: str, number: int | None = None) -> Layout:
    """A message that is only text, already in Discord's marks."""
    return _laid_out(TextDisplay[Layout](text, id=number))


def choices_layout(text: str, menu: Menu, session_id: str) -> Layout:
    """A text with a menu under it."""
    rows = list(_menu(session_id, menu, 0))
    return _laid_out(Container[Layout](TextDisplay[Layout](text), *rows))


def split_post(post: Post) -> tuple[Post, ...]:
    """The post in pieces that each fit one message; buttons, menu and footer stay with the last."""
    *first, last = split_text(post.text, MESSAGE_CHARACTERS, _length)
    plain = replace(post, buttons=(), menu=None, footer=())
    return (*(replace(plain, text=text) for text in first), replace(post, text=last))


def options(choices: Sequence[Choice]) -> list[SelectOption]:
    """Entries of a menu; no two are the same."""
    unique = {choice.value: choice for choice in choices if choice.value}
    return [
        SelectOption(
            label=_label(choice.label or choice.value, 100),
            value=short_value(choice.value),
            description=_label(choice.description, 100) if choice.description.strip() else None,
        )
        for choice in unique.values()
    ][:MENU_OPTIONS]


def _laid_out(item: Box | TextDisplay[Layout]) -> Layout:
    view = LayoutView(timeout=None)
    view.add_item(item)
    return view


def _length(markdown: str) -> int:
    return units(discord_markdown(markdown))


def _card(card: StatusCard) -> Iterator[Part]:
    action = f": {_one(card.action, 250)}" if card.action else ""
    head = f"### {_one(card.title, 150)}\n{_TONE_MARKS[card.tone]} **{_one(card.state, 100)}**{action}"
    head = cut(head, HEAD_CHARACTERS)
    page = next((button for button in card.buttons if button.label == "Open page"), None)
    link = _control(card.session_id, page, 0) if page is not None and page.url is not None else None
    if link is not None:
        yield Section[Layout](TextDisplay[Layout](head), accessory=link)
    else:
        yield TextDisplay[Layout](head)
    facts = [f"**{_one(label, 30)}** {_one(value, 100)}" for label, value in card.facts[:10]]
    yield from _small(["  ·  ".join(facts)] if facts else [], FACTS_CHARACTERS)
    if card.plan:
        yield Separator[Layout]()
        yield TextDisplay[Layout](cut("\n".join(plan_lines(card.plan, _PLAN)), PLAN_CHARACTERS))
    yield from _small([_small_print(note, 300) for note in card.notes[:6]], NOTES_CHARACTERS)
    buttons = [button for button in card.buttons if link is None or button is not page]
    yield from _rows(card.session_id, buttons)


def _post(post: Post) -> Iterator[Part]:
    heading = f"### {_one(post.heading, 140)}\n" if post.heading.strip() else ""
    text = cut(f"{heading}{discord_markdown(post.text)}", MESSAGE_CHARACTERS + HEADING_CHARACTERS)
    yield TextDisplay[Layout](text if text.strip() else "…")
    yield from _small([_small_print(line, 300) for line in post.footer[:8]], FOOTER_CHARACTERS)
    yield from _rows(post.session_id, post.buttons)
    if post.menu is not None:
        yield from _menu(post.session_id, post.menu, BUTTONS_SHOWN)


def _small(lines: list[str], most: int) -> Iterator[Part]:
    filled = [f"-# {line}" for line in lines if line.strip()]
    if filled:
        yield TextDisplay[Layout](cut("\n".join(filled), most))


def _rows(session_id: str, buttons: Sequence[Button]) -> Iterator[Part]:
    made = [_control(session_id, button, index) for index, button in enumerate(buttons[:BUTTONS_SHOWN])]
    controls = [control for control in made if control is not None]
    for at in range(0, len(controls), _IN_ROW):
        yield ActionRow[Layout](*controls[at : at + _IN_ROW])


def _control(session_id: str, button: Button, index: int) -> Control[Layout] | None:
    label = _label(button.label, BUTTON_CHARACTERS)
    if button.url is not None:
        fits = button.url.startswith(("https://", "http://")) and units(button.url) <= ADDRESS_CHARACTERS
        usable = fits and bare(button.url) == button.url
        return Control[Layout](label=label, url=button.url) if usable else None
    picks = button.action == "pick_repository"
    ref, value = (short_value(field) if picks else field for field in (button.ref, button.value))
    name = custom_id(Carried(button.action, session_id, ref, value), index)
    return Control[Layout](label=label, style=_STYLES[button.style], custom_id=name) if name else None


def _menu(session_id: str, menu: Menu, index: int) -> Iterator[Part]:
    """All choices, where a menu holds them; otherwise a button that opens the search through all of them."""
    entries = options(menu.choices)
    many = len({choice.value for choice in menu.choices if choice.value}) > MENU_OPTIONS
    name = custom_id(Carried(SEARCH if many else menu.action, session_id, short_value(menu.ref)), index)
    if not entries or name is None:
        return
    placeholder = _label(menu.placeholder, BUTTON_CHARACTERS)
    if many:
        yield ActionRow[Layout](Control[Layout](label=placeholder, custom_id=name))
    else:
        yield ActionRow[Layout](Select[Layout](custom_id=name, placeholder=placeholder, options=entries))


def _one(text: str, limit: int) -> str:
    return escape(one_line(text, limit))


def _small_print(text: str, limit: int) -> str:
    """One line in which code is code, and everything else is as it is written."""
    parts = _CODE.split(one_line(text, limit))
    return "".join(discord_markdown(part) if at % 2 else escape(part) for at, part in enumerate(parts))


def _label(text: str, limit: int) -> str:
    """Text that Discord shows as it is; counted as its clients do."""
    flat = one_line(bare(text), limit)
    while units(flat) > limit:
        flat = one_line(flat[:-2], limit)
    return flat or "…"
