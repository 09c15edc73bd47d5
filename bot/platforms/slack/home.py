"""The home tab and the modals as Block Kit, within Slack's limits whatever the content is.

Source: https://docs.slack.dev/reference/views
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bot import sentences
from bot.home_view import Home, HomeSession
from bot.long_text import one_line
from bot.platforms.slack.blocks import (
    ACTION_PREFIX,
    BUTTON_CHARACTERS,
    MENU_OPTIONS,
    Block,
    read_button_value,
)
from bot.platforms.slack.mrkdwn import escape
from bot.sentences import preferences as say
from session.preferences import VERBOSITIES, Preferences

HOME_PREFIX = "bellhop-home"
AS_USUAL = "default"
"""The value of a menu's entry that stands for no preference; the words of `/bellhop` know it too."""

BRANCH_CALLBACK = "bellhop-branch"
SEARCH_CALLBACK = "bellhop-search"
REPOSITORY_BLOCK, REPOSITORY_INPUT = "repository", f"{ACTION_PREFIX}:pick_repository:search"
BRANCH_BLOCK, BRANCH_INPUT = "branch", "bellhop-branch:name"
SESSIONS_SHOWN = 6
BRANCHES_SHOWN = 10
NAME_CHARACTERS = 60
TITLE_CHARACTERS = 80
MENU_TOTAL_CHARACTERS = 3_000
SENTENCE_CHARACTERS = 400
"""All of these keep the tab under 12,000 characters, also where every character of a title is escaped."""

_OPTION_VALUE_CHARACTERS = 150


@dataclass(frozen=True, slots=True)
class AskedFrom:
    """The question that a search was opened from, and where its answer goes. `instead_of`: the repository
    that the session had then; empty: none."""

    session_id: str
    instead_of: str
    channel: str
    thread: str
    message: str


def home_view(home: Home, said: str = "") -> Block:
    """The home tab: some thirty blocks at most, of the 100 that Slack takes. `said`: a sentence above all."""
    sentence = [_section(escape(one_line(said, SENTENCE_CHARACTERS)))] if said else []
    return {"type": "home", "blocks": [*sentence, *_home(home, said)]}


def home_of_nobody(sentence: str) -> Block:
    """The home tab with nothing but a sentence."""
    return {"type": "home", "blocks": [_section(escape(sentence))]}


def branch_modal() -> Block:
    """The form for a branch of a repository."""
    return {
        "type": "modal",
        "callback_id": BRANCH_CALLBACK,
        "title": _plain(say.BRANCH, 24),
        "submit": _plain(say.SAVE, 24),
        "close": _plain(say.CANCEL, 24),
        "blocks": [_repository_input(), _branch_input()],
    }


def search_modal(asked: AskedFrom) -> Block:
    """The form in which a repository is searched for."""
    return {
        "type": "modal",
        "callback_id": SEARCH_CALLBACK,
        "private_metadata": json.dumps(asdict(asked), separators=(",", ":")),
        "title": _plain(say.SEARCH_TITLE, 24),
        "submit": _plain(say.PICK, 24),
        "close": _plain(say.CANCEL, 24),
        "blocks": [_repository_input()],
    }


def asked_from(body: Mapping[str, Any]) -> AskedFrom:
    """What the search button that was pressed asks about."""
    session_id, instead_of, _ = read_button_value(str(body["actions"][0]["value"]))
    message: Mapping[str, Any] = body["message"]
    thread = str(message.get("thread_ts") or message["ts"])
    return AskedFrom(session_id, instead_of, str(body["channel"]["id"]), thread, str(message["ts"]))


def read_asked_from(view: Mapping[str, Any]) -> AskedFrom:
    """What a search form was opened for."""
    return AskedFrom(**json.loads(view["private_metadata"]))


def filled_repository(view: Mapping[str, Any]) -> str:
    """The repository that was chosen in a form; empty when none was."""
    chosen = (
        view["state"]["values"].get(REPOSITORY_BLOCK, {}).get(REPOSITORY_INPUT, {}).get("selected_option")
    )
    return str(chosen["value"]) if chosen else ""


def filled_branch(view: Mapping[str, Any]) -> str:
    """The branch that was typed into a form."""
    return str(view["state"]["values"].get(BRANCH_BLOCK, {}).get(BRANCH_INPUT, {}).get("value") or "").strip()


