"""The vault: secrets sealed by AES-256-GCM under keys that are derived from SECRET_KEY, kept in a store.

Envelope: each secret has a data key of its own, which is sealed under the key-encryption key. Changing
SECRET_KEY re-seals the data keys only. The name is authenticated: a sealed value moved to another name does
not open.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = b"\x01"
KEY_ID_BYTES = 8
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
SEALED_KEY_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
HEADER_BYTES = len(FORMAT) + KEY_ID_BYTES
MIN_SECRET_KEY_CHARACTERS = 32


class VaultError(Exception):
    """A secret could not be sealed, opened or found; the message never holds the secret."""


class SecretStore(Protocol):
    """Where sealed secrets are kept. It never sees one open."""

    async def get(self, name: str) -> bytes | None:
        """The sealed value of that name, or None."""
        ...

    async def put(self, name: str, sealed: bytes) -> None:
        """Keep the sealed value under that name, in place of what was there."""
        ...

    async def delete(self, name: str) -> None:
        """Forget the name; fine if it is not there."""
        ...

    async def names(self) -> list[str]:
        """Every name there is, sorted."""
        ...

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Held by one at a time among all processes that share the store."""
        ...


class KeyRing:
    """The current key, which seals, and former ones, which still open."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        """`secret_keys`: the values of SECRET_KEY, the current first, former ones after it.

        Raises: `VaultError` when there is none or one is too short to be a key.
        """
        if not secret_keys:
            raise VaultError("The vault has no key; set SECRET_KEY (`openssl rand -hex 32` makes one).")
        if any(len(key) < MIN_SECRET_KEY_CHARACTERS for key in secret_keys):
            raise VaultError(
                f"SECRET_KEY is shorter than {MIN_SECRET_KEY_CHARACTERS} characters; "
                "`openssl rand -hex 32` makes a good one."
            )
        derived = [_derive(key) for key in secret_keys]
        self._keys = {_key_id(key): key for key in reversed(derived)}
        self._current = _key_id(derived[0])

    def seal(self, name: str, secret: bytes) -> bytes:
        """The secret, sealed for that name under the current key."""
        data_key = AESGCM.generate_key(bit_length=KEY_BYTES * 8)
        return self._wrapped(name, data_key) + _encrypt(data_key, secret, _bound(b"secret", name))

    def open(self, name: str, sealed: bytes) -> bytes:
        """The secret sealed for that name.

        Raises: `VaultError` when its key is not on the ring, or it was altered or sealed for another name.
        """
        return _decrypt(
            self._data_key(name, sealed),
            sealed[HEADER_BYTES + SEALED_KEY_BYTES :],
            _bound(b"secret", name),
            name,
        )

    def is_current(self, sealed: bytes) -> bool:
        """Whether the value is sealed under the current key."""
        return sealed[len(FORMAT) : HEADER_BYTES] == self._current

    def reseal(self, name: str, sealed: bytes) -> bytes:
        """The same secret under the current key; only its data key is sealed anew."""
        return self._wrapped(name, self._data_key(name, sealed)) + sealed[HEADER_BYTES + SEALED_KEY_BYTES :]

    def _wrapped(self, name: str, data_key: bytes) -> bytes:
        sealed_key = _encrypt(self._keys[self._current], data_key, _bound(b"data key", name))
        return FORMAT + self._current + sealed_key

    def _data_key(self, name: str, sealed: bytes) -> bytes:
        if sealed[: len(FORMAT)] != FORMAT or len(sealed) < HEADER_BYTES + SEALED_KEY_BYTES:
            raise VaultError(f"The secret {name} is damaged; set it again.")
        key = self._keys.get(sealed[len(FORMAT) : HEADER_BYTES])
        if key is None:
            raise VaultError(
                f"The secret {name} was sealed under another SECRET_KEY; "
                "give the former key too, or set the secret again."
            )
        sealed_key = sealed[HEADER_BYTES : HEADER_BYTES + SEALED_KEY_BYTES]
        return _decrypt(key, sealed_key, _bound(b"data key", name), name)


class Vault:
    """Secrets by name: sealed before they reach the store, open only in the hands of whoever asks here."""

    def __init__(self, store: SecretStore, keys: KeyRing) -> None:
        self._store = store
        self._keys = keys

    async def get(self, name: str) -> str | None:
        """The secret of that name, or None. Raises `VaultError` when it cannot be opened."""
        sealed = await self._store.get(name)
        return None if sealed is None else self._keys.open(name, sealed).decode()

    async def put(self, name: str, secret: str) -> None:
        """Keep the secret under that name."""
        await self._store.put(name, self._keys.seal(name, secret.encode()))

    async def delete(self, name: str) -> None:
        """Forget the secret; fine if it is not there."""
        await self._store.delete(name)

    async def names(self) -> list[str]:
        """The names there are; never a value."""
        return await self._store.names()

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Held around a read-then-write of one name."""
        return self._store.lock(name)

    async def rotate(self) -> int:
        """Seal everything under the current key; gives how many were under a former one."""
        resealed = 0
        for name in await self._store.names():
            async with self._store.lock(name):
                sealed = await self._store.get(name)
                if sealed is not None and not self._keys.is_current(sealed):
                    await self._store.put(name, self._keys.reseal(name, sealed))
                    resealed += 1
        return resealed


def _derive(secret_key: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"bellhop vault key, form 1")
    return derivation.derive(secret_key.encode())


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"bellhop vault key id" + key).digest()[:KEY_ID_BYTES]


def _bound(purpose: bytes, name: str) -> bytes:
    return FORMAT + purpose + b"\0" + name.encode()


def _encrypt(key: bytes, data: bytes, associated: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, associated)


def _decrypt(key: bytes, data: bytes, associated: bytes, name: str) -> bytes:
    try:
        return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], associated)
    except (InvalidTag, ValueError) as error:
        raise VaultError(
            f"The secret {name} was altered or belongs to another name; set it again."
        ) from error
