"""What the log says: the state of the history as plain values, replayed record by record."""

from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

from segmentation.errors import StoreError
from segmentation.store.content import hash_json
from segmentation.tables import ACTIVITY, USERS


@dataclass(frozen=True)
class AcceptedTable:
    """One table's accepted rows of one day: the partition (a hash of its rows), its files and its counts."""

    partition: str
    users: str  # hash of the day's set of user ids; "" for a day without rows
    files: dict[str, int]  # key of the raw file index → its rows of this day
    rows: int
    accepted: str | None  # keys of the objects; None where there are no rows
    cells: str | None
    quarantine: str | None
    columns: list[str]  # canonical columns of the accepted rows
    quality: dict[str, Any]
    names: dict[str, str] = field(default_factory=dict)  # key of the raw file index → what the file was called
    elsewhere: dict[str, int] = field(default_factory=dict)  # … → its rows of other days that do not count


@dataclass(frozen=True)
class AcceptedDay:
    tables: dict[str, AcceptedTable]
    reading: str  # hash of what it was read and split by

    @cached_property  # asked for by every derivation whose window holds the day
    def content(self) -> str:
        """Hash of the day's partitions: what a derivation whose window holds the day depends on."""
        return hash_json({name: table.partition for name, table in self.activity.items()})

    @cached_property
    def activity(self) -> dict[str, AcceptedTable]:
        """The tables whose rows happened on the day: all but `users`."""
        return {name: table for name, table in sorted(self.tables.items()) if name in ACTIVITY}

    @cached_property
    def hash(self) -> str:
        """Hash of all that the log says about the day."""
        return hash_json(accept_document(self))

    @property
    def has_users(self) -> bool:
        return any(table.users for table in self.activity.values())

    @property
    def files(self) -> dict[str, dict[str, int]]:
        """Table → key of the raw file index → its rows of this day."""
        return {name: table.files for name, table in self.activity.items()}


@dataclass(frozen=True)
class Published:
    """The current snapshot of a day."""

    snapshot_id: str
    derivation: str
    parent: date | None
    parent_id: str | None
    folder: str
    files: dict[str, str]  # name → SHA-256 (128 bits) of its bytes
    summary: dict[str, Any]  # users, segments, decision, moved: what a list of days shows


@dataclass(frozen=True)
class RecipeFrom:
    hash: str
    from_date: date | None  # None: from the beginning


@dataclass(frozen=True)
class Alias:
    """A segment id that a re-founded history replaced: where most of its users are now."""

    old: str
    new: str
    overlap: float


@dataclass(frozen=True)
class Adoption:
    """A fit that a person has taken: it is in force from the first published day that is not before `from_date`."""

    fit: str
    from_date: date
    who: str


