"""A reader of TypeScript declarations, as far as Slack's use them, and checks of values against them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_COMMENTS = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_TOKENS = re.compile(r"'[^']*'|\w+|\.\.\.|[{}\[\]()<>|&;:,?=]")
_PRIMITIVES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "unknown": object,
}


@dataclass(frozen=True, slots=True)
class Literal:
    value: object


@dataclass(frozen=True, slots=True)
class Primitive:
    name: str


@dataclass(frozen=True, slots=True)
class Name:
    """A type by its name, or one made of others, such as `Required<…>`."""

    name: str
    of: tuple[Type, ...] = ()


@dataclass(frozen=True, slots=True)
class Several:
    """An array. `least`: how many it must have."""

    item: Type
    least: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """An object: each member with its type, and whether it must be there."""

    members: tuple[tuple[str, Type, bool], ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    options: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Type, ...]


Type = Literal | Primitive | Name | Several | Shape | OneOf | AllOf


class Declarations:
    """The types declared in `sources`. `instead`: names that stand for others."""

    def __init__(self, sources: Iterator[str], instead: Mapping[str, str]) -> None:
        self._types: dict[str, Type] = {}
        for source in sources:
            self._types |= _Reader(source).declared()
        self._types |= {name: Name(other) for name, other in instead.items()}

    def fault(self, name: str, value: object) -> str | None:
        """What in `value` is not as the type says; None when all is."""
        return self._fault(Name(name), value, "")

    def _fault(self, kind: Type, value: object, where: str) -> str | None:
        match kind:
            case Literal(wanted):
                return None if value == wanted else f"{where or '/'}: {value!r} is not {wanted!r}"
            case Primitive(name):
                other = name == "number" and isinstance(value, bool)
                fits = isinstance(value, _PRIMITIVES[name]) and not other
                return None if fits else f"{where or '/'}: {value!r} is no {name}"
            case Several(item, least):
                if not isinstance(value, list) or len(value) < least:
                    return f"{where or '/'}: an array of {least} or more is needed"
                faults = (self._fault(item, entry, f"{where}/{at}") for at, entry in enumerate(value))
                return next((fault for fault in faults if fault), None)
            case _:
                return self._shape_fault(kind, value, where)

    def _shape_fault(self, kind: Type, value: object, where: str) -> str | None:
        options = list(self._options(kind))
        if not any(isinstance(option, Shape) for option in options) or not isinstance(value, dict):
            others = [option for option in options if not isinstance(option, Shape)]
            faults = [self._fault(option, value, where) for option in others]
            return None if None in faults else (faults or [f"{where or '/'}: an object is needed"])[0]
        shapes = [option for option in options if isinstance(option, Shape)]
        meant = [shape for shape in shapes if _says(shape, value.get("type"))]
        if not meant:
            return f"{where or '/'}: nothing of type {value.get('type')!r} belongs here"
        found = [self._members_fault(shape, value, where) for shape in meant]
        return None if None in found else found[0]

    def _members_fault(self, shape: Shape, value: dict[str, object], where: str) -> str | None:
        known = {name: kind for name, kind, _ in shape.members}
        for name, _, needed in shape.members:
            if needed and name not in value:
                return f"{where or '/'}: {name} is missing"
        for name, entry in value.items():
            if name not in known:
                return f"{where or '/'}: {name} is not known there"
            if fault := self._fault(known[name], entry, f"{where}/{name}"):
                return fault
        return None

    def _options(self, kind: Type) -> Iterator[Type]:
        """The types that it may be, names and intersections resolved."""
        match kind:
            case Name("Record"):
                yield Primitive("unknown")
            case Name("Required", (Name("Pick", (of, picked)),)):
                options = self._options(picked)
                wanted = {str(option.value) for option in options if isinstance(option, Literal)}
                for shape in self._shapes(of):
                    yield Shape(tuple((n, t, needed or n in wanted) for n, t, needed in shape.members))
            case Name(name):
                yield from self._options(self._types[name])
            case OneOf(options):
                for option in options:
                    yield from self._options(option)
            case AllOf(parts):
                for together in itertools.product(*(self._shapes(part) for part in parts)):
                    yield _merged(together)
            case _:
                yield kind

    def _shapes(self, kind: Type) -> list[Shape]:
        return [option for option in self._options(kind) if isinstance(option, Shape)]


def _merged(shapes: tuple[Shape, ...]) -> Shape:
    """What is in all of them; of two that tell of a member, one that names its value says more."""
    members: dict[str, tuple[str, Type, bool]] = {}
    for name, kind, needed in itertools.chain.from_iterable(shape.members for shape in shapes):
        _, known, was_needed = members.get(name, (name, kind, False))
        members[name] = (name, known if isinstance(known, Literal) else kind, needed or was_needed)
    return Shape(tuple(members.values()))


def _says(shape: Shape, wanted: object) -> bool:
    """Whether its `type`, where it has one of its own, is that."""
    kinds = [kind.value for name, kind, _ in shape.members if name == "type" and isinstance(kind, Literal)]
    return not kinds or wanted in kinds


class _Reader:
    def __init__(self, source: str) -> None:
        self._tokens: list[str] = _TOKENS.findall(_COMMENTS.sub("", source))
        self._at = 0

    def declared(self) -> dict[str, Type]:
        """Every interface and type of the file."""
        found: dict[str, Type] = {}
        while self._at < len(self._tokens):
            match self._next():
                case "interface":
                    name = self._next()
                    above = self._above() if self._take("extends") else ()
                    found[name] = AllOf((*above, self._shape())) if above else self._shape()
                case "type" if self._peek(1) == "=":
                    name = self._next()
                    self._next()
                    found[name] = self._union()
                case "import":
                    while self._next() != ";":
                        pass
                case _:
                    pass
        return found

    def _above(self) -> tuple[Type, ...]:
        names = [self._single()]
        while self._take(","):
            names.append(self._single())
        return tuple(names)

    def _union(self) -> Type:
        self._take("|")
        options = [self._intersection()]
        while self._take("|"):
            options.append(self._intersection())
        return options[0] if len(options) == 1 else OneOf(tuple(options))

    def _intersection(self) -> Type:
        parts = [self._array()]
        while self._take("&"):
            parts.append(self._array())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _array(self) -> Type:
        kind = self._single()
        while self._peek() == "[" and self._peek(1) == "]":
            self._at += 2
            kind = Several(kind)
        return kind

    def _single(self) -> Type:
        if self._peek() == "{":
            return self._shape()
        token = self._next()
        if token == "(":
            inside = self._union()
            self._next()
            return inside
        if token == "[":
            return self._tuple()
        if token.startswith("'"):
            return Literal(token[1:-1])
        if token.isdecimal() or token in ("true", "false"):
            return Literal(int(token) if token.isdecimal() else token == "true")
        if token in _PRIMITIVES:
            return Primitive(token)
        of: list[Type] = []
        if self._take("<"):
            of.append(self._union())
            while self._take(","):
                of.append(self._union())
            self._next()
        return Name(token, tuple(of))

    def _tuple(self) -> Type:
        """`[T, ...T[]]`: at least one."""
        item = self._union()
        while self._next() != "]":
            pass
        if self._peek() == "]":
            self._next()
        return Several(item, least=1)

    def _shape(self) -> Shape:
        members: list[tuple[str, Type, bool]] = []
        self._next()
        while not self._take("}"):
            name = self._next()
            needed = not self._take("?")
            self._next()
            members.append((name, self._union(), needed))
            self._take(";")
        return Shape(tuple(members))

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, token: str) -> bool:
        taken = self._peek() == token
        self._at += taken
        return taken
