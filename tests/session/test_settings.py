"""Settings: read from what is handed over, refused with a name, a purpose and an example."""

from __future__ import annotations

from pathlib import Path

import pytest

from session.settings import Settings, SettingsError


def test_nothing_set_is_the_embedded_set_up() -> None:
    settings = Settings.load({})
    assert settings.embedded
    assert settings.database_address == f"sqlite://{Path('~/.bellhop/bellhop.db').expanduser()}"
    assert settings.page_address == "http://127.0.0.1:8300"
    assert settings.repositories_file == Path("repositories.yaml")


def test_what_is_set_is_taken() -> None:
    settings = Settings.load(
        {
            "DATABASE_URL": "postgres://u:p@db/bellhop",
            "REDIS_URL": "redis://r:6379/0",
            "PUBLIC_URL": "https://bellhop.example.com/",
            "WEB_PORT": "0",
            "MENTIONS_REQUIRED": "true",
            "DEFAULT_ROLE": "viewer",
            "SLACK_BOT_TOKEN": "",
            "PATH": "/usr/bin",
        }
    )
    assert not settings.embedded
    assert settings.database_address == "postgres://u:p@db/bellhop"
    assert settings.page_address == "https://bellhop.example.com"
    assert (settings.web_port, settings.mentions_required, settings.default_role) == (0, True, "viewer")
    assert settings.slack_bot_token == ""


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("WEB_PORT", "eighty", "must be a whole number"),
        ("WEB_PORT", "70000", "must be less than or equal to 65535"),
        ("DATABASE_URL", "mysql://db", "must be an address that begins with sqlite:// or postgres://"),
        ("REDIS_URL", "localhost", "must be an address that begins with redis://"),
        ("DEFAULT_ROLE", "king", "must be 'viewer', 'prompter', 'approver' or 'admin'"),
        ("SANDBOX_BACKEND", "cloud", "must be 'docker', 'local' or 'auto'"),
        ("APPROVAL_MINUTES", "0", "must be greater than 0"),
        ("LEASE_SECONDS", "long", "must be a number"),
        ("SESSION_BUDGET_USD", "five", "must be a number"),
        ("MENTIONS_REQUIRED", "perhaps", "must be true or false"),
        ("GITHUB_API_URL", "api.github.com", "must be an address that begins with http:// or https://"),
    ],
)
def test_a_malformed_setting_names_itself_its_purpose_and_an_example(
    name: str, value: str, wrong: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({name: value})
    field = Settings.model_fields[name.lower()]
    message = str(caught.value)
    assert message.startswith(f"{name} {wrong}")
    assert str(field.description) in message
    assert f"Example: {name}={(field.examples or [''])[0]}" in message


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingsError, match=r"(?s)WEB_PORT.*MAX_STEPS"):
        Settings.load({"WEB_PORT": "x", "MAX_STEPS": "-1"})


def test_a_heartbeat_fits_into_its_lease() -> None:
    with pytest.raises(SettingsError, match="HEARTBEAT_SECONDS"):
        Settings.load({"HEARTBEAT_SECONDS": "15"})


def test_every_setting_says_what_it_is_for_and_no_secret_is_printed() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.examples, name
    settings = Settings.load({"SECRET_KEY": "hush", "DATABASE_URL": "postgres://u:hush@db/b"})
    assert "hush" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        Settings.load({"DATABASE_URL": "hush"})
    assert "hush" not in str(caught.value)
