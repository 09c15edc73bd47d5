"""What is found in new commits, and what is let pass."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.broker.inspection import Finding, inspect_commits
from sandbox.broker.protected_paths import ProtectedPaths
from sandbox.broker.quarantine import Quarantine
from sandbox.broker.secret_patterns import secrets_in
from sandbox.broker.wire import TakenIn
from sandbox.holds import MOST_CHARACTERS, MOST_TOLD, NAMELESS, WORDLESS, holds_of, refusal
from tests.sandbox.workbench import Workbench, git

# Put together here so that no scanner takes this file for a leak.
GITHUB_TOKEN = "gh" + "p_" + "a1B2" * 9
AWS_KEY = "AK" + "IA" + "ABCDEFGH12345678"


async def found(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> list[tuple[str, str, bool]]:
    received = await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    again = await quarantine.inspect("refs/heads/main", received.references["refs/bellhop/work"])
    assert again == received.findings
    return [(finding.kind, finding.path, finding.blocking) for finding in received.findings]


async def test_plain_work_has_no_findings(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    box.commit("Plain", {"src/über uns.py": "x = 1\n", "app.py": None, "tab\there.txt": "y"})
    (box.path / "link").symlink_to("src/über uns.py")
    box.commit_all("A link inside")
    assert await found(quarantine, box, tmp_path) == []


async def test_a_large_file_is_found_even_if_removed_later(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    box.commit("Add", {"dump.sql": "x" * 100_001, "fits.sql": "x" * 100_000})
    box.commit("Remove", {"dump.sql": None})
    assert await found(quarantine, box, tmp_path) == [("large_file", "dump.sql", True)]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../x", ".git/config", "../.git/x"])
async def test_a_link_out_of_the_tree_is_found(
    quarantine: Quarantine, box: Workbench, tmp_path: Path, target: str
) -> None:
    (box.path / "link").symlink_to(target)
    box.commit_all("Link")
    assert await found(quarantine, box, tmp_path) == [("outside_symlink", "link", True)]


async def test_a_link_with_an_endless_target_is_found(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    blob = git(box.path, "hash-object", "-w", "--stdin", stdin=b"a/" * 2049)
    git(box.path, "update-index", "--add", "--cacheinfo", f"120000,{blob},link")
    git(box.path, "commit", "--quiet", "--message", "Link")
    assert await found(quarantine, box, tmp_path) == [("outside_symlink", "link", True)]


async def test_a_link_upwards_within_the_tree_is_fine(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    (box.path / "a" / "b").mkdir(parents=True)
    (box.path / "a" / "b" / "link").symlink_to("../../README.md")
    box.commit_all("Link")
    assert await found(quarantine, box, tmp_path) == []


async def test_a_submodule_is_found(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    git(box.path, "update-index", "--add", "--cacheinfo", f"160000,{box.head()},vendor/lib")
    git(box.path, "commit", "--quiet", "--message", "Submodule")
    assert await found(quarantine, box, tmp_path) == [("submodule", "vendor/lib", True)]


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        ".GitHub/Workflows/deep/ci.yml",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        ".gitattributes",
        "sub/.gitattributes",
        ".gitmodules",
        "AGENTS.md",
        "sub/.mcp.json",
        ".agents/skills/deploy/SKILL.md",
    ],
)
async def test_a_protected_path_needs_an_approval(
    quarantine: Quarantine, box: Workbench, tmp_path: Path, path: str
) -> None:
    box.commit("Change", {path: "[core]\n" if path == ".gitmodules" else "x\n"})
    assert await found(quarantine, box, tmp_path) == [("protected_path", path, False)]


async def test_a_secret_is_found_in_history(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    box.commit("Add", {"deploy notes.txt": f"token = {GITHUB_TOKEN}\n"})
    box.commit("Remove", {"deploy notes.txt": "token = $TOKEN\n"})
    assert await found(quarantine, box, tmp_path) == [("secret", "deploy notes.txt", True)]


async def test_a_secret_that_was_there_before_is_not_the_sessions(
    tmp_path: Path, mirror: Path, box: Workbench
) -> None:
    box.commit("Old", {"old.txt": f"{AWS_KEY}\n"})
    git(box.path, "push", "--quiet", str(mirror), "HEAD:main")
    git(box.path, "fetch", "--quiet")
    quarantine = await Quarantine.create(tmp_path / "q.git", mirror)
    box.commit("New line", {"old.txt": f"{AWS_KEY}\nplain\n"})
    assert await found(quarantine, box, tmp_path) == []


async def test_a_secret_in_a_binary_file_and_odd_names_are_found_and_can_be_told(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    not_utf_8 = os.fsdecode(b"b\xffg.sql")
    box.commit("Odd", {"ü.bin": b"\x00\x01" + AWS_KEY.encode() + b"\x00", not_utf_8: "x" * 100_001})
    received = await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    assert [(each.kind, each.path) for each in received.findings] == [
        ("large_file", "b\ufffdg.sql"),
        ("secret", "ü.bin"),
    ]
    told = TakenIn(
        references=received.references, commits=received.commits, findings=received.findings
    ).model_dump_json()
    assert AWS_KEY not in told


async def test_what_only_a_merge_adds_is_found(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    git(box.path, "checkout", "--quiet", "-b", "side")
    box.commit("Side", {"side.txt": "side\n"})
    git(box.path, "checkout", "--quiet", "main")
    box.commit("Main", {"main.txt": "main\n"})
    git(box.path, "merge", "--quiet", "--no-commit", "side")
    box.commit(
        "Merge", {"hidden.txt": f"{GITHUB_TOKEN}\n", ".gitattributes": "x\n", "side.txt": f"{AWS_KEY}\n"}
    )
    assert await found(quarantine, box, tmp_path) == [
        ("protected_path", ".gitattributes", False),
        ("secret", "hidden.txt", True),
        ("secret", "side.txt", True),
    ]


async def test_findings_name_their_commit(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    box.commit("Plain", {"a.txt": "1"})
    guilty = box.commit("Guilty", {"b.txt": f"{AWS_KEY}\n"})
    box.commit("Plain again", {"a.txt": "2"})
    received = await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    assert received.findings == (
        Finding(
            kind="secret",
            commit=guilty,
            path="b.txt",
            detail="looks like an AWS access key: AKIAABCD…",
            blocking=True,
            what="holds what looks like an AWS access key",
        ),
    )


async def test_people_are_told_each_file_once_and_no_name_that_is_a_secret(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    first = box.commit("One", {f"{AWS_KEY}.txt": f"{AWS_KEY}\n", "AGENTS.md": "x\n"})
    box.commit("Two", {f"{AWS_KEY}.txt": f"{AWS_KEY}2\n{GITHUB_TOKEN}\n"})
    box.commit("Many", {f"{n}.sql": "x" * 100_001 for n in range(MOST_TOLD)})
    received = await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    holds = holds_of(received.findings)
    assert [(hold.kind, hold.path, hold.what) for hold in holds[:3]] == [
        ("secret", NAMELESS, "holds what looks like an AWS access key"),
        ("secret", NAMELESS, "holds what looks like a GitHub token"),
        ("commit", "0.sql", "is larger than the 0.0954 MB that one file may have"),
    ]
    assert holds[0].commit == first
    assert len(holds) == MOST_TOLD
    assert refusal("publication", f"They said\n{AWS_KEY}.").what == WORDLESS
    assert len(refusal("publication", "so it is " * 99).what) == MOST_CHARACTERS


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-----BEGIN " + "RSA PRIVATE KEY-----", "a private key"),
        ("gh" + "s_" + "a.b-C_" * 80, "a GitHub token"),
        ("gh" + "p_" + "a1B2" * 9 + ".example.com", "a GitHub token"),
        ("xo" + "xb-123456789012-abcdefghijkl", "a Slack token"),
        ("s" + "k-proj-" + "A1b2C3d4" * 5, "an OpenAI or Anthropic key"),
        ("x" * 30_000 + " " + AWS_KEY, "an AWS access key"),
        ("x" * 4090 + " " + AWS_KEY + " " + "x" * 5000, "an AWS access key"),
        ("gl" + "pat-" + "a1B2c3D4" * 3, "a GitLab token"),
        ("AccountKey=" + "a1B2" * 22, "an Azure storage key"),
        ("S" + "G." + "a1B2c3D4e5F" * 2 + "." + "a1B2c3D4e5F" * 3 + "a1B2c3D4e5", "a SendGrid key"),
        ("1234567890" + ":A" + "A" + "h7Gk2" * 6 + "abc", "a Telegram bot token"),
        ("postgres://app:" + "t7Gq2LxW9pZr" + "@db.internal/app", "a password in an address"),
        ('PASSWORD = "' + "t7Gq2LxW9pZrK4" + 'mB"', "a password or key"),
        ("api_key: '" + "9f86d081884c7d65" * 2 + "'", "a password or key"),
        ("CLIENT_SECRET=" + "Zx8vQ2mN7pLk4RtY" + "9wBc1", "a password or key"),
        ('{"token": "' + "t7Gq2LxW9pZrK4" + 'mB"}', "a password or key"),
        ("api_key = '" + "Zx8vQ2mN7pLk4RtY" + "'  # pragma: allowlist secret", "a password or key"),
    ],
)
def test_what_is_a_secret(text: str, what: str) -> None:
    assert [hit.what for hit in secrets_in(text)] == [what]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gh" + "p_short",
        "AK" + "IA" + "IOSFODNN7EXAMPLE",
        "gh" + "p_" + "x" * 36,
        "a sk-etch of a ri-sk-y task",
        "e" * 40,
        "AKIA",
        '"integrity": "sha512-Zx8vQ2mN7pLk4RtY9wBc1Zx8vQ2mN7pLk4RtY9wBc1Zx8vQ2mN7pLk4RtY9wBc1Aa=="',
        "    --hash=sha256:6bb46dcc553c10df51475641bb30fd69d25645cc12339e46c824c1e0c388898a",
        "commit = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b'",
        "token = '550e8400-e29b-41d4-a716-446655440000'",
        "access_token = response.json()['access_token']",
        "password = os.environ['DATABASE_PASSWORD_2024']",
        'password = "${DATABASE_PASSWORD_1}"',
        'secret_name = "prod/Billing7/Key42x"',
        "token_hash = '9f86d081884c7d659a2feaa0c55ad015'",
        "DATABASE_URL=postgres://bellhop:bellhop@localhost/bellhop",
        "PASSWORD=change-me-1234567890-please",
        'token: "your-token-goes-here-123"',
        'API_KEY = "test-key-a1b2c3d4e5f6g7h8"',
        'data = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"',
        "!function(e,t){var n=e.key,r=t.token||o(12);n.secret=r&&a.b(n,r)}(window,document);",
        'START = b"-----BEGIN ' + 'RSA PRIVATE KEY-----"',
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    ],
)
def test_ordinary_code_holds_no_secret(text: str) -> None:
    assert secrets_in(text) == []


async def test_a_secret_in_a_commits_message_is_found(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    box.commit(f"Use {GITHUB_TOKEN}", {"a.txt": "1"})
    assert await found(quarantine, box, tmp_path) == [("secret", "", True)]


async def test_a_secret_in_two_byte_text_is_found(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    box.commit("Notes", {"notes.txt": f"key {AWS_KEY}\n".encode("utf-16")})
    assert await found(quarantine, box, tmp_path) == [("secret", "notes.txt", True)]


async def test_the_repositorys_own_patterns_are_protected_too(box: Workbench) -> None:
    commit = box.commit("Change", {"infra/prod/main.tf": "x\n", "app.py": "y\n"})
    git_dir = box.path / ".git"
    assert await inspect_commits(git_dir, [commit], max_file_bytes=1000) == ()
    findings = await inspect_commits(git_dir, [commit], max_file_bytes=1000, protected=("infra/",))
    assert [(finding.kind, finding.path) for finding in findings] == [
        ("protected_path", "infra/prod/main.tf")
    ]


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("/infra/", "infra/a/b.tf", "app/infra/a.tf"),
        ("infra/", "app/infra/a.tf", "infra"),
        ("*.lock", "web/yarn.lock", "lock"),
        ("/src/*.py", "src/App.PY", "src/a/b.py"),
        ("src/**/migrations", "src/a/b/migrations/0001.py", "migrations/0001.py"),
        ("**/secrets.yml", "secrets.yml", "secrets.yml.txt"),
        ("docs/v?/a[1].md", "docs/v2/a[1].md", "docs/v10/a[1].md"),
    ],
)
def test_patterns_read_as_in_codeowners(pattern: str, covered: str, not_covered: str) -> None:
    paths = ProtectedPaths((pattern,))
    assert (paths.covers(covered), paths.covers(not_covered)) == (True, False)
