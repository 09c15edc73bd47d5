"""`bellhop audit verify`, and the rights of the application's role in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.secret_key import secret_key
from session.audit import Audit
from session.audit_check import Verdict, verify
from session.database import Database
from session.roles import RoleRefused, grant
from session.settings import Settings, parted


async def audit_verify(settings: Settings) -> int:
    """0 when no row and no anchor was changed, else 1; says what was found. Raises: DatabaseDown, OSError.

    With the broker's SECRET_KEY at hand only anchors that the broker signed count.
    """
    keys = _broker_keys(settings)
    async with await Database.open(settings.database_address) as database:
        await database.migrate()
        verdict = await verify(Audit(database), settings.anchors_file, keys)
    for sentence in _findings(verdict, settings, known_key=bool(keys)):
        print(sentence)
    return 0 if verdict.ok else 1


async def grant_role(settings: Settings, role: str) -> int:
    """The application's role has its rights, and none to change the audit. Raises: DatabaseDown."""
    async with await Database.open(settings.database_address) as database:
        await database.migrate()
        try:
            await grant(database, role)
        except RoleRefused as error:
            print(error)
            return 1
    print(f"{role} may do the application's work, and only read and add to the audit.")
    return 0


def _findings(verdict: Verdict, settings: Settings, *, known_key: bool) -> list[str]:
    said = []
    if verdict.bad is not None:
        said.append(f"The audit was changed. First bad row: {verdict.bad.id}. There {verdict.bad.why}.")
    said += [f"In {settings.anchors_file} {fault}." for fault in verdict.bad_anchors]
    if not said:
        said.append(f"The audit is whole: {verdict.rows:,} rows, each chained to the one before.")
    if verdict.anchored_until is None:
        said.append(
            f"No anchor in {settings.anchors_file} vouches for it: rows cut from the end are not missed."
        )
    else:
        said.append(f"Anchors vouch for it until {verdict.anchored_until:%Y-%m-%d %H:%M:%S} UTC.")
    if not known_key:
        said.append("Without the broker's SECRET_KEY the keys named in the anchors' file were believed.")
    return said


def _broker_keys(settings: Settings) -> Sequence[bytes]:
    if not settings.secret_key and not (settings.bellhop_home / "secret.key").exists():
        return ()
    return [key.encode() for key in (secret_key(settings), *parted(settings.former_secret_keys))]
