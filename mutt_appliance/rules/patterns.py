"""Messages folded into patterns: what varies becomes `#`, so that one kind of message is one counter."""

from __future__ import annotations

import re
from hashlib import blake2b

HASH_BYTES = 8
CACHE_ENTRIES = 50_000

# Tried from left to right at each place: addresses before the numbers that they are made of.
_VARIABLE = re.compile(
    r"0[xX][0-9a-fA-F]+"
    r"|\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"  # UUID
    r"|\b(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}\b"  # MAC, aa:bb:cc:dd:ee:ff
    r"|\b[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\b"  # MAC, aabb.ccdd.eeff
    r"|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){0,7}(?![\w:])"  # IPv6
    r"|(?<![\w:])[0-9a-fA-F]{1,4}::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?(?![\w:])"
    r"|\b(?=[a-fA-F]{0,39}\d)[0-9a-fA-F]{8,40}\b"  # hex words: hashes, engine ids
    r"|\d+(?:\.\d+)*"  # numbers, versions, IPv4
)
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")


def fold(message: str) -> str:
    """The pattern of a message: numbers, addresses and hexadecimal replaced by `#`."""
    return _VARIABLE.sub("#", message)


class PatternHasher:
    """Hashes of patterns. Messages that differ in digits only share one look at the regex."""

    def __init__(self) -> None:
        self._cache: dict[bytes, str] = {}

    def __call__(self, message: bytes) -> str:
        """Hash of the pattern of `message` (UTF-8), 16 hexadecimal digits."""
        alike = message.translate(_DIGITS_ALIKE)
        known = self._cache.get(alike)
        if known is None:
            if len(self._cache) >= CACHE_ENTRIES:
                self._cache.clear()
            pattern = fold(alike.decode("utf-8", "replace")).encode()
            known = blake2b(pattern, digest_size=HASH_BYTES).hexdigest()
            self._cache[alike] = known
        return known
