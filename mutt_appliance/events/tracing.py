"""Events that their sender follows to the end."""

from typing import Final

TRACED_FIELD: Final = "mutt_trace"
"""An event with this field true: the forwarder notes the delivery of its alert (KeySpace.traced)."""
