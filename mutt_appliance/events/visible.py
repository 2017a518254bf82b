"""Text of devices as people may see it, on a page or a terminal: nothing in it hides or steers."""

from __future__ import annotations

import re

_CONTROL_PICTURES = 0x2400
# C0 but tab and line feed; DEL and C1; zero-width and bidirectional controls; line separators; tags.
_HOSTILE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def visible(value: object) -> str:
    """Text in which nothing hides: control characters as their pictures, others by their number."""
    return _HOSTILE.sub(_picture, str(value))


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    return "\u2421" if code == 0x7F else f"\u27e6U+{code:04X}\u27e7"