@dataclass
class State:
    """The history after record `number` of the log."""

    number: int = 0
    head: str = ""  # seal of the last record
    at: str | None = None  # when the last record was written
    accepted: dict[date, AcceptedDay] = field(default_factory=dict)
    published: dict[date, Published] = field(default_factory=dict)
    recipes: list[RecipeFrom] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    adoptions: list[Adoption] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # segment → what people call it

    def copy(self) -> "State":
        return replace(
            self,
            accepted=dict(self.accepted),
            published=dict(self.published),
            recipes=list(self.recipes),
            aliases=list(self.aliases),
            adoptions=list(self.adoptions),
            names=dict(self.names),
        )

    def apply(self, record: dict[str, Any], seal: str) -> None:
        """Replay the next record. Raises StoreError if it is not the next one or of an unknown kind."""
        if record["number"] != self.number + 1 or record["previous"] != self.head:
            raise StoreError(f"the log is broken: record {record['number']} does not follow record {self.number}")
        match record["kind"]:
            case "accept":
                self.accepted[date.fromisoformat(record["date"])] = _accepted(record["accepted"])
            case "publish":
                self.published[date.fromisoformat(record["date"])] = _published(record["published"])
            case "recipe":
                self.recipes.append(RecipeFrom(record["hash"], _day(record["from_date"])))
            case "alias":
                self.aliases.append(Alias(record["old"], record["new"], record["overlap"]))
            case "adopt":
                self.adoptions.append(Adoption(record["fit"], date.fromisoformat(record["from_date"]), record["who"]))
            case "name":
                if record["name"]:
                    self.names[record["segment_id"]] = record["name"]
                else:
                    self.names.pop(record["segment_id"], None)
            case kind:
                number = record["number"]
                raise StoreError(f"record {number} of the log is of kind {kind!r}: the store is of a newer version")
        self.number, self.head, self.at = record["number"], seal, record["at"]

    def recipe_on(self, day: date) -> str | None:
        """Hash of the recipe in force on a day: the last recorded one whose first day is not after it."""
        for recipe in reversed(self.recipes):
            if recipe.from_date is None or recipe.from_date <= day:
                return recipe.hash
        return None

    def recipes_in_force(self) -> list[str]:
        """Hashes of the recipes that are in force on some day, the latest first."""
        found: list[str] = []
        until = date.max
        for recipe in reversed(self.recipes):
            begins = recipe.from_date or date.min
            if begins < until:
                found.append(recipe.hash)
                until = begins
        return found

    def in_force_from(self, day: date | None) -> set[str]:
        """Hashes of the recipes that are in force on this day (None: the beginning) or on a later one."""
        found = set()
        for recipe in reversed(self.recipes):
            found.add(recipe.hash)
            if recipe.from_date is None or (day is not None and recipe.from_date <= day):
                break
        return found

    def begins(self, recipe: str) -> date | None:
        """From which day on a recipe was last recorded to be in force; None: from the beginning."""
        return next((known.from_date for known in reversed(self.recipes) if known.hash == recipe), None)

    def adopted(self, day: date, parent: date | None) -> str | None:
        """The fit that takes force on a day with this parent: of the last adoption between the two, the day included."""
        for adoption in reversed(self.adoptions):
            if adoption.from_date <= day and (parent is None or parent < adoption.from_date):
                return adoption.fit
        return None

    def name_of(self, segment_id: str) -> str | None:
        """What people call a segment, or one that became it when days were derived again; None if nothing.

        A name goes to one segment: the one that its segment became the last time; of several names for one, that of the segment
        most of whose users it has.
        """
        last = {alias.old: alias for alias in self.aliases}

        def called(one: str, seen: frozenset[str]) -> str | None:
            if one in self.names:
                return self.names[one]
            olds = (alias for alias in last.values() if alias.new == one and alias.old not in seen)
            found = (called(alias.old, seen | {one}) for alias in sorted(olds, key=lambda old: (-old.overlap, old.old)))
            return next((name for name in found if name), None)

        return called(segment_id, frozenset())

    def users_on(self, day: date) -> AcceptedTable | None:
        """The table of users in force on a day: that of the latest accepted day, not after it, that has one."""
        days = (other for other, accepted in self.accepted.items() if other <= day and USERS in accepted.tables)
        latest = max(days, default=None)
        return self.accepted[latest].tables[USERS] if latest else None

    def digest(self) -> str:
        """One hash for the whole history: the current snapshot ids in date order."""
        return hash_json([[day.isoformat(), self.published[day].snapshot_id] for day in sorted(self.published)])

    def document(self) -> dict[str, Any]:
        """The state as plain values, for a checkpoint."""
        return {
            "number": self.number,
            "head": self.head,
            "at": self.at,
            "accepted": {day.isoformat(): accept_document(value) for day, value in self.accepted.items()},
            "published": {day.isoformat(): publish_document(value) for day, value in self.published.items()},
            "recipes": [[recipe.hash, _text(recipe.from_date)] for recipe in self.recipes],
            "aliases": [[alias.old, alias.new, alias.overlap] for alias in self.aliases],
            "adoptions": [[adoption.fit, adoption.from_date.isoformat(), adoption.who] for adoption in self.adoptions],
            "names": self.names,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "State":
        return cls(
            document["number"],
            document["head"],
            document["at"],
            {date.fromisoformat(day): _accepted(value) for day, value in document["accepted"].items()},
            {date.fromisoformat(day): _published(value) for day, value in document["published"].items()},
            [RecipeFrom(name, _day(from_date)) for name, from_date in document["recipes"]],
            [Alias(*values) for values in document["aliases"]],
            [Adoption(fit, date.fromisoformat(day), who) for fit, day, who in document["adoptions"]],
            dict(document.get("names", {})),  # a checkpoint of an earlier version has none
        )


def accept_document(value: AcceptedDay) -> dict[str, Any]:
    # Not `asdict`: it copies every leaf, and a checkpoint holds thousands.
    return {"tables": {name: vars(table) for name, table in value.tables.items()}, "reading": value.reading}


def publish_document(value: Published) -> dict[str, Any]:
    return {**vars(value), "parent": _text(value.parent)}


def _accepted(document: dict[str, Any]) -> AcceptedDay:
    tables = {name: AcceptedTable(**table) for name, table in document["tables"].items()}
    return AcceptedDay(tables, document["reading"])


def _published(document: dict[str, Any]) -> Published:
    return Published(**{**document, "parent": _day(document["parent"])})


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None
