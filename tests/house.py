"""The rules of the house, told from a tree of Python files: who imports whom, and what a module may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

ROOMS = ("session", "skills", "classifier", "bot", "companion_web", "sandbox", "deploy")
MAY_IMPORT: dict[str, frozenset[str]] = {
    "session": frozenset(),
    "skills": frozenset(),
    "classifier": frozenset({"session"}),
    "bot": frozenset({"session"}),
    "companion_web": frozenset({"session"}),
    "sandbox": frozenset({"session", "skills"}),
    "deploy": frozenset(ROOMS),
}
# A module of one of these names would hide the library from its neighbours, or collect what has no home.
FORBIDDEN_NAMES = frozenset({"docker", "discord", "openai", "utils", "common", "helpers", "manager"})
MAY_IMPORT_ARQ = frozenset({"session/queue.py", "sandbox/worker.py"})
# git finds its helpers and its way out by PATH and the proxy variables, which are not settings of ours.
MAY_READ_ENVIRONMENT = frozenset({"session/settings.py", "sandbox/broker/git.py"})
# Inside the box there are no settings: the runner is handed its few values by whoever starts it.
# In the box the runner is a package of another name.
MAY_IMPORT_RELATIVELY_BELOW = ("sandbox/runner/",)
MAY_READ_ENVIRONMENT_BELOW = ("deploy/", "sandbox/runner/")
# Packages that find their own members: the one kind of logic an __init__.py may hold.
DISCOVERY = frozenset(
    {
        "bot/platforms/__init__.py",
        "companion_web/triggers/__init__.py",
        "sandbox/agent/tools/__init__.py",
        "sandbox/environments/__init__.py",
        "sandbox/forge/__init__.py",
    }
)
MAX_LINES = 350

_READERS = frozenset({"environ", "environb", "getenv"})


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken rule: the module's path below the root, the line (1: the module itself), what is wrong."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def breaches(root: Path) -> list[Breach]:
    """Every rule broken by the Python files of the rooms below `root`.

    Raises: SyntaxError for a file that does not parse.
    """
    found: list[Breach] = []
    for room in ROOMS:
        for file in sorted((root / room).rglob("*.py")):
            path = file.relative_to(root).as_posix()
            found += _module_breaches(path, file.read_text())
    return found


def _module_breaches(path: str, source: str) -> list[Breach]:
    tree = ast.parse(source, filename=path)
    checks = (
        _size(path, source),
        _name(path),
        _arrows(path, tree),
        _environment(path, tree),
        _init(path, tree),
    )
    return [breach for check in checks for breach in check]


def _size(path: str, source: str) -> Iterator[Breach]:
    lines = source.count("\n")
    if lines > MAX_LINES:
        yield Breach(path, 1, f"{lines} lines; a module holds one idea in at most {MAX_LINES}")


def _name(path: str) -> Iterator[Breach]:
    for part in Path(path).with_suffix("").parts:
        # A folder may be named after the service it speaks to; only a module by itself shadows the library.
        is_module = part == Path(path).stem
        if part in FORBIDDEN_NAMES and (is_module or part not in {"docker", "discord", "openai"}):
            yield Breach(path, 1, f"nothing here is called {part}")


def _arrows(path: str, tree: ast.Module) -> Iterator[Breach]:
    room = path.partition("/")[0]
    for line, name in imported(tree):
        target = name.partition(".")[0]
        if target == "" and not path.startswith(MAY_IMPORT_RELATIVELY_BELOW):
            yield Breach(path, line, "imports are absolute")
        elif target == "tests":
            yield Breach(path, line, "only tests import tests")
        elif target in ROOMS and target != room and target not in MAY_IMPORT[room]:
            yield Breach(path, line, f"{room} must not import {target}")
        elif target == "arq" and path not in MAY_IMPORT_ARQ and room != "deploy":
            yield Breach(path, line, "only the queue and the worker's entry know arq")


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, those inside functions too; a relative one begins with a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def _environment(path: str, tree: ast.Module) -> Iterator[Breach]:
    if path in MAY_READ_ENVIRONMENT or path.startswith(MAY_READ_ENVIRONMENT_BELOW):
        return
    for node in ast.walk(tree):
        if _reads_environment(node):
            yield Breach(path, node.lineno, "the environment is read in session/settings.py")


def _reads_environment(node: ast.AST) -> TypeGuard[ast.Attribute | ast.ImportFrom]:
    if isinstance(node, ast.Attribute):
        return node.attr in _READERS and isinstance(node.value, ast.Name) and node.value.id == "os"
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in _READERS for alias in node.names)
    return False


def _init(path: str, tree: ast.Module) -> Iterator[Breach]:
    if not path.endswith("/__init__.py") or path in DISCOVERY:
        return
    for statement in tree.body:
        if not _is_plain(statement):
            yield Breach(
                path,
                statement.lineno,
                "__init__.py holds a docstring, imports, __all__ and plain constants, no logic",
            )


def _is_plain(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
    if isinstance(statement, ast.Assign):
        named_all = all(
            isinstance(target, ast.Name) and target.id == "__all__" for target in statement.targets
        )
        return named_all or isinstance(statement.value, ast.Constant)
    return False
