"""How mobile users were between two days, as a record: ranks by revenue per user, probabilities, statistics, flows."""

from datetime import date
from decimal import Decimal

from segmentation.monitor.read_models import (
    Record,
    as_number,
    is_move,
    migrations,
    population,
    published_on,
    revenue_of,
    segments_of,
)
from segmentation.store.snapshots import LAPSED, NEW
from segmentation.store.store import Store
from segmentation.tracking.migrations import span
from segmentation.tracking.mobility import Mobility

FLOWS = ("stayed", "upgraded", "downgraded", "moved", "came", "lapsed")


def mobility(store: Store, first: date, last: date) -> Record:
    """How mobile users were between two days: {from, to, states, transitions, flows, …statistics}.

    states: {segment_id (or NOISE), rank (1: most revenue per user; None without amounts, and of NOISE), revenue_per_user,
    users (on `first`)}, by rank. Revenue per user is that of `first`, so that moves do not change the ranks by which they
    are judged; of a segment that was born since, that of `last`.
    transitions: {from_segment_id, to_segment_id, users, probability (of the users of from_segment_id), low, high}, with
    LAPSED as a target.
    Statistics, each {value, low, high}, None where undefined: stayer_ratio, prais, bartholomew, upgraded, downgraded, of the
    users who were there on both days (`tracking.mobility`); the bounds are of 95 %, from 1,000 resamples of the users.
    by_model: how many of those who changed their segment were only reassigned to another by a new model.
    flows: {flow, users, revenue_before, revenue_after} (net amounts in the windows of `first` and of `last`; None where
    features are not kept any more), everyone in one of FLOWS; `moved` are those between states without ranks.

    Raises ConfigError if `first` is not before `last`, SegmentationError if either is not published.
    """
    cells = migrations(store, first, last)["cells"]
    state = store.state()
    worth: dict[str, float] = {}
    for day in (last, first):
        for row in segments_of(store, published_on(state, day)):
            if row["users"] and row["revenue"] is not None:
                worth[row["segment_id"]] = round(row["revenue"] / row["users"], 4)
    found = Mobility.between(cells, worth)
    ranks = {name: found.ranked - position for position, name in enumerate(found.states[: found.ranked])}
    counts = {(cell["from_segment_id"], cell["to_segment_id"]): cell["users"] for cell in cells}
    before = _revenue_before(store, first, last)
    flows: dict[str, Record] = {}
    for cell in cells:
        start, end = cell["from_segment_id"], cell["to_segment_id"]
        kind = _flow(start, end, ranks)
        flow = flows.setdefault(kind, {"flow": kind, "users": 0, "revenue_before": Decimal(0), "revenue_after": 0.0})
        flow["users"] += cell["users"]
        for name, amount in (("revenue_before", before.get((start, end))), ("revenue_after", cell["revenue"])):
            flow[name] = None if amount is None or flow[name] is None else round(flow[name] + amount, 4)
    statistics = ("stayer_ratio", "prais", "bartholomew", "upgraded", "downgraded")
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "states": [
            {
                "segment_id": name,
                "rank": ranks.get(name),
                "revenue_per_user": worth.get(name),
                "users": sum(users for (start, _), users in counts.items() if start == name),
            }
            for name in sorted(found.states, key=lambda name: (ranks.get(name, len(counts)), name))
        ],
        "transitions": [
            {
                "from_segment_id": start,
                "to_segment_id": end,
                "users": counts[start, end],
                "probability": share.value,
                "low": share.low,
                "high": share.high,
            }
            for (start, end), share in sorted(found.transitions.items())
        ],
        **{name: vars(getattr(found, name)) for name in statistics},
        "by_model": sum(cell["model"] for cell in cells if is_move(cell)),
        "flows": [
            {**flows[kind], "revenue_before": as_number(flows[kind]["revenue_before"])}
            for kind in FLOWS
            if kind in flows
        ],
    }


def _flow(start: str, end: str, ranks: dict[str, int]) -> str:
    if NEW in (start, end):
        return "came"
    if LAPSED in (start, end):
        return "lapsed"
    if start == end:
        return "stayed"
    if start not in ranks or end not in ranks:
        return "moved"
    return "upgraded" if ranks[end] < ranks[start] else "downgraded"


def _revenue_before(store: Store, first: date, last: date) -> dict[tuple[str, str], Decimal | None]:
    """Of each cell between two days, its users' net amount in the window of the earlier one; 0 for those who came since.

    The span backwards: who came is, seen from behind, who lapsed.
    """
    before, after = (population(store, day) for day in (first, last))
    revenue = revenue_of(store, published_on(store.state(), first), before)
    swapped = {LAPSED: NEW, NEW: LAPSED}
    return {
        tuple(swapped.get(cell[end], cell[end]) for end in ("to_segment_id", "from_segment_id")): cell["revenue"]
        for cell in span(after, before, last, revenue).to_pylist()
    }
