"""Whose word is taken for who a server is. Reading takes 30 ms in which nothing else runs: once is enough."""

from __future__ import annotations

import ssl
from functools import cache

import httpx
import httpx2


@cache
def bundled_authorities() -> ssl.SSLContext:
    """Those that come with httpx, or those of `SSL_CERT_FILE`. It is everybody's: nobody may change it."""
    return httpx.create_ssl_context()


@cache
def model_authorities() -> ssl.SSLContext:
    """Those of this machine, or of `SSL_CERT_FILE`. It is everybody's: nobody may change it."""
    return httpx2.create_ssl_context()


@cache
def system_authorities() -> ssl.SSLContext:
    """Those of this machine. It is everybody's: nobody may change it."""
    return ssl.create_default_context()
