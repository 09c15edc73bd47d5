"""Skills are found by precedence, pinned by content, and a broken one never hides the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from skills.library import SkillSource, built_in_source, folder_source, load_skills
from skills.skill import MalformedSkill, read_skill


def written(name: str, description: str = "Does a thing.", body: str = "Do it.") -> bytes:
    return f"---\nname: {name}\ndescription: {description}\n---\n\n{body}\n".encode()


def test_built_in_skills_all_load() -> None:
    loaded = load_skills([built_in_source()])
    assert loaded.problems == ()
    assert [skill.name for skill in loaded.skills] == ["bump-dependency", "fix-failing-test", "review-change"]
    assert all("Use " in skill.description for skill in loaded.skills)


def test_the_nearer_source_wins() -> None:
    repository = SkillSource("repository", {"deploy/SKILL.md": written("deploy", body="ours")})
    company = SkillSource(
        "organisation", {"deploy/SKILL.md": written("deploy"), "lint/SKILL.md": written("lint")}
    )
    loaded = load_skills([repository, company])
    assert [(skill.name, skill.source) for skill in loaded.skills] == [
        ("deploy", "repository"),
        ("lint", "organisation"),
    ]
    deploy = loaded.get("deploy")
    assert deploy is not None
    assert deploy.body == "ours\n"
    assert loaded.get("nothing") is None


def test_a_malformed_skill_is_named_and_the_others_still_load() -> None:
    source = SkillSource(
        "repository",
        {"bad/SKILL.md": b"---\nname: [\n---\nx", "good/SKILL.md": written("good")},
        prefix=".agents/skills/",
    )
    loaded = load_skills([source])
    assert [skill.name for skill in loaded.skills] == ["good"]
    assert len(loaded.problems) == 1
    assert loaded.problems[0].startswith(".agents/skills/bad/SKILL.md:2: the front matter is not YAML")


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"# no front matter\n", 1, "must begin with"),
        (b"---\nname: x\n", 3, "not closed"),
        (b"---\nname: x\ndescription: [1]\n---\nx", 3, "description must be text"),
        (b"---\ndescription: d\n---\nx", 2, "has no name"),
        (b"---\nname: x\n---\nx", 2, "has no description"),
        (b"---\ndescription: d\nname: X y\n---\nx", 3, "small letters"),
        (b"---\nname: y\ndescription: d\n---\nx", 2, "its folder, 'x'"),
        (b"---\nname: x\ndescription: d\n---\n\n", 4, "no instructions"),
        (b"---\n- a\n---\nx", 2, "must be fields"),
        (b"---\nname: x\ndescription: " + b"d" * 1025 + b"\n---\nx", 3, "longer than 1024"),
        (b"---\nname: x\ndescription: \xff\n---\nx", 3, "not UTF-8"),
    ],
)
def test_errors_name_file_and_line(content: bytes, line: int, what: str) -> None:
    with pytest.raises(MalformedSkill) as caught:
        read_skill("repository", "x/SKILL.md", content, {})
    assert str(caught.value).startswith(f"x/SKILL.md:{line}: ")
    assert what in str(caught.value)


def test_the_digest_moves_with_any_content() -> None:
    plain = {"a/SKILL.md": written("a"), "a/table.csv": b"1"}
    first = load_skills([SkillSource("repository", plain)])
    again = load_skills([SkillSource("repository", dict(plain))])
    other = load_skills([SkillSource("repository", {**plain, "a/table.csv": b"2"})])
    assert first.digest == again.digest
    assert first.digest != other.digest
    skill = first.get("a")
    assert skill is not None
    assert dict(skill.files) == {"table.csv": b"1"}


def test_a_folder_is_read_without_following_links(tmp_path: Path) -> None:
    folder = tmp_path / "skills"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "SKILL.md").write_bytes(written("a"))
    secret = tmp_path / "secret"
    secret.write_text("key")
    (folder / "a" / "link").symlink_to(secret)
    source = folder_source("organisation", folder)
    assert list(source.files) == ["a/SKILL.md"]
    assert folder_source("organisation", tmp_path / "none").files == {}
