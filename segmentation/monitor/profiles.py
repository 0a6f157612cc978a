"""What each segment is: its name, a true sentence, and how it differs from all others."""

from datetime import date

from segmentation.errors import SegmentationError, nearest
from segmentation.features.catalogue import CATALOGUE
from segmentation.monitor.names import named
from segmentation.monitor.read_models import Record, read_table, segments_of, served_on
from segmentation.services.names import FAMILY
from segmentation.services.profiles import is_known
from segmentation.store.store import Store
from segmentation.texts import Texts

TELLING = 5  # things that set a segment apart, for people


def profiles(store: Store, day: date, lang: str = "en", segment: str | None = None) -> list[Record]:
    """The day's segments, the largest first: {segment_id, name, explained, since, given, tags, users, share, revenue,
    revenue_share, differs, profile}.

    profile: every feature and value of an attribute: {name, value, unit, made_of, users, mean, median, others, effect} (see
    docs/tables.md); differs: the TELLING of them with the largest effect. segment: this one alone.

    Raises SegmentationError, naming the nearest, if the day is not published or has no such segment.
    """
    published = served_on(store, day)
    rows = segments_of(store, published)
    words = named(store, published, Texts(lang))
    earned = sum(row["revenue"] or 0.0 for row in rows)
    by_segment: dict[str, list[Record]] = {}
    for row in read_table(store, published, "profiles").to_pylist():
        unit = CATALOGUE[row["name"]].unit if row["name"] in CATALOGUE else "share 0..1"
        record = {"name": row["name"], "value": row["value"], "unit": unit, **row}
        del record["segment_id"]
        by_segment.setdefault(row["segment_id"], []).append(record)
    check_segment(segment, [row["segment_id"] for row in rows], day)
    return [
        {
            "segment_id": row["segment_id"],
            **words[row["segment_id"]],
            **{key: row[key] for key in ("users", "share", "revenue")},
            "revenue_share": None if row["revenue"] is None or earned <= 0 else round(row["revenue"] / earned, 6),
            "differs": telling(by_segment.get(row["segment_id"], []), row["users"]),
            "profile": by_segment.get(row["segment_id"], []),
        }
        for row in rows
        if segment in (None, row["segment_id"])
    ]


def check_segment(segment: str | None, known: list[str], day: date) -> None:
    """Raise SegmentationError, naming the nearest, for a segment that the day has not."""
    if segment is not None and segment not in known:
        raise SegmentationError(f"{day} has no segment {segment!r}; {nearest(segment, known)}")


def telling(profile: list[Record], users: int) -> list[Record]:
    """The rows of the largest effect, of what is known of half of the segment's users; of features that say nearly the same,
    and of each attribute, one."""
    found: dict[int | str, Record] = {}
    for row in sorted(profile, key=lambda row: -abs(row["effect"] or 0.0)):
        if row["effect"] and is_known(row, users):
            found.setdefault(row["name"] if row["value"] else FAMILY[row["name"]], row)
    return list(found.values())[:TELLING]


def typical(row: Record) -> tuple[float | None, float | None]:
    """What a user of the segment and one of all others is like: the medians, of shares the means."""
    if row["unit"].startswith("share"):
        return row["mean"], row["others"]
    return row["median"], row["others_median"]
