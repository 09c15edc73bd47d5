"""What looks like a credential in a line of text: by its own shape, or by the name it is given to.

The shapes are those of detect-secrets that are rarely wrong, and our own where the tokens have changed since.
Every expression is bounded or linear: the text is written by whoever wants to get something past it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from detect_secrets.filters.heuristic import is_potential_uuid, is_sequential_string
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector

PIECE_CHARACTERS = 4096
OVERLAP_CHARACTERS = 1024
SHOWN_CHARACTERS = 8
STAND_IN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class SecretHit:
    """What a piece of text looks like, and enough of its beginning to find it again."""

    what: str
    shown: str


@dataclass(frozen=True, slots=True)
class _Shape:
    """A text without any of `marks` (in small letters) holds none of these."""

    what: str
    marks: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]


def _ours(what: str, marks: tuple[str, ...], pattern: str) -> _Shape:
    return _Shape(what, marks, (re.compile(pattern),))


_SHAPES = (
    # Code that looks for keys has the first line alone, in quotes.
    _ours(
        "a private key",
        ("private key",),
        r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----(?![\"'`])",
    ),
    _ours("a GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\bgh[pousr]_[A-Za-z0-9._-]{36,}"),
    _ours("a GitHub token", ("github_pat_",), r"\bgithub_pat_[A-Za-z0-9_]{40,}"),
    _Shape("a GitLab token", ("gl", "gr1348941"), tuple(GitLabTokenDetector.denylist)),
    _Shape("an AWS access key", ("akia", "asia", "abia", "acca"), (AWSKeyDetector.denylist[0],)),
    _Shape("an AWS secret key", ("aws",), (AWSKeyDetector.denylist[1],)),
    _Shape("an Azure storage key", ("accountkey=",), tuple(AzureStorageKeyDetector.denylist)),
    _ours("a Slack token", ("xox", "xapp-"), r"\bx(?:ox[abeoprs]|app)-[A-Za-z0-9-]{10,}"),
    _ours(
        "a Slack webhook",
        ("hooks.slack.com/",),
        r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{16,}",
    ),
    _ours("an OpenAI or Anthropic key", ("sk-",), r"\bsk-(?:[a-z]+[0-9]*-){0,4}[A-Za-z0-9_-]{32,}"),
    _Shape("a Stripe key", ("k_live_",), tuple(StripeDetector.denylist)),
    _ours("a Google API key", ("aiza",), r"\bAIza[A-Za-z0-9_-]{35}"),
    _ours("an npm token", ("npm_",), r"\bnpm_[A-Za-z0-9]{36}\b"),
    _ours("a registry's token", ("_authtoken",), r"_authToken\s{0,8}=\s{0,8}[A-Za-z0-9_-]{30,}"),
    _ours("a PyPI token", ("pypi-",), r"\bpypi-[A-Za-z0-9_-]{50,}"),
    _ours(
        "a Discord bot token",
        (".",),
        r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}",
    ),
    _ours("a Telegram bot token", (":aa",), r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b"),
    _ours("a Twilio key", ("sk",), r"\bSK[0-9a-f]{32}\b"),
    _Shape("a SendGrid key", ("sg.",), tuple(SendGridDetector.denylist)),
    _Shape("a Square secret", ("sq0csp-",), tuple(SquareOAuthDetector.denylist)),
    _Shape("a Mailchimp key", ("-us",), tuple(MailchimpDetector.denylist)),
)

_URL = re.compile(r"://[^\s:/@\"'<>{}$]{1,64}:([^\s:/@\"'<>{}$]{8,128})@")
_NAMES = ("pass", "pwd", "secret", "token", "key", "credential")
_NAMED = re.compile(
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|(?:api|access|auth|private|signing|encryption|account|license)"
    r"[_-]?key|credential)s?(?P<rest>[\w-]{0,24})[\"']?\s{0,8}(?::=|=>|=|:)\s{0,8}"
    r"(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\s]{16,200})(?P=quote)|(?P<bare>[A-Za-z0-9+/=_~!@#%^&*-]{20,200})\s{0,8}$)",
    re.IGNORECASE,
)
# A name that goes on like this holds something about the secret, not the secret.
_ABOUT = re.compile(
    r"hash|sha|md5|digest|checksum|fingerprint|id$|ids$|name|url|uri|path|file|arn|header|field|type|param|regex"
    r"|pattern|prefix|label|class|placeholder",
    re.IGNORECASE,
)
_MADE_UP = re.compile(
    r"example|sample|dummy|fake|test|mock|placeholder|change.?me|your|todo|redacted|xxxx|\*\*\*|\.\.\.|abcdef"
    r"|012345|12345678",
    re.IGNORECASE,
)
# What documentation writes in a token's place; looked for in its beginning, as anything may follow.
_STAND_IN = re.compile(r"example|([^-])\1{7}", re.IGNORECASE)
_NO_VALUE = re.compile(r"[{}<>$()\[\]\\,;|]|%s|%\(|://|^[./~#@-]|^[\w.-]+\.[a-z]{2,4}$")
_WORDS = re.compile(r"(?:[A-Za-z]+\d{0,3}|\d+)(?:[-_.:/@+=*!]+(?:[A-Za-z]+\d{0,3}|\d+))*[-_.:/@+=*!]*")
_HEX = re.compile(r"[0-9a-fA-F-]+")
_entropy = Base64HighEntropyString().calculate_shannon_entropy

MIN_HEX_ENTROPY = 3.0
MIN_URL_ENTROPY = 3.0
MIN_QUOTED_ENTROPY = 3.5
MIN_BARE_ENTROPY = 3.8
MIN_DIGITS = 2


def secrets_in(text: str) -> list[SecretHit]:
    """What looks like a credential in a line; very long ones are read in overlapping pieces.

    No remark in the line lets it pass: whoever writes the line would write the remark too.
    """
    if len(text) <= PIECE_CHARACTERS:
        return list(dict.fromkeys(_hits(text)))
    step = PIECE_CHARACTERS - OVERLAP_CHARACTERS
    pieces = (text[start : start + PIECE_CHARACTERS] for start in range(0, len(text), step))
    return list(dict.fromkeys(hit for piece in pieces for hit in _hits(piece)))


def _hits(text: str) -> Iterator[SecretHit]:
    small = text.lower()
    for shape in _SHAPES:
        if any(mark in small for mark in shape.marks):
            for pattern in shape.patterns:
                for match in pattern.finditer(text):
                    if not _STAND_IN.search(match[0][:STAND_IN_CHARACTERS]):
                        yield SecretHit(shape.what, _shown(match[0]))
    if "://" in small:
        for match in _URL.finditer(text):
            if _looks_random(match[1], MIN_URL_ENTROPY):
                yield SecretHit("a password in an address", _shown(match[1]))
    if any(name in small for name in _NAMES):
        for match in _NAMED.finditer(text):
            if _gives_away(match):
                yield SecretHit("a password or key", _shown(match["quoted"] or match["bare"]))


def _gives_away(match: re.Match[str]) -> bool:
    if _ABOUT.search(match["rest"]):
        return False
    if match["quoted"]:
        return _looks_random(match["quoted"], MIN_QUOTED_ENTROPY)
    return _looks_random(match["bare"], MIN_BARE_ENTROPY)


def _looks_random(value: str, min_entropy: float) -> bool:
    """Whether nobody would have thought of it: not words, not a template, not made up for an example."""
    if _NO_VALUE.search(value) or _MADE_UP.search(value) or _WORDS.fullmatch(value):
        return False
    if is_potential_uuid(value) or is_sequential_string(value):
        return False
    if sum(character.isdigit() for character in value) < MIN_DIGITS or not re.search("[A-Za-z]", value):
        return False
    return float(_entropy(value)) >= (MIN_HEX_ENTROPY if _HEX.fullmatch(value) else min_entropy)


def _shown(text: str) -> str:
    return f"{text[:SHOWN_CHARACTERS]}…"
