"""Sealing, opening, moving and rotating secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.broker.vault import KeyRing, Vault, VaultError
from tests.sandbox.broker.conftest import MemoryStore

FORMER = "former-" + "k" * 32
CURRENT = "current-" + "k" * 32


@given(st.text(), st.binary())
def test_what_is_sealed_opens(name: str, secret: bytes) -> None:
    keys = KeyRing([CURRENT])
    assert keys.open(name, keys.seal(name, secret)) == secret


def test_a_sealed_value_tells_nothing_and_never_twice_the_same() -> None:
    keys = KeyRing([CURRENT])
    first, second = (keys.seal("a", b"the secret itself") for _ in range(2))
    assert first != second
    assert b"the secret" not in first


def test_another_name_does_not_open_it() -> None:
    keys = KeyRing([CURRENT])
    with pytest.raises(VaultError, match="other"):
        keys.open("other", keys.seal("name", b"s"))


def test_any_changed_byte_is_noticed() -> None:
    keys = KeyRing([CURRENT])
    sealed = keys.seal("name", b"secret")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(VaultError):
            keys.open("name", bytes(altered))
    for length in range(len(sealed)):
        with pytest.raises(VaultError):
            keys.open("name", sealed[:length])


def test_another_key_does_not_open_it() -> None:
    sealed = KeyRing([FORMER]).seal("name", b"s")
    with pytest.raises(VaultError, match="another SECRET_KEY"):
        KeyRing([CURRENT]).open("name", sealed)
    assert KeyRing([CURRENT, FORMER]).open("name", sealed) == b"s"


@pytest.mark.parametrize("secret_keys", [[], ["short"], [CURRENT, "short"]])
def test_a_key_that_is_none_is_refused(secret_keys: list[str]) -> None:
    with pytest.raises(VaultError, match="SECRET_KEY"):
        KeyRing(secret_keys)


async def test_secrets_are_kept_sealed_and_by_name(store: MemoryStore) -> None:
    vault = Vault(store, KeyRing([CURRENT]))
    await vault.put("b", "two")
    await vault.put("a", "one")
    assert await vault.get("a") == "one"
    assert await vault.get("c") is None
    assert await vault.names() == ["a", "b"]
    assert b"one" not in store.rows["a"]
    await vault.delete("a")
    assert await vault.get("a") is None


async def test_rotation_moves_everything_to_the_current_key(store: MemoryStore) -> None:
    before = Vault(store, KeyRing([FORMER]))
    await before.put("a", "one")
    await before.put("b", "two")
    during = Vault(store, KeyRing([CURRENT, FORMER]))
    await during.put("c", "three")
    assert await during.rotate() == 2
    assert await during.rotate() == 0
    after = Vault(store, KeyRing([CURRENT]))
    assert [await after.get(name) for name in "abc"] == ["one", "two", "three"]
