"""What segments are called, in words, and the sentence that explains it: applied when they are read, outside the history."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from segmentation.features.catalogue import CATALOGUE
from segmentation.monitor import read_models
from segmentation.monitor.read_models import Record, read_table
from segmentation.services.names import FAMILY, Name, of_table
from segmentation.services.profiles import is_known
from segmentation.store.snapshots import Folder
from segmentation.store.state import Published
from segmentation.store.store import Store
from segmentation.texts import MINUS, Texts, compact, share, whole

MOST_CLAIMS = 3


@dataclass(frozen=True)
class Claim:
    """That of all segments this one has the place `place` (from 1, the highest mean first) of `segments` in a feature.

    `value`: its mean; `beside`: that of the segment at whose side it stands, the next lower one of the highest, the next higher
    one of the lowest. No other segment has the same mean, so the claim is true of this one alone.
    """

    feature: str
    place: int
    segments: int
    value: float
    beside: float


def claims(profiles: list[Record], segment_id: str, tags: tuple[str, ...], users: int) -> list[Claim]:
    """What can be said of a segment and of no other, about the features of its name first; those at an end before others.

    users: of the segment: what is known of fewer than half of them is not said; nor what is unknown in another segment, nor
    of a feature of the name a place on the other side than the name says.
    """
    everywhere = len({row["segment_id"] for row in profiles})
    means: dict[str, dict[str, float]] = defaultdict(dict)
    effects: dict[str, float] = {}
    for row in profiles:
        if not row["value"] and row["mean"] is not None:
            means[row["name"]][row["segment_id"]] = row["mean"]
            if row["segment_id"] == segment_id and is_known(row, users):
                effects[row["name"]] = abs(row["effect"] or 0.0)
    named = [tag[:-1] for tag in tags]
    high = {tag[:-1]: tag[-1] == "+" for tag in tags}
    found = []
    for feature, values in means.items():
        ordered = sorted(values.values(), reverse=True)
        if feature not in effects or len(values) < max(everywhere, 2) or ordered.count(values[segment_id]) > 1:
            continue
        place = ordered.index(values[segment_id])
        middle = (len(ordered) - 1) / 2
        if feature in high and (place > middle if high[feature] else place < middle):
            continue
        beside = ordered[place + 1] if place == 0 else ordered[place - 1]
        found.append(Claim(feature, place + 1, len(ordered), values[segment_id], beside))

    def order(claim: Claim) -> tuple[bool, bool, int, float]:
        inside = claim.feature not in named
        at_an_end = claim.place in (1, claim.segments)
        return inside, not at_an_end, named.index(claim.feature) if not inside else 0, -effects[claim.feature]

    told: dict[int, Claim] = {}
    for claim in sorted(found, key=order):  # of features that say nearly the same, one
        told.setdefault(FAMILY[claim.feature], claim)
    return list(told.values())[:MOST_CLAIMS]


def sentence(claims: list[Claim], texts: Texts) -> str:
    """The claims in words; "" if there is none."""
    return (
        texts("names.sentence", claims=texts("page.comma").join(_told(claim, texts) for claim in claims))
        if claims
        else ""
    )


def _told(claim: Claim, texts: Texts) -> str:
    unit = CATALOGUE[claim.feature].unit
    value, beside = _apart(claim.value, claim.beside, unit)
    figures = {
        "feature": texts.known("features", claim.feature),
        "value": value,
        "beside": beside,
        "place": whole(claim.place),
        "segments": whole(claim.segments),
    }
    if claim.place == 1:
        return texts("names.highest", **figures)
    return texts("names.lowest" if claim.place == claim.segments else "names.place", **figures)


def _apart(value: float, beside: float, unit: str) -> tuple[str, str]:
    """Two different numbers, with as many digits as tell them apart."""
    one, other = in_unit(value, unit), in_unit(beside, unit)
    for digits in range(2, 7):  # that many are kept
        if one != other:
            break
        form = f",.{digits}%" if unit.startswith("share") else f",.{digits}f"
        one, other = (format(number, form).replace("-", MINUS) for number in (value, beside))
    return one, other


def in_unit(value: float | None, unit: str) -> str:
    """A number as it is written in its unit."""
    return share(value) if unit.startswith("share") else compact(value)


def words(tags: tuple[str, ...], texts: Texts) -> str:
    """A name's tags in words."""
    ends = {"+": "high", "-": "low"}
    told = [texts(f"names.{tag[:-1]}_{ends[tag[-1]]}") for tag in tags if tag[0] != "#"]
    name = texts("names.comma").join(told) or texts("names.everyone")
    numbers = [tag[1:] for tag in tags if tag[0] == "#"]
    name = texts("names.numbered", name=name, number=numbers[0]) if numbers else name
    return name[:1].upper() + name[1:]


def segments(store: Store, day: date, lang: str = "en") -> list[Record]:
    """The day's segments as `read_models.segments` gives them, called by their names; with `explained`, a sentence.

    Raises SegmentationError, naming the nearest days, if the day is not published.
    """
    rows = read_models.segments(store, day)
    published = read_models.published_on(store.state(), day)
    if not read_models.is_served(store, published):
        state = store.state()
        return [{**row, "name": state.name_of(row["segment_id"]) or row["name"], "explained": ""} for row in rows]
    words = named(store, published, Texts(lang))
    return [{**row, **{key: words[row["segment_id"]][key] for key in ("name", "explained")}} for row in rows]


def named(store: Store, published: Published, texts: Texts) -> dict[str, Record]:
    """Of each segment of a published day: `name`, `explained` (a sentence), `tags`, `since` (from when on its profile is called
    so), `before` (what it was called the day before, if that no longer fits), `given`: whether people have named it."""
    state = store.state()
    before = _before(store, published)
    names = of_table(read_table(store, published, "names"))
    own = {segment_id: state.name_of(segment_id) for segment_id in names}
    taken = {called.casefold() for called in own.values() if called}
    sizes = {row["segment_id"]: row["users"] for row in read_table(store, published, "segments").to_pylist()}
    profiles = read_table(store, published, "profiles").to_pylist()
    found = {}
    for segment_id, name in names.items():
        given, called = own[segment_id], words(name.tags, texts)
        if called.casefold() in taken:  # people have given another segment this name
            called = f"{called} ({segment_id})"
        found[segment_id] = {
            "name": given or called,
            "explained": sentence(claims(profiles, segment_id, name.tags, sizes[segment_id]), texts),
            "tags": list(name.tags),
            "since": name.since.isoformat(),
            "before": words(before[segment_id].tags, texts) if _renamed(name, before.get(segment_id)) else None,
            "given": given is not None,
        }
    return found


def _before(store: Store, published: Published) -> dict[str, Name]:
    """The names of the day before."""
    path = store.json(f"{published.folder}/inputs.json")["parent_folder"]
    parent = Folder.at(store.objects, path) if path else None
    return of_table(parent.table("names")) if parent and parent.is_served else {}


def _renamed(name: Name, before: Name | None) -> bool:
    return before is not None and before.tags != name.tags
