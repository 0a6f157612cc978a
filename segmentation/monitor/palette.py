"""Colours that people with any kind of colour vision can tell apart, and that a segment keeps for life."""

from collections.abc import Mapping
from datetime import date

# Chosen by greedy search for the largest smallest OKLab distance between any two, under normal vision and under full
# protanopia, deuteranopia and tritanopia (Machado, Oliveira, Fernandes 2009); contrast to the background at least 2.4 (light)
# and 3.2 (dark). The two rows share their hues. Their order: the first n are the best n.
LIGHT = (
    *("#1b64b4", "#b4aa33", "#84201c", "#45b3d1", "#b14a63", "#e08697"),
    *("#b97535", "#6c88ee", "#673662", "#9676a3", "#8a5402", "#38389a"),
)
DARK = (
    *("#5b98e9", "#ceba4e", "#a75457", "#4cd9e2", "#df7891", "#f9a1b6"),
    *("#ac8128", "#3473b8", "#7d628b", "#a680c0", "#c99c64", "#81b6f9"),
)


def colours(born: Mapping[str, date]) -> dict[str, str]:
    """Segment id → CSS colour, by the order of birth: a new segment takes none that an older one has, up to twelve.

    So a segment has the same colour in the report of every day, and in every window and theme.
    """
    order = sorted(born, key=lambda segment_id: (born[segment_id], segment_id))
    return {segment_id: f"var(--segment-{position % len(LIGHT)})" for position, segment_id in enumerate(order)}


def style(row: tuple[str, ...]) -> str:
    """The colours as CSS custom properties."""
    return " ".join(f"--segment-{position}: {colour};" for position, colour in enumerate(row))
