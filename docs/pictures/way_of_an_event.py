"""Draws way-of-an-event.svg: `python docs/pictures/way_of_an_event.py`.

The picture is data: boxes by place and size, arrows between points. tests/test_documents.py checks that
the file is what this script draws.
"""

from __future__ import annotations

from pathlib import Path

from drawing import DEAD, FRAME, OUTSIDE, PROCESS, QUEUE, STORE, Arrow, Box, Picture, Words

TARGET = Path(__file__).with_name("way-of-an-event.svg")
BOXES = (
    Box(15, 90, 115, 60, OUTSIDE, "rsyslog", ("syslog, UDP/TCP",)),
    Box(15, 180, 115, 60, OUTSIDE, "snmptrapd", ("traps, as lines",)),
    Box(150, 30, 690, 400, FRAME, ""),
    Box(170, 95, 125, 90, PROCESS, "ingestor:N", ("checks, completes", "2xx when Redis", "has it")),
    Box(345, 105, 120, 70, QUEUE, "ingest queue", ("a list in Redis",)),
    Box(515, 95, 125, 90, PROCESS, "alerter:N", ("rules, one pass", "audit, then settle")),
    Box(515, 250, 125, 60, STORE, "PostgreSQL", ("rules, audit log",)),
    Box(340, 250, 130, 60, STORE, "counters", ("by host and pattern",)),
    Box(690, 105, 120, 70, QUEUE, "alert queue", ("a list in Redis",)),
    Box(690, 250, 120, 60, PROCESS, "forwarder:N", ("shared rate limit",)),
    Box(690, 350, 120, 55, QUEUE, "retry set", ("by time due",)),
    Box(170, 350, 125, 55, DEAD, "dlq:ingest", ("refused events",)),
    Box(345, 350, 120, 55, DEAD, "dlq:alerter", ("poison, shed",)),
    Box(515, 350, 125, 55, DEAD, "dlq:moog", ("alerts given up",)),
    Box(870, 250, 115, 60, OUTSIDE, "Moogsoft", ("webhook",)),
)
ARROWS = (
    Arrow(((130, 120), (170, 130))),
    Arrow(((72, 180), (72, 150))),
    Arrow(((295, 140), (345, 140))),
    Arrow(((465, 140), (515, 140)), "claim", (488, 132)),
    Arrow(((640, 140), (690, 140)), "match", (663, 132)),
    Arrow(((577, 185), (577, 250)), "one row each", (583, 222), anchor="start"),
    Arrow(((540, 185), (430, 250)), "no match", (397, 205), anchor="start"),
    Arrow(((390, 250), (390, 175)), "at the threshold", (384, 232), anchor="end", dashed=True),
    Arrow(((750, 175), (750, 250)), "claim", (756, 217), anchor="start"),
    Arrow(((810, 280), (870, 280)), "POST", (853, 272)),
    Arrow(((770, 310), (770, 350)), "503 …", (776, 334), anchor="start", dashed=True),
    Arrow(((720, 350), (720, 310)), "due", (714, 340), anchor="end", dashed=True),
    Arrow(((690, 300), (625, 350)), "404 …", (640, 326), anchor="end", dashed=True),
    Arrow(((232, 185), (232, 350)), "bad", (226, 270), anchor="end", dashed=True),
    Arrow(((515, 178), (490, 192), (490, 330), (445, 350)), dashed=True),
)
WORDS = (
    Words(165, 52, "mutt run: the supervisor starts, watches and restarts everything in this frame"),
    Words(
        15, 455, "Blue: processes. Yellow: queues. Red: dead letters, each with reason, time and attempts."
    ),
)


def draw() -> str:
    """The picture as SVG."""
    return Picture("The way of an event through MUTT", 1000, 470, BOXES, ARROWS, WORDS).svg()


if __name__ == "__main__":
    TARGET.write_text(draw(), encoding="utf-8")
