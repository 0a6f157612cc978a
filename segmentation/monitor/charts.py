"""Charts: records → figures, as the plain JSON that Plotly's script draws.

A colour is written as `var(--name)`: the page puts in what its style says, in light, dark and print. `narrow` holds the
layout's differences in a narrow window.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from segmentation.monitor.read_models import Record, is_move
from segmentation.store.snapshots import LAPSED, NEW, NOISE
from segmentation.texts import Texts, whole
from segmentation.tracking.migrations import CAUSES

Figure = dict[str, Any]

LABEL_CHARACTERS = 12
LABEL_SHARE = 0.04  # a band thinner than this share of the population has no room for its label
FEW = 6  # users
DATES = {"type": "date", "tickformat": "%m-%d\n%Y", "hoverformat": "%Y-%m-%d", "nticks": 8}


def label(name: str) -> str:
    """A name short enough for a chart."""
    return name if len(name) <= LABEL_CHARACTERS else name[: LABEL_CHARACTERS - 1] + "…"


def _layout(**more: Any) -> dict[str, Any]:
    axis = {"gridcolor": "var(--grid)", "linecolor": "var(--line)", "zerolinecolor": "var(--line)", "fixedrange": True}
    layout: dict[str, Any] = {
        "autosize": True,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "var(--font)", "size": 12, "color": "var(--muted)"},
        "hoverlabel": {
            "bgcolor": "var(--surface)",
            "bordercolor": "var(--line)",
            "font": {"family": "var(--font)", "size": 12, "color": "var(--text)"},
        },
        "margin": {"l": 44, "r": 12, "t": 12, "b": 40},
        "xaxis": {**axis, "showgrid": False, "ticks": "outside", "tickcolor": "var(--line)"},
        "yaxis": {**axis, "automargin": True, "tickformat": ",d", "rangemode": "tozero", "nticks": 6},
        "showlegend": False,
    }
    for name, value in more.items():
        layout[name] = {**layout[name], **value} if isinstance(layout.get(name), dict) else value
    return layout


def sizes(records: Sequence[Record], colours: Mapping[str, str], texts: Texts) -> Figure:
    """Users by segment over time, stacked, the largest at the bottom; bars when there is only one day."""
    days = sorted({record["date"] for record in records})
    users: dict[str, dict[str, int]] = defaultdict(dict)
    for record in records:
        users[record["segment_id"]][record["date"]] = record["users"]
    last = {segment_id: by_day.get(days[-1], 0) for segment_id, by_day in users.items()}
    order = sorted(users, key=lambda segment_id: (-last[segment_id], segment_id))
    if len(days) == 1:
        return _sizes_of_one_day(order, last, colours, texts)
    total = sum(last.values())
    data: list[Record] = []
    labels: list[Record] = []
    below = 0
    for segment_id in order:
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": label(segment_id),
                "x": days,
                "y": [users[segment_id].get(day, 0) for day in days],
                "stackgroup": "users",
                "line": {"width": 1.2, "color": "var(--surface)", "shape": "linear"},
                "fillcolor": colours[segment_id],
                "hovertemplate": "%{y:,d}",
            }
        )
        if last[segment_id] >= LABEL_SHARE * total:
            labels.append(
                {
                    "x": 1,
                    "xref": "paper",
                    "xanchor": "left",
                    "xshift": 6,
                    "y": below + last[segment_id] / 2,
                    "yref": "y",
                    "text": label(segment_id),
                    "showarrow": False,
                    "font": {"size": 11.5, "color": "var(--text)"},
                }
            )
        below += last[segment_id]
    longest = max(len(label(segment_id)) for segment_id in order)
    layout = _layout(
        hovermode="x unified",
        annotations=labels,
        margin={"r": 20 + 7 * longest},
        xaxis={**DATES, "range": [days[0], days[-1]]},
    )
    return {"data": data, "layout": layout, "narrow": {"xaxis.nticks": 4}}


def _sizes_of_one_day(
    order: Sequence[str], users: Mapping[str, int], colours: Mapping[str, str], texts: Texts
) -> Figure:
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [label(segment_id) for segment_id in order],
        "x": [users[segment_id] for segment_id in order],
        "text": [whole(users[segment_id]) for segment_id in order],
        "textposition": "auto",
        "textfont": {"size": 12},
        "marker": {"color": [colours[segment_id] for segment_id in order]},
        "hovertemplate": "%{y}: %{x:,d} " + texts("sizes.users") + "<extra></extra>",
    }
    layout = _layout(
        xaxis={"showgrid": True, "tickformat": ",d", "nticks": 6},
        yaxis={"autorange": "reversed", "tickformat": "", "nticks": len(order), "type": "category"},
        bargap=0.35,
    )
    return {"data": [bars], "layout": layout, "narrow": {"xaxis.nticks": 4}}


def flows(cells: Sequence[Record], colours: Mapping[str, str], texts: Texts) -> Figure:
    """A Sankey diagram of the users who changed state: one ribbon per from, to and cause. Who stayed is not drawn."""
    changed = [cell for cell in cells if cell["from_segment_id"] != cell["to_segment_id"]]
    lefts = sorted({cell["from_segment_id"] for cell in changed}, key=lambda name: (name == NEW, name))
    rights = sorted({cell["to_segment_id"] for cell in changed}, key=lambda name: (name == LAPSED, name))
    ends = [*lefts, *rights]
    links: dict[str, list[Any]] = {"source": [], "target": [], "value": [], "color": [], "label": []}
    for cell in changed:
        for cause in CAUSES:
            if cell[cause]:
                links["source"].append(lefts.index(cell["from_segment_id"]))
                links["target"].append(len(lefts) + rights.index(cell["to_segment_id"]))
                links["value"].append(cell[cause])
                links["color"].append(f"var(--{cause}-ribbon)")
                links["label"].append(texts(f"causes.{cause}"))
    data = {
        "type": "sankey",
        "valueformat": ",d",
        "arrangement": "fixed",
        "node": {
            "label": [state(name, texts) for name in ends],
            "color": [colours.get(name, "var(--outside)") for name in ends],
            "line": {"width": 0},
            "pad": 14,
            "thickness": 14,
            "hovertemplate": "%{label}: %{value:,d}<extra></extra>",
        },
        "link": {
            **links,
            "hovertemplate": "%{source.label} → %{target.label}: %{value:,d}, %{label}<extra></extra>",
        },
        "textfont": {"family": "var(--font)", "size": 12, "color": "var(--text)"},
    }
    layout = _layout(margin={"l": 4, "r": 4, "t": 8, "b": 8})
    return {"data": [data], "layout": layout, "narrow": {}}


def flows_height(cells: Sequence[Record]) -> int:
    """Pixels that the Sankey diagram needs so that its labels have room."""
    changed = [cell for cell in cells if cell["from_segment_id"] != cell["to_segment_id"]]
    ends = max(len({cell[end] for cell in changed}) for end in ("from_segment_id", "to_segment_id"))
    return max(280, 40 * ends)


def state(name: str, texts: Texts) -> str:
    """A segment's short name, or the word for NEW or LAPSED."""
    return texts(f"states.{name}") if name in (NEW, LAPSED, NOISE) else label(name)


