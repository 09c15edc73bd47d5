"""Blocks are held against Slack's own declarations of them."""

from __future__ import annotations

import pytest

from tests.emulators.slack.block_types import block_kit
from tests.emulators.slack.declarations import Declarations
from tests.emulators.slack.limits import check_blocks
from tests.emulators.slack.refusals import Json, Refused

SOURCE = """
import type { Elsewhere } from './elsewhere';
/** A base; with a comment: { braces } */
interface Base { type: string; id?: string; }
export interface Bold extends Base { type: 'bold'; size: 1 | 2; of: (Bold | Plain)[]; }
export type Plain = { type: 'plain'; words: [string, ...string[]]; } & Base & (Left | Right);
interface Left { left: boolean; }
interface Right { right: number; more?: Record<string, unknown>; }
export type Filter = (Left & Required<Pick<Options, 'a'>>);
interface Options { a?: string; b?: string; }
export type Any = Bold | Plain;
"""
PLAIN = {"type": "plain", "words": ["x"], "left": True}


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("Any", {"type": "bold", "size": 1, "of": [PLAIN]}, None),
        ("Any", {"type": "bold", "size": 3, "of": []}, "/size"),
        ("Any", {"type": "bold", "size": 1, "of": [{**PLAIN, "words": []}]}, "/of/0/words"),
        ("Any", {"type": "bold", "size": 1}, "of is missing"),
        ("Any", {"type": "italic"}, "nothing of type 'italic'"),
        ("Any", {**PLAIN, "colour": "red"}, "colour is not known there"),
        ("Any", {"type": "plain", "words": ["x"], "right": 2.5, "more": {"a": 1}}, None),
        ("Any", {"type": "plain", "words": ["x"], "right": 1}, None),
        ("Any", {"type": "plain", "words": ["x"], "left": 1}, "/left: 1 is no boolean"),
        ("Any", {"type": "plain", "words": ["x"]}, "left is missing"),
        ("Filter", {"left": True, "a": "x"}, None),
        ("Filter", {"left": True, "b": "x"}, "a is missing"),
    ],
)
def test_declarations_are_read_as_typescript_means_them(name: str, value: Json, fault: str | None) -> None:
    found = Declarations(iter([SOURCE]), {}).fault(name, value)
    assert (found is None) if fault is None else (found is not None and fault in found)


@pytest.mark.needs("npm")
@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ({"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}, "emoji is not known"),
        ({"type": "header", "text": {"type": "mrkdwn", "text": "x"}}, "nothing of type 'mrkdwn'"),
        ({"type": "divider", "colour": "red"}, "colour is not known"),
        ({"type": "actions", "elements": [{"type": "button", "label": "x"}]}, "text is missing"),
        ({"type": "image", "alt_text": "x"}, "image_url is missing"),
    ],
)
def test_a_block_that_slack_does_not_declare_is_refused(block: Json, fault: str) -> None:
    assert block_kit() is not None
    with pytest.raises(Refused, match=fault):
        check_blocks([block])
