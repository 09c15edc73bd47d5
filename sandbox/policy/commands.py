"""Whether a repository's rules let a shell command run: refused, asked about, or run.

Advisory by nature: code that runs can always say the same thing in other words. What must hold stands at the
boundary (the door, the quarantine); these rules keep an agent that means no harm from doing some.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sandbox.policy.running import Reading, takes_value
from sandbox.policy.shell import Word
from session.policy import CommandRule

Match = Literal["no", "maybe", "yes"]
_ORDER: tuple[Match, ...] = ("no", "maybe", "yes")
_LONG = {"r": "--recursive", "R": "--recursive", "f": "--force"}


@dataclass(frozen=True, slots=True)
class CommandRules:
    """A repository's rules for commands. `always`: its policy asks about every command."""

    deny: tuple[CommandRule, ...] = ()
    ask: tuple[CommandRule, ...] = ()
    always: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say of one command; `why` in a sentence, empty for "allow"."""

    decision: Literal["allow", "ask", "deny"]
    why: str = ""


def judge(script: str, rules: CommandRules) -> Judgement:
    """What the rules say of that script: deny before ask before allow.

    What cannot be read is asked about as soon as there is a rule at all.
    """
    if not rules.deny and not rules.ask and not rules.always:
        return Judgement("allow")
    reading = Reading(script)
    deny = [(rule, _found(rule, reading)) for rule in rules.deny]
    ask = [(rule, _found(rule, reading)) for rule in rules.ask]
    for rule, match in deny:
        if match == "yes":
            return Judgement(
                "deny", f"The rule `{rule.command}` of this repository refuses it{_reason(rule)}"
            )
    for rule, match in ask:
        if match == "yes":
            return Judgement(
                "ask", f"The rule `{rule.command}` of this repository asks about it{_reason(rule)}"
            )
    for rule, match in (*deny, *ask):
        if match == "maybe":
            return Judgement("ask", f"It may be what the rule `{rule.command}` is about{_reason(rule)}")
    if reading.unreadable and (rules.deny or rules.ask):
        return Judgement(
            "ask", f"It cannot be held against this repository's rules: {reading.unreadable[0]}."
        )
    if rules.always:
        return Judgement("ask", "This repository's policy asks about every command.")
    return Judgement("allow")


def _reason(rule: CommandRule) -> str:
    return f": {rule.reason.strip().rstrip('.')}." if rule.reason.strip() else "."


def _found(rule: CommandRule, reading: Reading) -> Match:
    matches: Iterator[Match] = (matches_words(rule.command, words) for words in reading.commands)
    best: Match = max(matches, key=_ORDER.index, default=_ORDER[0])
    if best == "no" and any(_mentions(rule.command, text) for text in reading.code):
        return "maybe"
    return best


def _mentions(command: str, text: str) -> bool:
    """Whether code in another language holds all the rule's words."""
    words = [word for word in command.split() if "*" not in word]
    return bool(words) and all(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for word in words)


def matches_words(command: str, words: Sequence[Word]) -> Match:
    """Whether a rule's command is the beginning of these words.

    Options of the command that the rule does not name are passed over, with their values; those that it
    names may stand anywhere and together (`-rf` is `-f -r`).
    """
    wanted = [word for word in command.split() if word != "**"]
    if not wanted:
        return "yes"
    name, *rest = wanted
    if not words or not _fits(name.rpartition("/")[2], words[0].text):
        return "no"
    options = [word for word in rest if word.startswith("-") and len(word) > 1]
    operands = [word for word in rest if word not in options]
    both = (_options(options, words[1:]), _operands(operands, words))
    return min(both, key=_ORDER.index)


def _fits(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text, re.DOTALL) is not None


def _options(wanted: Iterable[str], words: Sequence[Word]) -> Match:
    given = [word.text for word in words if word.is_option]
    if all(_given(option, given) for option in wanted):
        return "yes"
    return "no" if all(word.plain for word in words) else "maybe"


def _given(option: str, given: Sequence[str]) -> bool:
    if any(each == option or each.startswith(f"{option}=") for each in given):
        return True
    if option.startswith("--"):
        # A long option may be cut short, as long as it is clear which one is meant.
        return any(len(each) > 3 and option.startswith(each) for each in given)
    longs = [each for each in given if each.startswith("--")]
    if len(option) > 4:
        return False
    letters = {letter for each in given if not each.startswith("--") for letter in each[1:]}
    if letters & {"r", "R"}:
        letters |= {"r", "R"}
    return all(letter in letters or _given(_LONG.get(letter, "--"), longs) for letter in option[1:])


def _operands(wanted: Sequence[str], words: Sequence[Word]) -> Match:
    """Walks along the words with every count of operands found so far that is possible."""
    maybe = False
    reached: list[set[int]] = [set() for _ in range(len(words) + 3)]
    reached[1] = {0}
    for position in range(1, len(words) + 2):
        if len(wanted) in reached[position]:
            return "yes"
        if position >= len(words) or not reached[position]:
            continue
        word, found = words[position], reached[position]
        if not word.plain:
            # It may stand for any words, or none.
            maybe = True
        elif word.text == "--":
            reached[position + 1] |= found
        elif word.is_option:
            value = False if "=" in word.text else takes_value(words[0].text, word.text)
            if value is not True:
                reached[position + 1] |= found
            if value is not False:
                reached[position + 2] |= found
        else:
            reached[position + 1] |= {count + 1 for count in found if _fits(wanted[count], word.text)}
    return "maybe" if maybe else "no"
