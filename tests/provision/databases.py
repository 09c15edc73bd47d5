"""Databases that have their tables already: migrating anew would be most of what many tests do."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from session.database import Database

PREFIX = "sqlite://"


async def tables_at(url: str) -> str:
    """The address, where a SQLite file lies now as migrations leave it; other databases are left as they are.

    A file that is there already is not touched.
    """
    path = Path(url.removeprefix(PREFIX))
    if url.startswith(PREFIX) and not await asyncio.to_thread(path.exists):
        template = _kept() / "template.db"
        if not await asyncio.to_thread(template.exists):
            await migrate(f"{PREFIX}{template}.new")
            await asyncio.to_thread(Path(f"{template}.new").rename, template)
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(shutil.copyfile, template, path)
    return url


async def migrate(url: str) -> None:
    """The database at that address has this version's tables."""
    async with await Database.open(url) as database:
        await database.migrate()


@lru_cache(maxsize=1)
def _kept() -> Path:
    """A directory of this test process."""
    return Path(tempfile.mkdtemp(prefix="bellhop-tables-"))
