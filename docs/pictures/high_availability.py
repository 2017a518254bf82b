"""Draws high-availability.svg: `python docs/pictures/high_availability.py`."""

from __future__ import annotations

from pathlib import Path

from drawing import FRAME, OUTSIDE, PROCESS, QUEUE, STORE, Arrow, Box, Picture, Words

TARGET = Path(__file__).with_name("high-availability.svg")
BOXES = (
    Box(15, 70, 120, 70, OUTSIDE, "rsyslog", ("queue on disk,", "two targets")),
    Box(15, 230, 120, 70, OUTSIDE, "rsyslog", ("of another site",)),
    Box(185, 40, 230, 130, FRAME, ""),
    Box(185, 200, 230, 130, FRAME, ""),
    Box(205, 75, 190, 80, PROCESS, "appliance A", ("ingestor, alerter,", "forwarder, web UI")),
    Box(205, 235, 190, 80, PROCESS, "appliance B", ("the same work,", "the same stores")),
    Box(480, 30, 300, 165, FRAME, ""),
    Box(500, 70, 120, 50, QUEUE, "Redis", ("master",)),
    Box(650, 55, 110, 40, QUEUE, "replica"),
    Box(650, 105, 110, 40, QUEUE, "replica"),
    Box(500, 150, 260, 32, OUTSIDE, "Sentinel × 3"),
    Box(480, 215, 300, 115, FRAME, ""),
    Box(500, 255, 120, 55, STORE, "PostgreSQL", ("primary",)),
    Box(650, 255, 110, 55, STORE, "standby", ("synchronous",)),
    Box(205, 365, 190, 50, OUTSIDE, "Vault", ("one login an appliance",)),
    Box(840, 110, 115, 60, OUTSIDE, "Moogsoft", ("one rate limit",)),
)
ARROWS = (
    Arrow(((135, 105), (205, 110)), "POST", (166, 98)),
    Arrow(((135, 118), (205, 255)), dashed=True),
    Arrow(((135, 265), (205, 275)), "POST", (166, 262)),
    Arrow(((395, 105), (500, 95)), "events", (445, 88)),
    Arrow(((395, 255), (500, 110))),
    Arrow(((395, 135), (500, 270))),
    Arrow(((395, 285), (500, 285)), "audit", (450, 279)),
    Arrow(((620, 88), (650, 78))),
    Arrow(((620, 102), (650, 120))),
    Arrow(((620, 282), (650, 282))),
    Arrow(((560, 150), (560, 120)), "watch", (566, 139), anchor="start", dashed=True),
    Arrow(((300, 365), (300, 315)), "secrets", (306, 346), anchor="start", dashed=True),
    Arrow(
        ((395, 80), (440, 16), (897, 16), (897, 110)), "alerts, within the limit that both share", (668, 12)
    ),
    Arrow(((395, 305), (440, 352), (897, 352), (897, 170))),
)
WORDS = (
    Words(195, 60, "host 1"),
    Words(195, 220, "host 2"),
    Words(490, 48, "Redis: three hosts (or a Cluster, see below)"),
    Words(490, 235, "PostgreSQL: two or more hosts"),
    Words(
        15,
        445,
        "Every line but the dashed ones carries events or alerts; each of them can be TLS with verified names.",
    ),
)


def draw() -> str:
    """The picture as SVG."""
    return Picture("MUTT with stores that fail over", 970, 455, BOXES, ARROWS, WORDS).svg()


if __name__ == "__main__":
    TARGET.write_text(draw(), encoding="utf-8")
