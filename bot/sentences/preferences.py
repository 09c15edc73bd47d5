"""What the bot says about preferences and the rules of a channel."""

from __future__ import annotations

from collections.abc import Sequence

from bot.long_text import one_line
from bot.sentences.refusals import GUEST
from session.channel_rules import ChannelRules, WatchedWord
from session.preferences import Preferences

HELP = """**What you can tell me here**

- `/bellhop` shows what you prefer, `/bellhop sessions` your sessions
- `/bellhop model <name>` for what you ask from now on; `default` takes it back
- `/bellhop branch <repository> <branch>` is where your work there starts; `default` takes it back
- `/bellhop verbosity quiet`, `normal` or `detailed`: how much I tell in a thread
- `/bellhop channel` shows what holds in this channel

Admins set that with `/bellhop channel repository <repository>`, `/bellhop channel words <word> \
<word>=<repository>` and `/bellhop channel mentions on`, `off` or `default`.

To have something done, mention me and say it in your own words."""
CHANNEL_USAGE = (
    "For a channel I know `/bellhop channel repository`, `/bellhop channel words` and "
    "`/bellhop channel mentions`."
)
OPEN_QUOTE = "A quotation mark is open in that. Close it, or leave it out."
NO_CHANNEL = "Here are only the two of us: what holds for a channel is set in that channel."
TOO_SLOW = "I was too slow to open that. Press it once more, or just write the repository's name."

# The words of forms, for platforms that have some.
HOME_WAITING = "Waiting for you"
HOME_RUNNING = "At work"
HOME_NOTHING = "Nothing is under way for you. Mention me in a channel, or write to me in Messages."
HOME_PREFERENCES = "What you prefer"
HOME_GUEST = GUEST
HOME_AWAY = "My memory does not answer right now. Come back in a minute."
MODEL = "Model"
VERBOSITY = "How much I tell in a thread"
BRANCHES = "Branches your work starts from"
NO_BRANCHES = "Each repository's own default."
ADD_BRANCH = "Set a branch…"
FORGET_BRANCH = "Forget"
OPEN_ACCOUNT = "Open my account page"
OPEN_SESSION = "Open"
REPOSITORY = "Repository"
BRANCH = "Branch"
SEARCH = "Search…"
SEARCH_TITLE = "Which repository?"
SEARCH_HINT = "Type a part of its name"
PICK = "Pick"
SAVE = "Save"
CANCEL = "Cancel"

VERBOSITY_WORDS = {
    "quiet": "Quiet: the card, questions, the answer",
    "normal": "Normal: also updates on the way",
    "detailed": "Detailed: also each run of the checks",
}


def unknown_word(word: str) -> str:
    """Nothing begins with that word."""
    return f"I do not know “{one_line(word, 40)}” here. `/bellhop help` shows what I do know."


def usage(*forms: str) -> str:
    """How it is written: the first form whole, the others as what its last word may be as well."""
    first, *others = forms
    more = "".join(f", or `{other}`" for other in others)
    return f"Write it like this: `/bellhop {first}`{more}."


def default_model(model: str) -> str:
    """The entry of menus that stands for no preference."""
    return f"As usual ({model})"


def preferences(preferred: Preferences, models: Sequence[str]) -> str:
    """Everything that somebody prefers."""
    model = f"`{preferred.model}`" if preferred.model else f"as usual, `{models[0]}`"
    lines = [
        "**What you prefer**",
        f"- Model: {model}",
        f"- In threads: {VERBOSITY_WORDS[preferred.verbosity].lower()}",
    ]
    lines += [f"- In `{slug}` from branch `{branch}`" for slug, branch in preferred.branches.items()]
    return "\n".join([*lines, "", "`/bellhop help` says how to change that."])


def model_set(preferred: Preferences, models: Sequence[str]) -> str:
    """The model is another from now on."""
    which = f"`{preferred.model}`" if preferred.model else f"the usual one, `{models[0]}`"
    return f"Noted: what you ask from now on goes to {which}."


def verbosity_set(preferred: Preferences) -> str:
    """More or less is told from now on."""
    return f"Noted. In threads of your sessions: {VERBOSITY_WORDS[preferred.verbosity].lower()}."


def branch_set(slug: str, branch: str | None) -> str:
    """Work in a repository starts from elsewhere from now on."""
    where = f"the branch `{branch}`" if branch else "its own default branch"
    return f"Noted: your work in `{slug}` starts from {where}."


def channel(rules: ChannelRules) -> str:
    """Everything that holds in a channel."""
    if rules.says_nothing:
        return "Nothing special holds in this channel. An admin can change that; `/bellhop help` says how."
    lines = ["**What holds in this channel**"]
    if rules.repository:
        lines.append(f"- Requests are about `{rules.repository}`, unless they say otherwise")
    lines += [f"- {word_rule(word)}" for word in rules.words]
    if rules.mention_required is not None:
        lines.append(f"- {mention_rule(rules.mention_required)}")
    return "\n".join(lines)


def word_rule(word: WatchedWord) -> str:
    """What a watched word does."""
    does = ["starts work without a mention"] if word.starts else []
    does += [f"leads to `{word.repository}`"] if word.repository else []
    return f"“{word.word}” {' and '.join(does)}"


def mention_rule(required: bool) -> str:
    """Whether the bot has to be mentioned."""
    if required:
        return "In threads I listen only to those who mention me"
    return "In a session's thread I take up replies without a mention"