def _home(home: Home, said: str) -> Iterator[Block]:
    if home.guest:
        yield _section(escape(say.HOME_GUEST))
        return
    yield from _sessions(say.HOME_WAITING, home.waiting, "waiting")
    yield from _sessions(say.HOME_RUNNING, home.running, "running")
    if not home.waiting and not home.running:
        yield _section(escape(say.HOME_NOTHING))
    yield {"type": "divider"}
    yield {"type": "header", "text": _plain(say.HOME_PREFERENCES, 150)}
    preferred = home.preferences
    usual = say.default_model(home.models[0])
    models = [(AS_USUAL, usual), *((name, name) for name in home.models)]
    yield _choice(say.MODEL, "model", models, preferred.model or AS_USUAL, said)
    levels = [(level, say.VERBOSITY_WORDS[level]) for level in VERBOSITIES]
    yield _choice(say.VERBOSITY, "verbosity", levels, preferred.verbosity, said)
    yield from _branches(preferred)
    yield {"type": "actions", "elements": list(_buttons(home))}


def _sessions(heading: str, sessions: Sequence[HomeSession], name: str) -> Iterator[Block]:
    if not sessions:
        return
    yield {"type": "header", "text": _plain(heading, 150)}
    for number, session in enumerate(sessions[:SESSIONS_SHOWN]):
        where = f"  ·  {escape(one_line(session.repository, NAME_CHARACTERS))}" if session.repository else ""
        title = escape(one_line(session.title, TITLE_CHARACTERS))
        block = _section(f"*{title}*\n{escape(sentences.states.STATES[session.state])}{where}")
        if session.page:
            action = f"{HOME_PREFIX}:open:{name}.{number}"
            block["accessory"] = {**_button(say.OPEN_SESSION, action), "url": session.page}
        yield block


def _branches(preferred: Preferences) -> Iterator[Block]:
    yield _section(f"*{say.BRANCHES}*" + ("" if preferred.branches else f"\n{say.NO_BRANCHES}"))
    for number, (slug, branch) in enumerate(list(preferred.branches.items())[:BRANCHES_SHOWN]):
        names = (escape(one_line(name, NAME_CHARACTERS)) for name in (slug, branch))
        block = _section("{}: `{}`".format(*names))
        block["accessory"] = {**_button(say.FORGET_BRANCH, f"{HOME_PREFIX}:forget:{number}"), "value": slug}
        yield block


def _buttons(home: Home) -> Iterator[Block]:
    yield _button(say.ADD_BRANCH, f"{HOME_PREFIX}:branch")
    if home.account_page:
        yield {**_button(say.OPEN_ACCOUNT, f"{HOME_PREFIX}:open:account"), "url": home.account_page}


def _choice(label: str, name: str, entries: Sequence[tuple[str, str]], now: str, said: str) -> Block:
    known = [entry for entry in entries if len(entry[0]) <= _OPTION_VALUE_CHARACTERS]
    most = min(MENU_OPTIONS, MENU_TOTAL_CHARACTERS // BUTTON_CHARACTERS)
    if len(known) > most:
        # What is chosen now comes first, so that it is among those that fit.
        known.sort(key=lambda entry: entry[0] != now)
    options = {
        value: {"text": _plain(words, BUTTON_CHARACTERS), "value": value} for value, words in known[:most]
    }
    menu: Block = {
        "type": "static_select",
        "action_id": f"{HOME_PREFIX}:{name}",
        "options": list(options.values()),
    }
    if now in options:
        menu["initial_option"] = options[now]
    # Slack keeps what somebody chose in a block of the same name, whatever the new view says is chosen.
    block_id = f"{HOME_PREFIX}:{name}:{'refused' if said else 'set'}:{now}"[:255]
    return {**_section(f"*{label}*"), "block_id": block_id, "accessory": menu}


def _repository_input() -> Block:
    return {
        "type": "input",
        "block_id": REPOSITORY_BLOCK,
        "label": _plain(say.REPOSITORY, 150),
        "element": {
            "type": "external_select",
            "action_id": REPOSITORY_INPUT,
            "placeholder": _plain(say.SEARCH_HINT, 150),
            "min_query_length": 0,
        },
    }


def _branch_input() -> Block:
    element = {"type": "plain_text_input", "action_id": BRANCH_INPUT}
    return {"type": "input", "block_id": BRANCH_BLOCK, "label": _plain(say.BRANCH, 150), "element": element}


def _button(label: str, action: str) -> Block:
    return {
        "type": "button",
        "action_id": action,
        "text": {**_plain(label, BUTTON_CHARACTERS), "emoji": True},
    }


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": one_line(text, limit) or "…"}
