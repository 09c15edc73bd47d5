"""What every attack has: an end that tells "it worked" from "the test broke", and what refutes it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent
NAMED = ("asset", "attacker", "path", "control")


class AttackSucceeded(AssertionError):
    """The attacker got what they came for; the message says what. A refuted attack never raises it."""


class ProofOutOfDate(Exception):
    """An attack file and the code it is about do not fit any more; the message says where."""


def refuted(condition: bool, what: str) -> None:
    """Goes on when `condition` holds; `what` is the attacker's success as a clause ("the key left the box").

    Raises: AttackSucceeded(what).
    """
    if not condition:
        raise AttackSucceeded(what)


@dataclass(frozen=True, slots=True)
class Control:
    """A control, and how to be without it.

    `path` is below the checkout; `without` has pairs of a text in that file and what replaces it.
    """

    path: str
    without: tuple[tuple[str, str], ...]

    def taken_away(self, root: Path) -> None:
        """The control is gone from the copy of the checkout at `root`. Raises: ProofOutOfDate."""
        (root / self.path).write_text(self.text_without(root))

    def text_without(self, root: Path) -> str:
        """The file's text without the control. Raises: ProofOutOfDate unless each text is found once."""
        if not (root / self.path).is_file():
            raise ProofOutOfDate(f"{self.path} is not there any more")
        text = (root / self.path).read_text()
        for present, replacement in self.without:
            if text.count(present) != 1:
                raise ProofOutOfDate(f"{self.path} has {present!r} {text.count(present)} times, not once")
            text = text.replace(present, replacement)
        return text


@dataclass(frozen=True, slots=True)
class AttackFile:
    """One attack file: its name without `test_`, its first line, its controls, and the test that proves them.

    `proof` is a `-k` expression of pytest.
    """

    name: str
    title: str
    controls: tuple[Control, ...]
    proof: str

    @property
    def path(self) -> str:
        """Below the checkout."""
        return f"tests/attacks/test_{self.name}.py"


def attack_names() -> list[str]:
    """The names of all attack files, in alphabetical order."""
    return sorted(path.stem.removeprefix("test_") for path in FOLDER.glob("test_*.py"))


def attack_file(name: str) -> AttackFile:
    """The attack file of that name. Raises: ProofOutOfDate for one that does not say what it must."""
    module = importlib.import_module(f"{__package__}.test_{name}")
    said = (module.__doc__ or "").strip()
    unsaid = [word for word in NAMED if word not in said.lower()]
    if unsaid:
        raise ProofOutOfDate(f"{name}: the docstring does not name {', '.join(unsaid)}")
    controls, proof = _declared(module, name)
    return AttackFile(name, said.splitlines()[0].rstrip("."), controls, proof)


def _declared(module: ModuleType, name: str) -> tuple[tuple[Control, ...], str]:
    controls, proof = getattr(module, "CONTROLS", ()), getattr(module, "PROOF", "")
    if not controls or not proof:
        raise ProofOutOfDate(f"{name}: CONTROLS and PROOF say which controls refute which attack")
    return controls, proof


def success_in(error: BaseException | None) -> str | None:
    """What the attack succeeded in, if that is why the test failed.

    A house that is torn down around a success wraps it in a group, or fails in turn on its way out.
    """
    for leaf in _all_of(error, set()):
        if isinstance(leaf, AttackSucceeded):
            return str(leaf)
    return None


def _all_of(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for further in (*inner, error.__cause__, error.__context__):
        yield from _all_of(further, seen)
