"""What a registry of images is to the sandboxes of several hosts: how images and snapshots come to others."""

from __future__ import annotations

from typing import Protocol

from sandbox.environments.images import ImageTag


class RegistryAway(Exception):
    """The registry does not answer, or not now; the message says what to look at."""


class RegistryRefused(Exception):
    """The registry answered no: it does not know us, or has no such image."""


class KeepsAll(RegistryRefused):
    """The registry deletes nothing; all else works."""


class Registry(Protocol):
    """A registry, as one host's engine reaches it. The engine's own images are a cache of what is there.

    `shared` is what an image is called there, by the digest of its content, so that nobody can put another
    in its place. Every method that waits raises RegistryAway, RegistryRefused and EnvironmentUnavailable.
    """

    @property
    def address(self) -> str: ...

    async def push(self, reference: str) -> str:
        """`shared` of an image or snapshot of this host, now there too; layers that are there are not sent
        again. Raises: ImageMissing too."""
        ...

    def image(self, tag: ImageTag) -> str:
        """What a repository's image of that tag is called on this host, whether it is there or not."""
        ...

    def snapshot(self, box: str, tag: str) -> str:
        """What a snapshot of that box is called on this host, whether it is there or not."""
        ...

    async def pull(self, shared: str, reference: str) -> None:
        """The image is on this host under that reference, which is one of `image` or `snapshot`."""
        ...

    async def remove(self, shared: str) -> None:
        """It is not there any more; no error when it was not, or when the registry deletes nothing."""
        ...

    async def check(self) -> None:
        """Return if it knows us and removes what it is told to. Raises: KeepsAll too."""
        ...
