"""The socket that the pages are served on."""

from __future__ import annotations

import socket
from contextlib import closing

from deploy.web_server import listen


def test_answers_in_pieces_do_not_wait_for_each_other() -> None:
    with closing(listen("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        taken, _ = listener.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
