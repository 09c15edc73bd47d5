"""Which skills a session may use: every source read, the nearer one winning."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skills.skill import SKILL_FILE, MalformedSkill, Skill, read_skill

BUILT_IN = Path(__file__).parent
REPOSITORY_FOLDERS = (".agents/skills", ".claude/skills")
MAX_FILES_PER_SOURCE = 500
MAX_FILE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SkillSource:
    """A place skills come from. `files` holds its content by path, relative to the source's root.

    A skill is a folder with a SKILL.md in it. `prefix` is put before the paths in messages.
    """

    name: str
    files: Mapping[str, bytes]
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class SkillSet:
    """The skills of one session, sorted by name; `problems` tells of each one that could not be read.

    `digest` pins them: it is the same exactly as long as every skill's content is.
    """

    skills: tuple[Skill, ...]
    problems: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents, in hex."""
        lines = (f"{skill.name} {skill.source} {skill.digest}\n" for skill in self.skills)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def get(self, name: str) -> Skill | None:
        """The skill of that name."""
        return next((skill for skill in self.skills if skill.name == name), None)


def load_skills(sources: Sequence[SkillSource]) -> SkillSet:
    """The skills of all sources; where two have the same name, the earlier source wins."""
    found: dict[str, Skill] = {}
    problems: list[str] = []
    for source in sources:
        for path in sorted(source.files):
            folder, _, file_name = path.rpartition("/")
            if file_name != SKILL_FILE or not folder:
                continue
            try:
                skill = read_skill(
                    source.name, f"{source.prefix}{path}", source.files[path], _beside(source, folder)
                )
            except MalformedSkill as error:
                problems.append(str(error))
                continue
            found.setdefault(skill.name, skill)
    return SkillSet(tuple(found[name] for name in sorted(found)), tuple(problems))


def folder_source(name: str, folder: Path) -> SkillSource:
    """The skills in a folder of this host; empty when there is no such folder.

    Symbolic links are not followed, and files over 1 MiB are left out.
    """
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if len(files) == MAX_FILES_PER_SOURCE:
            break
        if _readable(path, folder):
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return SkillSource(name, files, f"{folder}/")


def built_in_source() -> SkillSource:
    """The skills that ship with Bellhop."""
    return folder_source("built in", BUILT_IN)


def _readable(path: Path, root: Path) -> bool:
    inside = path.relative_to(root).parts
    if "__pycache__" in inside or len(inside) < 2 or any(p.is_symlink() for p in (path, *path.parents)):
        return False
    return path.is_file() and path.stat().st_size <= MAX_FILE_BYTES


def _beside(source: SkillSource, folder: str) -> Mapping[str, bytes]:
    start = f"{folder}/"
    return {
        path.removeprefix(start): content
        for path, content in source.files.items()
        if path.startswith(start) and path != f"{start}{SKILL_FILE}"
    }
