"""The life of every segment: when it began and of whom, what happened to it, when and how it ended."""

from datetime import date

from segmentation.monitor.decisions import decision_of
from segmentation.monitor.read_models import Record, days_until, published_on, read_table
from segmentation.store.store import Store


def born(store: Store, until: date) -> dict[str, date]:
    """The birth date of every segment that the history has had up to a day."""
    found: dict[str, date] = {}
    for _, published in days_until(store.state(), until):
        for segment in store.json(f"{published.folder}/model.json")["segments"]:
            found.setdefault(segment["segment_id"], date.fromisoformat(segment["born"]))
    return found


def lives(store: Store, until: date) -> list[Record]:
    """The life of every segment that the history has had up to a day, in the order of their birth, the larger first.

    {segment_id, name, born, began (born, split, merged: how it came to be), parents, users_at_birth, last_day, users (on its
    last day), alive (on `until`), ended (the day on which it was no more), end (split, merged, absorbed, died), into: [ids],
    overlap: {id: share of its users who went there}, events: [{date, event, from, to, overlap, share_of_to}], all that name
    it}

    Of a segment that is alive `ended` and `end` are None; so they are of one that only days know which were published before
    the days behind them were derived again. Raises SegmentationError if the day is not published.
    """
    published_on(store.state(), until)
    found: dict[str, Record] = {}
    present: list[str] = []
    for day, published in days_until(store.state(), until):
        rows = read_table(store, published, "segments", ["segment_id", "event", "parents", "users"]).to_pylist()
        present = [row["segment_id"] for row in rows]
        for row in rows:
            life = found.setdefault(row["segment_id"], _birth(day, row))
            life.update(last_day=day.isoformat(), users=row["users"])
        if published.summary["decision"] == "hold":
            continue
        for event in decision_of(store, published).get("events", []):
            for segment_id in sorted({*event["from"], *event["to"]} & found.keys()):
                life = found[segment_id]
                life["events"].append({"date": day.isoformat(), **event})
                if segment_id not in present and life["end"] is None:
                    life.update(ended=day.isoformat(), end=event["event"], into=event["to"])
                    life["overlap"] = event["overlap"].get(segment_id, {})
    for life in found.values():
        life["alive"] = life["segment_id"] in present
    return sorted(found.values(), key=lambda life: (life["born"], -life["users_at_birth"], life["segment_id"]))


def _birth(day: date, row: Record) -> Record:
    return {
        "segment_id": row["segment_id"],
        "name": row["segment_id"],
        "born": day.isoformat(),
        "began": row["event"],
        "parents": row["parents"].split(",") if row["parents"] else [],
        "users_at_birth": row["users"],
        "last_day": day.isoformat(),
        "users": row["users"],
        "alive": True,
        "ended": None,
        "end": None,
        "into": [],
        "overlap": {},
        "events": [],
    }
