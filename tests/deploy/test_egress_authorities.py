"""Certificates of a company's own making are trusted where the setting names their authority."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.broker import trust
from sandbox.broker.door.authority import Authority
from session.settings import Settings, SettingsError


def test_the_system_s_authorities_stay_trusted_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(Authority.new("company").certificate)
    usual = len(trust(Settings.load({})).get_ca_certs())
    assert len(trust(Settings.load({"EGRESS_AUTHORITIES": str(file)})).get_ca_certs()) == usual + 1


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=r"EGRESS_AUTHORITIES: .*Name a file of PEM certificates"):
        trust(Settings.load({"EGRESS_AUTHORITIES": str(file)}))
