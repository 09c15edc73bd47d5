"""Code of an attacker, run inside a box: it asks the door for what lies inside, in every form of address.

Told by a JSON file; prints, as its last line, how each form ended. Nothing here is imported by tests.
"""

import json
import socket
import ssl
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

TOLD = json.loads(Path(sys.argv[1]).read_text())
PORT: int = TOLD["port"]
PLAIN: int = TOLD["plain"]
DOOR = ("127.0.0.1", 3128)
SECONDS = 60
PUBLIC = "public.example.com"


def answered(connection: socket.socket) -> str:
    """All status lines that come back, until the door or the server has said enough."""
    answer = b""
    while data := connection.recv(65536):
        answer += data
    lines = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return " ".join(line.split()[1].decode() for line in lines) or "nothing"


def plainly(text: str) -> str:
    """The answers to these bytes, sent to the door as to a proxy."""
    with socket.create_connection(DOOR, SECONDS) as connection:
        connection.sendall(text.encode("latin-1"))
        return answered(connection)


def connected(authority: str) -> socket.socket:
    """A tunnel, as the door grants it."""
    connection = socket.create_connection(DOOR, SECONDS)
    connection.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("latin-1"))
    answer = b""
    while not answer.endswith(b"\r\n\r\n") and (data := connection.recv(1)):
        answer += data
    if not answer.startswith(b"HTTP/1.1 200"):
        connection.close()
        raise ConnectionRefusedError(answer.split(b" ")[1].decode())
    return connection


def inside(authority: str, text: str, name: str | None = None) -> str:
    """The answers to these bytes inside TLS to that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connected(authority) as raw, context.wrap_socket(raw, server_hostname=name) as tls:
        tls.sendall(text.encode("latin-1"))
        return answered(tls)


def get(target: str, host: str, *headers: str, method: str = "GET", body: str = "") -> str:
    """A request as text, the last of its connection."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", body]
    return "\r\n".join(lines)


def by_tunnel(host: str) -> str:
    """CONNECT to the host, and a request inside."""
    return inside(f"{host}:{PORT}", get("/", f"{host}:{PORT}"))


def by_proxy(host: str) -> str:
    """A whole http address."""
    return plainly(get(f"http://{host}:{PLAIN}/", f"{host}:{PLAIN}"))


def after_a_redirect(away: str) -> str:
    """Where a public server sends the client on to."""
    first = inside(f"{PUBLIC}:{PORT}", get("/redirect", f"{PUBLIC}:{PORT}"))
    return f"{first} {by_proxy(away)}"


def twice_in_one(framing: tuple[str, ...], body: str) -> str:
    """A request hidden in the body of another, framed so that two readers disagree."""
    host = f"{PUBLIC}:{PORT}"
    return inside(host, get("/", host, *framing, method="POST", body=body))


PUBLIC_HOST = f"{PUBLIC}:{PORT}"
HIDDEN = get("/hidden", f"inner.example.com:{PORT}")
INNER = f"inner.example.com:{PORT}"
FORMS = TOLD["names"] + TOLD["addresses"]
SMUGGLING = {
    "CL and TE": (("Content-Length: 4", "Transfer-Encoding: chunked"), "0\r\n\r\n" + HIDDEN),
    "TE and CL": (("Transfer-Encoding: chunked", "Content-Length: 4"), "0\r\n\r\n" + HIDDEN),
    "two lengths": (("Content-Length: 0", f"Content-Length: {len(HIDDEN)}"), HIDDEN),
    "an obscure TE": (("Transfer-Encoding: xchunked",), "0\r\n\r\n" + HIDDEN),
    "TE twice": (("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), "0\r\n\r\n" + HIDDEN),
    "TE with a tab": (("Transfer-Encoding:\tchunked", "Content-Length: 4"), "0\r\n\r\n" + HIDDEN),
    "a space before the colon": (("Content-Length : 4",), HIDDEN),
    "a folded header": (("X-A: b\r\n Content-Length: 4",), HIDDEN),
    "a signed length": ((f"Content-Length: +{len(HIDDEN)}",), HIDDEN),
    "a bare line feed": (("X-A: b\nTransfer-Encoding: chunked",), "0\r\n\r\n" + HIDDEN),
    "a chunk's length with a sign": (("Transfer-Encoding: chunked",), "-1\r\n\r\n" + HIDDEN),
    "a carriage return in a header": (("X-A: b\rHost: inner.example.com",), HIDDEN),
}
WAYS: dict[str, Callable[[], str]] = {
    **{f"smuggled by {how}": partial(twice_in_one, *each) for how, each in SMUGGLING.items()},
    **{f"tunnel to {form}": partial(by_tunnel, form) for form in FORMS},
    **{f"plainly to {form}": partial(by_proxy, form) for form in FORMS},
    **{f"redirected to {form}": partial(after_a_redirect, form) for form in TOLD["redirects"]},
    "another host inside": partial(inside, PUBLIC_HOST, get(f"https://{INNER}/", INNER)),
    "another host inside, its own Host": partial(inside, PUBLIC_HOST, get(f"https://{INNER}/", PUBLIC_HOST)),
    "another Host than the tunnel's": partial(inside, PUBLIC_HOST, get("/", INNER)),
    "two Hosts": partial(inside, PUBLIC_HOST, get("/", PUBLIC_HOST, f"Host: {INNER}")),
    "a forwarding header": partial(inside, PUBLIC_HOST, get("//inner.example.com/", PUBLIC_HOST)),
    "a tunnel in the tunnel": partial(inside, PUBLIC_HOST, get(INNER, INNER, method="CONNECT")),
    "a name in TLS": partial(inside, PUBLIC_HOST, get("/", PUBLIC_HOST), "inner.example.com"),
    "a whole address with another Host": lambda: plainly(
        get(f"http://{PUBLIC}:{PLAIN}/", f"inner.example.com:{PLAIN}")
    ),
    "a path alone": lambda: plainly(get("/", f"inner.example.com:{PLAIN}")),
    "a request behind another": partial(
        inside, PUBLIC_HOST, get("/", PUBLIC_HOST).replace("Connection: close\r\n", "") + HIDDEN
    ),
}

if __name__ == "__main__":
    outcomes = {}
    for way, tried in WAYS.items():
        try:
            outcomes[way] = tried()
        except OSError as error:
            outcomes[way] = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps(outcomes))
