"""What Discord takes as components of a message or a modal.

Source: https://docs.discord.com/developers/components/reference. Lengths are counted in UTF-16 units, the
strictest way; the 4,000 of a message's text are counted over its text displays and its buttons' labels.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.emulators.discord.refusals import Json, Refused, invalid
from tests.emulators.discord.rendering import (
    BUTTON,
    CONTAINER,
    ROW,
    SECTION,
    SELECT,
    SEPARATOR,
    TEXT_DISPLAY,
    walk,
)

COMPONENTS = 40
TOTAL_CHARS = 4_000
_TEXT_INPUT, _LABEL = 4, 18
_LINK_STYLE = 5
_FIELDS = {
    ROW: {"type", "id", "components"},
    BUTTON: {"type", "id", "style", "label", "emoji", "custom_id", "url", "disabled", "sku_id"},
    SELECT: {
        "type",
        "id",
        "custom_id",
        "options",
        "placeholder",
        "min_values",
        "max_values",
        "disabled",
        "required",
    },
    SECTION: {"type", "id", "components", "accessory"},
    TEXT_DISPLAY: {"type", "id", "content"},
    SEPARATOR: {"type", "id", "divider", "spacing"},
    CONTAINER: {"type", "id", "components", "accent_color", "spoiler"},
}
_INSIDE = {
    0: {ROW, SECTION, TEXT_DISPLAY, SEPARATOR, CONTAINER},
    CONTAINER: {ROW, SECTION, TEXT_DISPLAY, SEPARATOR},
    SECTION: {TEXT_DISPLAY},
    ROW: {BUTTON, SELECT},
}


def units(text: str) -> int:
    """The text's length in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def check_layout(components: object) -> list[Json]:
    """The components of a message in the new layout, each with an id.

    Raises: Refused, when Discord would not take them.
    """
    listed = _listed(components, "components")
    _check_children(listed, 0, "components")
    everything = list(walk(listed))
    if len(everything) > COMPONENTS:
        raise invalid("components", "BASE_TYPE_MAX_LENGTH", f"{len(everything)} components, 40 allowed")
    total = sum(units(c.get("content") or c.get("label") or "") for c in everything)
    if total > TOTAL_CHARS:
        raise invalid(
            "components", "BASE_TYPE_MAX_LENGTH", f"{total} characters over all texts, 4000 allowed"
        )
    _check_unique(everything)
    return _numbered(listed)


