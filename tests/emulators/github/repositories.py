"""Git in the emulated GitHub's repositories: heads, merges, and serving them over HTTP."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from aiohttp import web

GIT_TIMEOUT_SECONDS = 60
HTTP_BACKEND = "/usr/lib/git-core/git-http-backend"


async def git(path: Path, *arguments: str, stdin: bytes = b"", author: str | None = None) -> str | None:
    """What git wrote in that bare repository, stripped; None when it failed."""
    environment = _environment()
    if author:
        for role in ("AUTHOR", "COMMITTER"):
            environment[f"GIT_{role}_NAME"] = author
            environment[f"GIT_{role}_EMAIL"] = f"{author}@users.noreply.github.com"
    code, output, _ = await _run(["git", f"--git-dir={path}", *arguments], environment, stdin)
    return output.decode().strip() if code == 0 else None


async def clone_bare(source: Path, target: Path, branch: str) -> None:
    """A bare copy of a repository, independent of it, to which can be pushed. `branch` is its default."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [
        "git", "clone", "--quiet", "--bare", "--template=", "--no-hardlinks", "--config",
        "http.receivepack=true", str(source), str(target),
    ]  # fmt: skip
    code, _, errors = await _run(command, _environment(), b"")
    if code != 0:
        raise ValueError(f"{source} cannot be copied: {errors.decode()}")
    await asyncio.to_thread((target / "HEAD").write_text, f"ref: refs/heads/{branch}\n")


async def head(path: Path, branch: str) -> str | None:
    """The commit a branch is at, or None."""
    return await git(path, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")


async def ahead(path: Path, base: str, branch: str) -> int:
    """How many commits the branch has that the base does not."""
    return int(await git(path, "rev-list", "--count", f"refs/heads/{base}..refs/heads/{branch}") or 0)


async def merge(path: Path, base: str, commit: str, *, method: str, message: str, author: str) -> str | None:
    """Merge a commit into a base branch; gives the new head of the base, None on a conflict."""
    before = await head(path, base)
    if before is None:
        return None
    tree = await git(path, "merge-tree", "--write-tree", before, commit)
    if tree is None:
        return None
    parents = ["-p", before, *(["-p", commit] if method == "merge" else [])]
    made = await git(path, "commit-tree", tree, *parents, stdin=message.encode(), author=author)
    if made is None or await git(path, "update-ref", f"refs/heads/{base}", made, before) is None:
        return None
    return made


async def serve(path: Path, suffix: str, request: web.Request, body: bytes, user: str) -> web.Response:
    """Answer one request of git's HTTP protocol with git's own `http-backend`."""
    environment = {
        **_environment(),
        "GIT_PROJECT_ROOT": str(path.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{path.name}{suffix}",
        "QUERY_STRING": request.query_string,
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REMOTE_USER": user,
        "REMOTE_ADDR": "127.0.0.1",
    }
    code, output, errors = await _run([HTTP_BACKEND], environment, body)
    if code != 0:
        return web.Response(status=500, text=errors.decode("utf-8", "replace"))
    head_part, _, content = output.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head_part.decode().split("\r\n"))
    status = int(headers.pop("Status", "200 OK").split(" ")[0])
    return web.Response(status=status, headers=headers, body=content)


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }


async def _run(command: list[str], environment: dict[str, str], stdin: bytes) -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        async with asyncio.timeout(GIT_TIMEOUT_SECONDS):
            output, errors = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output, errors
