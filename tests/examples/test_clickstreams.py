"""Taobao and Retailrocket: segments of events alone, checked against plain pandas."""

from datetime import date

import pandas as pd
from examples.conftest import Ran, RunExample, data

KINDS = {"view": "views", "cart": "carts", "purchase": "purchases"}


def check_events(ran: Ran, rows: pd.DataFrame) -> None:
    """rows: user, at (by the shop's clock), type: the accepted ones. Each user's events by type, and the last day's users."""
    rows = rows[ran.in_window(rows["at"])]
    counted = rows.groupby(["user", "type"]).size().unstack(fill_value=0)
    features = ran.features()
    assert list(features.index) == sorted(counted.index)
    for kind, feature in KINDS.items():
        assert features[feature].astype(int).to_dict() == counted.get(kind, counted["view"] * 0).to_dict()
    assert ran.store.state().published[ran.last].summary["users"] == len(counted)
    browsed = rows.groupby("user")["at"].max().dt.normalize()
    assert features.browse_recency.astype(int).to_dict() == (pd.Timestamp(ran.last) - browsed).dt.days.to_dict()


def test_taobao_has_shanghais_days_and_counts_what_it_does_not_use(run_example: RunExample) -> None:
    path = data("taobao/UserBehavior_head.csv")
    ran = run_example("taobao", {"data/UserBehavior.csv": path}, date(2017, 12, 1), date(2017, 12, 3), window=7)
    with path.open() as file:
        lines = [line.strip().split(",") for line in file]
    rows = pd.DataFrame(
        [line for line in lines if len(line) == 5], columns=["user", "item", "category", "type", "time"]
    )
    rows["at"] = pd.to_datetime(rows.time.astype("int64"), unit="s") + pd.Timedelta(hours=8)
    rows["type"] = rows.type.map({"pv": "view", "cart": "cart", "fav": "favourite", "buy": "purchase"})
    check_events(ran, rows)

    # Of all nine days nothing is left but the 35 events of other days, which wait, and the last line, which is cut off.
    (found,) = ran.files().values()
    outside = (rows["at"] < "2017-11-25") | (rows["at"] >= "2017-12-04")
    assert (found["rows"], found["of_accepted_days"], found["waiting"], found["undated"]) == (84_476, 84_440, 35, 1)
    assert (len(lines), int(outside.sum())) == (84_476, 35)
    assert found["undated_reasons"] == {"malformed line: too few columns": 1}
    types: dict[str, int] = {}
    for day in ran.store.state().accepted.values():
        quality = day.tables["events"].quality
        assert quality["unknown_event_type"] == 0
        for kind, count in quality["event_types"].items():
            types[kind] = types.get(kind, 0) + count
    assert types == rows[~outside].type.value_counts().to_dict()


def test_retailrocket_has_milliseconds_and_counts_an_event_once(run_example: RunExample) -> None:
    path = data("retailrocket/sample_events_5000visitors.csv")
    # On 2015-07-10 there is an event twice.
    ran = run_example("retailrocket", {"data/events.csv": path}, date(2015, 7, 11), date(2015, 7, 13), window=5)
    rows = pd.read_csv(path, dtype=str)
    rows["at"] = pd.to_datetime(rows.timestamp.astype("int64"), unit="ms")
    first = pd.Timestamp(min(ran.store.state().accepted))
    read = rows[(rows["at"] >= first) & (rows["at"] < pd.Timestamp(ran.last) + pd.Timedelta(days=1))]
    again = read.duplicated(["timestamp", "visitorid", "event", "itemid"])
    duplicate = "duplicate of an earlier row by user_id, event_at, event_type, item_id"
    assert int(again.sum()) == 1
    assert ran.counts("events") == {"rows": len(read), "accepted": len(read) - 1, duplicate: 1}
    (found,) = ran.files().values()
    assert (found["rows"], found["waiting"], found["undated"]) == (len(rows), len(rows) - len(read), 0)
    kinds = {"view": "view", "addtocart": "cart", "transaction": "purchase"}
    check_events(ran, read[~again].assign(user=read.visitorid, type=read.event.map(kinds)))
