"""The directory that broker and worker share is closed to others, and what the broker trusts is its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.state_directory import claim, join
from session.settings import Settings, SettingsError

NOT_EMBEDDED = {"DATABASE_URL": "postgres://db.internal/bellhop", "REDIS_URL": "redis://redis.internal"}


def settings(home: Path) -> Settings:
    return Settings.load({**NOT_EMBEDDED, "BELLHOP_HOME": str(home)})


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_new_one_is_for_its_owner_alone(tmp_path: Path) -> None:
    claim(settings(tmp_path / "home"))
    assert mode(tmp_path / "home") == 0o700
    assert mode(tmp_path / "home" / "hooks") == 0o700
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"forge", "quarantine", "doors", "hooks"}


def test_a_shared_one_is_closed_to_others_and_nobody_renames_in_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)
    claim(settings(tmp_path))
    assert mode(tmp_path) == 0o3770


def test_what_the_group_could_write_it_no_longer_can(tmp_path: Path) -> None:
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine").chmod(0o777)
    claim(settings(tmp_path))
    assert mode(tmp_path / "quarantine") == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["hooks", "forge", "audit-anchors.jsonl"])
def test_what_somebody_else_made_is_not_trusted(tmp_path: Path, name: str) -> None:
    made = tmp_path / name
    made.touch() if "." in name else made.mkdir()
    os.chown(made, 20002, 20010)
    with pytest.raises(SettingsError, match=rf"{made} belongs to user 20002.* chown -R 0 "):
        claim(settings(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_link_of_somebody_else_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "quarantine").symlink_to(elsewhere)
    os.chown(tmp_path / "quarantine", 20002, 20010, follow_symlinks=False)
    with pytest.raises(SettingsError, match="belongs to user 20002"):
        claim(settings(tmp_path))


def test_what_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"cannot be used .* install -d -o <broker's user>"):
        claim(settings(tmp_path / "file"))
    with pytest.raises(SettingsError, match="is closed to this user, or not there"):
        join(settings(tmp_path / "nowhere"))
    join(Settings.load({"BELLHOP_HOME": str(tmp_path / "embedded")}))