def moved(records: Sequence[Record], texts: Texts) -> Figure:
    """Moves between segments per day, stacked by cause."""
    return _counted(records, CAUSES, "causes", texts)


def rows(records: Sequence[Record], texts: Texts) -> Figure:
    """Rows accepted and quarantined per day."""
    return _counted(records, ("accepted", "quarantined"), "quality", texts)


def _counted(records: Sequence[Record], names: Sequence[str], section: str, texts: Texts) -> Figure:
    """Each day's counts of these names, stacked; the names' words are in that section of the texts."""
    data = [
        {
            "type": "bar",
            "name": texts(f"{section}.{name}"),
            "x": [record["date"] for record in records],
            "y": [record[name] for record in records],
            "marker": {"color": f"var(--{name})", **_hatched(name)},
            "hovertemplate": "%{y:,d}",
        }
        for name in names
    ]
    return _bars(data, records)


def came_and_left(records: Sequence[Record], texts: Texts) -> Figure:
    """Users who came above the line, users who left below it, per day."""
    data = [
        {
            "type": "bar",
            "name": texts(f"moves.{name}"),
            "x": [record["date"] for record in records],
            "y": [sign * record[key] for record in records],
            "customdata": [record[key] for record in records],
            "marker": {"color": colour, **_hatched(name)},
            "hovertemplate": "%{customdata:,d}",
        }
        for name, key, sign, colour in (("came", "new", 1, "var(--came)"), ("left", "lapsed", -1, "var(--left)"))
    ]
    return _bars(data, records)


def _bars(data: list[Record], records: Sequence[Record]) -> Figure:
    axis: Record = {**DATES, "nticks": 6}
    if len(records) == 1:  # else Plotly labels the hours around it
        axis = {"type": "category"}
    # By day: what stands above the line and what hangs below it.
    days = list(zip(*(trace["y"] for trace in data), strict=True))
    highest = max(sum(max(count, 0) for count in day) for day in days)
    lowest = min(sum(min(count, 0) for count in day) for day in days)
    few: Record = {}
    if highest - lowest < FEW:  # else Plotly would write fractions of users, and 1 twice
        few = {"dtick": 1, "range": [lowest, max(highest, lowest + FEW - 1)]}
    layout = _layout(barmode="relative", bargap=0.25, hovermode="x unified", xaxis=axis, yaxis=few)
    return {"data": data, "layout": layout, "narrow": {"xaxis.nticks": 4}}


def _hatched(name: str) -> Record:
    """A pattern beside the colour, for those who do not see the difference, and for print."""
    if name not in ("ageing", "quarantined", "left"):
        return {}
    return {"pattern": {"shape": "/", "size": 5, "solidity": 0.25, "fgcolor": "var(--surface)", "fillmode": "overlay"}}


def changed(cells: Sequence[Record]) -> bool:
    """Whether anyone moved, came or left."""
    return any(is_move(cell) or cell["from_segment_id"] == NEW or cell["to_segment_id"] == LAPSED for cell in cells)
