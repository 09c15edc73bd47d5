"""What is read from the settings of pip, npm and apt: web addresses, nothing secret, nothing senseless."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.images.machine_packages import APT_FILE, APT_PARAGRAPHS_FILE, apt_settings
from sandbox.images.package_addresses import (
    apt_entries,
    npm_registries,
    origin_of,
    pip_options,
    web_address,
)
from sandbox.package_hosts import hosts_of


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Mirror.Example.com/simple/", "https://mirror.example.com"),
        ("http://mirror.example.com:80/x", "http://mirror.example.com"),
        ("https://mirror.example.com:8443", "https://mirror.example.com:8443"),
        ("https://user:secret@mirror.example.com/x?token=secret#secret", "https://mirror.example.com"),
        ("file:///srv/packages", None),
        ("/srv/packages", None),
        ("ftp://mirror.example.com", None),
        ("https://", None),
        ("https://a b.example.com", None),
        ("https://mirror.example.com:port/", None),
        ("https://[::1/", None),
        ("", None),
    ],
)
def test_an_origin_is_scheme_host_and_port(address: str, origin: str | None) -> None:
    assert origin_of(address) == origin


def test_an_address_has_no_secret_left() -> None:
    written = "https://user:secret@mirror.example.com:8443/py/simple?token=secret#secret"
    assert web_address(written) == "https://mirror.example.com:8443/py/simple"


def test_pip_s_variables_come_before_its_settings() -> None:
    listed = (
        "global.index-url='https://one.example.com/simple'\n"
        "install.extra-index-url='https://two.example.com https://three.example.com'\n"
        ":env:.index-url='https://zero.example.com/simple'\n"
        "global.extra-index-url='\\nhttps://four.example.com'\n"
        "nonsense\nglobal.index-url=unquoted\nglobal.find-links='unended\n"
    )
    options = pip_options(listed)
    assert options["index-url"] == ("https://zero.example.com/simple", "https://one.example.com/simple")
    assert options["extra-index-url"] == (
        "https://four.example.com",
        "https://two.example.com",
        "https://three.example.com",
    )
    assert "find-links" not in options


def test_npm_has_a_registry_and_more_for_scopes() -> None:
    listed = {
        "registry": "https://npm.example.com/",
        "@acme:registry": "https://me:secret@acme.example.com/npm/",
        "metrics-registry": "https://metrics.example.com/",
        "@bad:registry": 3,
        "//npm.example.com/:_authToken": "secret",
    }
    assert npm_registries(json.dumps(listed)) == {
        "registry": "https://npm.example.com/",
        "@acme:registry": "https://acme.example.com/npm/",
    }


LINES = """\
# deb http://commented.example.com stable main
deb [arch=amd64 signed-by=/etc/apt/keyrings/a.gpg] https://b:secret@a.example.com/debian stable main # why
deb-src http://b.example.com/debian stable main
deb cdrom:[Debian]/ stable main
deb file:/srv/debian stable main
deb
rpm https://c.example.com x
"""
PARAGRAPHS = """\
# first
Types: deb
URIs: https://u:secret@a.example.com/debian
 http://b.example.com:8080/debian file:/srv/debian
# in between
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: https://off.example.com/
Suites: stable
Enabled: no

garbage without a colon
"""


def test_apt_s_lines_keep_their_options_and_lose_passwords() -> None:
    entries = apt_entries("sources.list", LINES)
    assert [entry.text for entry in entries] == [
        "deb [arch=amd64 signed-by=/etc/apt/keyrings/a.gpg] https://a.example.com/debian stable main",
        "deb-src http://b.example.com/debian stable main",
    ]


def test_apt_s_paragraphs_keep_their_keys_and_lose_passwords() -> None:
    (entry,) = apt_entries("x.sources", PARAGRAPHS)
    assert entry.addresses == ("https://a.example.com/debian", "http://b.example.com:8080/debian")
    assert "secret" not in entry.text
    assert "signed-by: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n -----END" in entry.text


def test_a_machine_s_apt_sources_are_written_without_their_passwords(tmp_path: Path) -> None:
    directory = tmp_path / "etc/apt/sources.list.d"
    directory.mkdir(parents=True)
    assert apt_settings(tmp_path) == {}
    (tmp_path / APT_FILE).write_text(LINES)
    (directory / "more.sources").write_text(PARAGRAPHS)
    (directory / "off.list.disabled").write_text("deb http://disabled.example.com stable main\n")
    written = apt_settings(tmp_path)
    assert set(written) == {APT_FILE, APT_PARAGRAPHS_FILE}
    assert "secret" not in "".join(written.values())
    assert "disabled" not in "".join(written.values())
    again = [
        address
        for entry in apt_entries("x.sources", written[APT_PARAGRAPHS_FILE])
        for address in entry.addresses
    ]
    assert again == ["https://a.example.com/debian", "http://b.example.com:8080/debian"]


def _said(**parts: object) -> str:
    return json.dumps(parts)


def test_hosts_are_those_of_the_configured_indexes() -> None:
    output = _said(
        pip="global.index-url='https://py.example.com/simple'\nglobal.extra-index-url='https://x.example.com file:///y'",
        pip_default="https://index.example.org/simple files.example.org\n",
        npm=json.dumps({"registry": "https://npm.example.com/"}),
        apt={"/etc/apt/sources.list": LINES, "/etc/apt/sources.list.d/x.sources": PARAGRAPHS},
    )
    assert hosts_of(output) == {
        "python": ("https://py.example.com", "https://x.example.com"),
        "npm": ("https://npm.example.com",),
        "debian": ("https://a.example.com", "http://b.example.com", "http://b.example.com:8080"),
    }


def test_an_index_that_nobody_configured_is_pip_s_own_with_its_files() -> None:
    output = _said(pip="", pip_default="https://index.example.org/simple files.example.org\n")
    assert hosts_of(output)["python"] == ("https://index.example.org", "https://files.example.org")
    none = _said(
        pip="global.no-index='true'", pip_default="https://index.example.org/simple files.example.org\n"
    )
    assert hosts_of(none)["python"] == ()


NAMES = st.sampled_from(["pip", "npm", "apt", "pip_default", "x.sources"])
SENSELESS = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)


@given(st.text() | SENSELESS.map(json.dumps))
def test_output_that_makes_no_sense_gives_no_hosts_and_no_error(output: str) -> None:
    assert set(hosts_of(output)) == {"python", "npm", "debian"}


@given(st.text())
def test_texts_that_make_no_sense_are_read_without_an_error(text: str) -> None:
    pip_options(text)
    npm_registries(text)
    apt_entries("a.list", text)
    apt_entries("a.sources", text)
    web_address(text)
