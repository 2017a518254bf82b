"""Which of two keys is sent first (pure)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mutt_appliance.telemetry.secret_use import Which


@dataclass(frozen=True)
class KeyChoice:
    """MOOG_API_KEY and MOOG_API_KEY_NEXT (empty when there is none), and the one that is sent first."""

    current: str
    next: str
    preferred: Which = "current"

    def __repr__(self) -> str:
        return f"<KeyChoice {self.preferred}>"

    def other(self, which: Which) -> Which | None:
        """The one to try when `which` was refused, None without a second key."""
        if not self.next or self.next == self.current:
            return None
        return "current" if which == "next" else "next"

    def preferring(self, which: Which) -> KeyChoice:
        """The same keys, that one first."""
        return replace(self, preferred=which)

    def renewed(self, current: str, following: str) -> KeyChoice:
        """Other keys. What worked so far goes on being sent, under whatever name it has now."""
        works = self.next if self.preferred == "next" else self.current
        return KeyChoice(current, following, "next" if following and works == following else "current")
