"""Fields of an event by which it can be followed."""

from typing import Final

TRACED_FIELD: Final = "mutt_trace"
"""An event with this field true: the forwarder notes the delivery of its alert (KeySpace.traced)."""

TRACEPARENT_FIELD: Final = "mutt_traceparent"
"""The span that an event, or an alert, continues; only in what is sampled. Set by MUTT alone: where there are
traces, the ingestor drops what a sender gives under this name."""
