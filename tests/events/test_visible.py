"""Text in which nothing hides."""

from __future__ import annotations

import pytest

from mutt_appliance.events.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("line protocol down\n\tnext", "line protocol down\n\tnext"),
        ("\x1b[31mred\x07", "␛[31mred␇"),
        ("a\x00b\x7f", "a␀b␡"),
        ("cat\u202egnp.exe", "cat⟦U+202E⟧gnp.exe"),
        ("\u2066x\u2069", "⟦U+2066⟧x⟦U+2069⟧"),
        ("zero\u200bwidth\ufeff", "zero⟦U+200B⟧width⟦U+FEFF⟧"),
        ("\x9b31m", "⟦U+009B⟧31m"),
        ("שלום Grüße 日本", "שלום Grüße 日本"),
    ],
)
def test_nothing_hides_in_text(text: str, shown: str) -> None:
    assert visible(text) == shown
