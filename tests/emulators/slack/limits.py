"""What Slack takes as the content of a message or a view.

Source: https://docs.slack.dev/reference/block-kit/blocks, and answers of the real service for the total.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tests.emulators.slack.refusals import Json, Refused

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
TOTAL_CHARS = 12_000  # over all blocks of a message; undocumented, answered with msg_blocks_too_long
TEXT_CHARS = 40_000
MARKDOWN_CHARS = 12_000
ID_CHARS = 255
_BLOCKS = frozenset(
    {"actions", "context", "context_actions", "divider", "file", "header", "image", "input", "markdown"}
    | {"rich_text", "section", "table", "video", "plan", "task_card"}
)
_ELEMENTS_IN_ACTIONS = 25
_ELEMENTS_IN_CONTEXT = 10
_FIELDS = 10
_OPTIONS = 100


def check_blocks(blocks: object, most: int = MESSAGE_BLOCKS) -> list[Json]:
    """`blocks`, if Slack would take them.

    Raises:
        Refused: a limit is exceeded, an id stands twice, or something is malformed.
    """
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise _invalid("blocks must be an array of objects")
    if len(blocks) > most:
        raise _invalid(f"no more than {most} items allowed, found {len(blocks)}")
    for index, block in enumerate(blocks):
        _check_block(block, f"/blocks/{index}")
    _check_unique(blocks)
    total = sum(len(text) for text in _texts(blocks))
    if total > TOTAL_CHARS:
        raise Refused("msg_blocks_too_long", f"{total} characters over all blocks, {TOTAL_CHARS} allowed")
    return blocks


def _check_block(block: Json, where: str) -> None:
    kind = block.get("type")
    if kind not in _BLOCKS:
        raise _invalid(f"unsupported type: {kind} [{where}]")
    _short(block.get("block_id", ""), ID_CHARS, f"{where}/block_id")
    if kind == "header":
        _text(block.get("text"), 150, f"{where}/text", plain=True)
    elif kind == "section":
        _check_section(block, where)
    elif kind == "markdown":
        _filled(block.get("text"), MARKDOWN_CHARS, f"{where}/text")
    elif kind == "actions":
        _check_elements(block.get("elements"), _ELEMENTS_IN_ACTIONS, where)
    elif kind == "context":
        _check_context(block.get("elements"), where)
    elif kind == "image":
        _filled(block.get("alt_text"), 2_000, f"{where}/alt_text")
        if not (block.get("image_url") or block.get("slack_file")):
            raise _invalid(f"missing image_url or slack_file [{where}]")
    elif kind == "input":
        _text(block.get("label"), 2_000, f"{where}/label", plain=True)
        _check_elements([block.get("element")], 1, where)


def _check_section(block: Json, where: str) -> None:
    if "text" not in block and not block.get("fields"):
        raise _invalid(f"a section needs text or fields [{where}]")
    if "text" in block:
        _text(block["text"], 3_000, f"{where}/text")
    fields = block.get("fields", [])
    _count(fields, _FIELDS, f"{where}/fields")
    for index, field in enumerate(fields):
        _text(field, 2_000, f"{where}/fields/{index}")
    if "accessory" in block:
        _check_elements([block["accessory"]], 1, where)


def _check_context(elements: object, where: str) -> None:
    _count(elements, _ELEMENTS_IN_CONTEXT, f"{where}/elements", least=1)
    assert isinstance(elements, list)
    for index, element in enumerate(elements):
        if element.get("type") == "image":
            _filled(element.get("alt_text"), 2_000, f"{where}/elements/{index}/alt_text")
        else:
            _text(element, 2_000, f"{where}/elements/{index}")


def _check_elements(elements: object, most: int, where: str) -> None:
    _count(elements, most, f"{where}/elements", least=1)
    assert isinstance(elements, list)
    for index, element in enumerate(elements):
        at = f"{where}/elements/{index}"
        if not isinstance(element, dict) or not isinstance(element.get("type"), str):
            raise _invalid(f"an element needs a type [{at}]")
        _short(element.get("action_id", ""), ID_CHARS, f"{at}/action_id")
        if element["type"] == "button":
            _text(element.get("text"), 75, f"{at}/text", plain=True)
            _short(element.get("value", ""), 2_000, f"{at}/value")
            _short(element.get("url", ""), 3_000, f"{at}/url")
            if element.get("style", "primary") not in ("primary", "danger"):
                raise _invalid(f"unknown style {element['style']!r} [{at}]")
        elif element["type"].endswith("static_select") or element["type"] == "overflow":
            _check_options(element, at)


def _check_options(element: Json, where: str) -> None:
    groups = element.get("option_groups")
    for group in groups or [element]:
        options = group.get("options")
        _count(options, 5 if element["type"] == "overflow" else _OPTIONS, f"{where}/options", least=1)
        for index, option in enumerate(options):
            _text(option.get("text"), 75, f"{where}/options/{index}/text")
            _filled(option.get("value"), 150, f"{where}/options/{index}/value")
    offered = [option for group in groups or [element] for option in group["options"]]
    if "initial_option" in element and element["initial_option"] not in offered:
        raise _invalid(f"initial_option must be one of the options [{where}]")


def _check_unique(blocks: Sequence[Json]) -> None:
    block_ids = [block["block_id"] for block in blocks if "block_id" in block]
    action_ids = [element["action_id"] for element in elements_of(blocks) if "action_id" in element]
    for name, ids in (("block_id", block_ids), ("action_id", action_ids)):
        twice = next((value for value in ids if ids.count(value) > 1), None)
        if twice is not None:
            raise _invalid(f"`{name}` {twice!r} already exists")


def elements_of(blocks: Sequence[Json]) -> Iterator[Json]:
    """Every interactive element in `blocks`."""
    for block in blocks:
        if block.get("type") in ("actions", "context_actions"):
            yield from block["elements"]
        yield from (block[key] for key in ("accessory", "element") if key in block)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key in ("text", "alt_text", "title") and isinstance(entry, str):
                yield entry
            else:
                yield from _texts(entry)


def _text(value: object, most: int, where: str, *, plain: bool = False) -> None:
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if not isinstance(value, dict) or value.get("type") not in kinds:
        raise _invalid(f"expected a text object of type {' or '.join(kinds)} [{where}]")
    _filled(value.get("text"), most, f"{where}/text")


def _filled(value: object, most: int, where: str) -> None:
    if not isinstance(value, str) or not value:
        raise _invalid(f"must be a non-empty string [{where}]")
    _short(value, most, where)


def _short(value: object, most: int, where: str) -> None:
    if not isinstance(value, str) or len(value) > most:
        raise _invalid(f"must be a string of no more than {most} characters [{where}]")


def _count(value: object, most: int, where: str, least: int = 0) -> None:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise _invalid(f"must have {least} to {most} items [{where}]")


def _invalid(detail: str) -> Refused:
    return Refused("invalid_blocks", detail)
