"""Lists of host:port in settings (pure)."""

from __future__ import annotations

from typing import NamedTuple


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, default_port: int) -> Address:
    """`host`, `host:port`, `[address]:port`; a bare IPv6 address is a host. Raises ValueError."""
    text = text.strip()
    host, colon, port = text, "", ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not [address]:port")
        colon, port = rest[:1], rest[1:]
    elif text.count(":") == 1:
        host, colon, port = text.partition(":")
    if not host or any(letter.isspace() or letter in "/@," for letter in host):
        raise ValueError(f"{text!r} is not host:port")
    if not colon:
        return Address(host, default_port)
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r} has no port from 1 to 65535")
    return Address(host, int(port))
