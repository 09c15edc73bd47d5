"""A client in the box that does what proper ones would not: another name in TLS, bytes of its own."""

from __future__ import annotations

import socket
import ssl

from tests.sandbox.door.stage import Stage

SECONDS = 60


def opened(s: Stage, host: str, port: int) -> socket.socket:
    """A connection whose CONNECT was answered with 200. Raises: ConnectionRefusedError with the answer."""
    connection = socket.create_connection(("127.0.0.1", s.proxy_port), SECONDS)
    connection.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n") and (data := connection.recv(1)):
        answer += data
    if not answer.startswith(b"HTTP/1.1 200"):
        connection.close()
        raise ConnectionRefusedError(answer.decode())
    return connection


def through_tls(s: Stage, host: str, name: str | None, trust: ssl.SSLContext | None = None) -> str:
    """The answer to a GET inside TLS that asks for `name`, whatever the CONNECT asked for.

    trust: what the client verifies with, None: nothing. Raises: OSError, when the connection is cut.
    """
    context = trust or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if trust is None:
        context.verify_mode = ssl.CERT_NONE
    with opened(s, host, s.upstream.port) as raw, context.wrap_socket(raw, server_hostname=name) as tls:
        netloc = f"{host}:{s.upstream.port}"
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while data := tls.recv(65536):
            answer += data
        return answer.decode()