def check_modal(data: object) -> Json:
    """A modal with text inputs. Raises: Refused."""
    if not isinstance(data, dict):
        raise invalid("data", "DICT_TYPE_CONVERT", "Only dictionaries may be used")
    _text(data.get("title"), 1, 45, "data.title")
    _text(data.get("custom_id"), 1, 100, "data.custom_id")
    rows = _listed(data.get("components"), "data.components")
    if not 1 <= len(rows) <= 5:
        raise invalid("data.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    for index, row in enumerate(rows):
        where = f"data.components.{index}"
        if row.get("type") not in (ROW, _LABEL):
            raise invalid(where, "UNION_TYPE_CHOICES", "a modal holds labels and rows")
        if row["type"] == _LABEL:
            _text(row.get("label"), 1, 45, f"{where}.label")
            _text(row.get("description", " "), 1, 100, f"{where}.description")
        inner = row.get("component") or (row.get("components") or [{}])[0]
        if inner.get("type") != _TEXT_INPUT:
            raise invalid(where, "UNION_TYPE_CHOICES", "only text inputs are known here")
        _text(inner.get("custom_id"), 1, 100, f"{where}.custom_id")
        _text(inner.get("placeholder", " "), 1, 100, f"{where}.placeholder")
    return data


def _check_children(children: Sequence[Json], parent: int, path: str) -> None:
    for index, child in enumerate(children):
        where = f"{path}.{index}"
        kind = child.get("type")
        if kind not in _INSIDE[parent]:
            raise invalid(where, "UNION_TYPE_CHOICES", f"a component of type {kind} cannot stand there")
        _check_component(child, kind, where)


def _check_component(component: Json, kind: int, where: str) -> None:
    if odd := set(component) - _FIELDS[kind]:
        raise invalid(where, "UNKNOWN_FIELD", f"no such fields: {sorted(odd)}")
    number = component.get("id", 1)
    if not isinstance(number, int) or not 0 <= number < 2**31:
        raise invalid(f"{where}.id", "NUMBER_TYPE_MAX", "int value should be a 32 bit integer")
    match kind:
        case 17:
            _check_container(component, where)
        case 9:
            _check_section(component, where)
        case 10:
            _text(component.get("content"), 1, TOTAL_CHARS, f"{where}.content")
        case 14:
            if component.get("spacing", 1) not in (1, 2):
                raise invalid(f"{where}.spacing", "BASE_TYPE_CHOICES", "spacing is 1 or 2")
        case 1:
            _check_row(component, where)


def _check_container(component: Json, where: str) -> None:
    children = _listed(component.get("components"), f"{where}.components")
    if not children:
        raise invalid(f"{where}.components", "BASE_TYPE_REQUIRED", "This field is required")
    if not 0 <= (component.get("accent_color") or 0) <= 0xFFFFFF:
        raise invalid(f"{where}.accent_color", "NUMBER_TYPE_MAX", "a colour has 24 bits")
    _check_children(children, CONTAINER, f"{where}.components")


def _check_section(component: Json, where: str) -> None:
    children = _listed(component.get("components"), f"{where}.components")
    if not 1 <= len(children) <= 3:
        raise invalid(f"{where}.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 3 in length.")
    _check_children(children, SECTION, f"{where}.components")
    accessory = component.get("accessory")
    if not isinstance(accessory, dict) or accessory.get("type") != BUTTON:
        raise invalid(f"{where}.accessory", "BASE_TYPE_REQUIRED", "a section needs a button or a thumbnail")
    _check_component(accessory, BUTTON, f"{where}.accessory")
    _check_button(accessory, f"{where}.accessory")


def _check_row(component: Json, where: str) -> None:
    children = _listed(component.get("components"), f"{where}.components")
    kinds = [child.get("type") for child in children]
    fits = 1 <= len(children) <= 5 and (SELECT not in kinds or len(children) == 1)
    if not fits:
        raise invalid(f"{where}.components", "BASE_TYPE_BAD_LENGTH", "a row holds five buttons or one menu")
    _check_children(children, ROW, f"{where}.components")
    for index, child in enumerate(children):
        check = _check_button if child["type"] == BUTTON else _check_select
        check(child, f"{where}.components.{index}")


def _check_button(button: Json, where: str) -> None:
    style = button.get("style")
    if style not in (1, 2, 3, 4, _LINK_STYLE):
        raise invalid(f"{where}.style", "BASE_TYPE_CHOICES", f"unknown style {style}")
    if not button.get("label") and not button.get("emoji"):
        raise invalid(
            f"{where}.label", "BUTTON_COMPONENT_LABEL_REQUIRED", "a button needs a label or an emoji"
        )
    _text(button.get("label", " "), 1, 80, f"{where}.label")
    if style == _LINK_STYLE:
        if "custom_id" in button:
            raise invalid(f"{where}.custom_id", "BUTTON_COMPONENT_CUSTOM_ID_URL", "a link has no custom id")
        _text(button.get("url"), 1, 512, f"{where}.url")
        if not str(button["url"]).startswith(("https://", "http://", "discord://")):
            raise invalid(f"{where}.url", "URL_TYPE_INVALID_SCHEME", "Scheme must be one of http, https")
        return
    if "url" in button:
        raise invalid(f"{where}.url", "BUTTON_COMPONENT_CUSTOM_ID_URL", "only a link has an address")
    _text(button.get("custom_id"), 1, 100, f"{where}.custom_id")


def _check_select(menu: Json, where: str) -> None:
    _text(menu.get("custom_id"), 1, 100, f"{where}.custom_id")
    _text(menu.get("placeholder", " "), 1, 150, f"{where}.placeholder")
    options = _listed(menu.get("options"), f"{where}.options")
    if not 1 <= len(options) <= 25:
        raise invalid(f"{where}.options", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 25 in length.")
    for index, option in enumerate(options):
        _text(option.get("label"), 1, 100, f"{where}.options.{index}.label")
        _text(option.get("value"), 1, 100, f"{where}.options.{index}.value")
        _text(option.get("description") or " ", 1, 100, f"{where}.options.{index}.description")
    values = [option["value"] for option in options]
    if len(set(values)) < len(values):
        raise invalid(f"{where}.options", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "a value stands twice")


def _check_unique(everything: Sequence[Json]) -> None:
    for name in ("id", "custom_id"):
        given = [component[name] for component in everything if component.get(name)]
        if len(set(given)) < len(given):
            raise invalid("components", "COMPONENT_DUPLICATED", f"a {name} stands twice")


def _numbered(listed: list[Json]) -> list[Json]:
    """The components as Discord gives them back: those without an id get the next free one."""
    taken = {component["id"] for component in walk(listed) if component.get("id")}
    free = (number for number in range(1, 2**31) if number not in taken)
    for component in walk(listed):
        if not component.get("id"):
            component["id"] = next(free)
    return listed


def _listed(value: object, where: str) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise invalid(where, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    return value


def _text(value: object, least: int, most: int, where: str) -> None:
    if (
        not isinstance(value, str)
        or not least <= units(value) <= most
        or (not value.strip() and value != " ")
    ):
        raise _bad_length(where, least, most)


def _bad_length(where: str, least: int, most: int) -> Refused:
    return invalid(where, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")
