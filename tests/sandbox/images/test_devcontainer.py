"""devcontainer.json as people write it: comments, three kinds of commands, and sentences about mistakes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.images.devcontainer import BadDevcontainer, Dockerfile, read_devcontainer
from sandbox.images.jsonc import NotJson, plain_json, read_jsonc

FILE = ".devcontainer/devcontainer.json"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# Between the tokens of a file, and full of what would count inside a text.
GAPS: st.SearchStrategy[str] = st.sampled_from(
    ["", " ", "\n", '// , ] " }\n', '/* " , ] */', "/* a\n * b\n */\n"]
)
LAST_COMMAS: st.SearchStrategy[str] = st.sampled_from(["", ","])


@given(VALUES, st.data())
def test_comments_and_last_commas_change_nothing(value: object, data: st.DataObject) -> None:
    def gap() -> str:
        return data.draw(GAPS)

    def written(part: object) -> str:
        if isinstance(part, dict):
            inner = [f"{gap()}{json.dumps(name)}{gap()}:{written(each)}" for name, each in part.items()]
            return "{" + _listed(inner) + "}"
        if isinstance(part, list):
            return "[" + _listed([written(each) for each in part]) + "]"
        return f"{gap()}{json.dumps(part)}{gap()}"

    def _listed(parts: list[str]) -> str:
        comma = data.draw(LAST_COMMAS) if parts else ""
        return ",".join(parts) + comma + gap()

    assert read_jsonc(written(value)) == value


@given(st.text(alphabet='"\\/*,]}[{ \na'))
def test_what_is_taken_out_leaves_everything_else_in_its_place(text: str) -> None:
    plain = plain_json(text)
    assert len(plain) == len(text)
    assert all(after in (before, " ") for before, after in zip(text, plain, strict=True))
    assert plain.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": /* open', '{"a": 1 // and on', "[1,,]", '{"a" 1}', "[" * 5000]
)
def test_what_is_not_json_is_said_with_its_line(text: str) -> None:
    with pytest.raises(NotJson):
        read_jsonc(text)


def test_everything_that_is_honoured_is_read() -> None:
    text = """\ufeff{
      // A comment with a "quote", and a URL in a text below.
      "name": "Billing",
      "build": {
        "dockerfile": "Dockerfile", "context": "..", "target": "dev", "args": {"V": "${localEnv:V:3.12}"}
      },
      "containerEnv": {
        "TZ": "UTC", "ROOT": "${containerWorkspaceFolder}/src", "KEY": "${localEnv:AWS_SECRET}"
      },
      "onCreateCommand": "pip install -e . && echo http://a//b",
      "updateContentCommand": ["make", "set up"],
      "postCreateCommand": {"b": "echo b", "a": ["echo", "$HOME"], "c": ""},
      "remoteUser": "vscode",
      "features": {"ghcr.io/x": {}},
    }"""
    read = read_devcontainer(FILE, text)
    assert read.dockerfile == Dockerfile(".devcontainer/Dockerfile", ".", {"V": "3.12"}, "dev")
    assert read.env == {"TZ": "UTC", "ROOT": "/workspace/src", "KEY": ""}
    assert read.on_create == ("pip install -e . && echo http://a//b",)
    assert read.update_content == ("make 'set up'",)
    assert read.post_create == ("echo b", "echo '$HOME'"), "in the order in which they are written"
    assert (read.user, read.image, read.unused) == ("vscode", "", ("features",))


def test_an_image_and_the_older_way_to_name_a_dockerfile() -> None:
    assert read_devcontainer(FILE, '{"image": "python:3.12"}').image == "python:3.12"
    older = read_devcontainer(
        ".devcontainer.json", '{"dockerFile": "docker/Dockerfile", "context": "docker"}'
    )
    assert older.dockerfile == Dockerfile("docker/Dockerfile", "docker")
    assert read_devcontainer(FILE, '{"remoteUser": "root"}').user == "", "no box is ever root's"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", f"{FILE}:1: write settings in braces"),
        ('{\n"image": "a"\n"b": 1}', f"{FILE}:3: this is not JSON (Expecting ',' delimiter)"),
        ('{\n"image": 3}', f'{FILE}:2: `image` must be a text, such as "python:3.12".'),
        ('{\n\n"build": "Dockerfile"}', f"{FILE}:3: `build` must be settings"),
        ('{"build": {"dockerfile": "../../Dockerfile"}}', "leads out of the repository (../../Dockerfile)"),
        ('{"build": {"dockerfile": "/etc/passwd"}}', "leads out of the repository (/etc/passwd)"),
        ('{"build": {"dockerfile": "D", "args": {"A": 1}}}', "`args` must be texts by name"),
        ('{"onCreateCommand": 3}', "`onCreateCommand` must be a command, such as"),
        ('{"postCreateCommand": {"a": {"b": "c"}}}', "`postCreateCommand` must be a command"),
        ('{"updateContentCommand": ["make", 1]}', "`updateContentCommand` must be a command"),
        ('{"onCreateCommand": "a\\u0000b"}', "`onCreateCommand` must be text"),
        ('{"containerEnv": ["A=b"]}', "`containerEnv` must be texts by name"),
        ('{"containerEnv": {"A": 1}}', "`A` must be a plain name with a text"),
        ('{"containerEnv": {"A B": "1"}}', "`A B` must be a plain name with a text"),
        (
            '{"containerEnv": {\n"https_proxy": "http://evil"}}',
            f"{FILE}:2: `https_proxy` belongs to the sandbox",
        ),
        ('{"containerEnv": {"PATH": "/opt/bin"}}', "`PATH` belongs to the sandbox"),
        ('{"remoteUser": "a b"}', '`remoteUser` must be the name of a user, such as "vscode".'),
    ],
)
def test_a_mistake_is_said_with_its_place_and_what_to_write(text: str, says: str) -> None:
    with pytest.raises(BadDevcontainer) as caught:
        read_devcontainer(FILE, text)
    assert says in str(caught.value)
