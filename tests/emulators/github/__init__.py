"""A GitHub for tests: REST, OAuth and git over HTTP on loopback, checked against GitHub's description."""

from tests.emulators.github.emulator import GitHubEmulator

__all__ = ["GitHubEmulator"]
