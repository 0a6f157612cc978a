"""Samples that lack a user or a time, and others that have it: joined by a key that both have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from segmentation.sources.files import identifier
from segmentation.sources.glimpse import Glimpse
from segmentation.sources.guessing import EXACT, Guess
from segmentation.sources.profiles import Column
from segmentation.sources.source_file import CSV
from segmentation.sources.spellings import NAMES, USER, plain
from segmentation.tables import EVENTS, ORDERS, TABLES, USERS
from segmentation.times import quoted

DEEPEST = 2  # samples on the way
UNIQUE = 0.99
KEY_ENDINGS = ("id", "no", "nr", "key", "number", "code", "编号", "号")


@dataclass(frozen=True)
class Link:
    """One more sample: joined where its `key` is that of the sample number `after` (0: the one that lacks something)."""

    glimpse: Glimpse
    key: str
    after: int


@dataclass(frozen=True)
class Join:
    """`columns`: canonical → (number of the sample, its column), all that the query gives; `time`: the column of the time
    and the sample that has it, if it is not of the first."""

    links: tuple[Link, ...]
    columns: Mapping[str, tuple[int, Column]]
    time: tuple[Column, Glimpse] | None = None

    @property
    def glimpses(self) -> list[Glimpse]:
        return [link.glimpse for link in self.links]

    @property
    def notes(self) -> list[str]:
        return [
            f"joined with {link.glimpse.paths[0].name} by {link.key}, which has a row of its own there for each {link.key}"
            for link in self.links
        ]

    def sql(self, guess: Guess, paths: Sequence[str]) -> str:
        """The query; paths: of the samples, from the first."""
        kinds = list(TABLES[guess.table].kinds())
        names = sorted(self.columns, key=lambda name: kinds.index(name) if name in kinds else len(kinds))
        picked = ",\n".join(
            f"    s{number}.{identifier(column.name)} AS {name}"
            for name in names
            for number, column in [self.columns[name]]
        )
        lines = [f"SELECT\n{picked}", f"FROM {_read(guess.glimpse, paths[0])} AS s0"]
        for number, link in enumerate(self.links, 1):
            key = identifier(link.key)
            read = _read(link.glimpse, paths[number])
            # One row for each key, always the same one: a key that is there twice must not double an order.
            once = f"(SELECT DISTINCT ON ({key}) * FROM {read} ORDER BY ALL)"
            lines.append(f"LEFT JOIN {once} AS s{number} ON s{number}.{key} = s{link.after}.{key}")
        return "\n".join(lines)


def _read(glimpse: Glimpse, path: str) -> str:
    if glimpse.kind != CSV:
        return quoted(path)
    return f"read_csv({quoted(path)}, all_varchar = true, delim = {quoted(glimpse.delimiter)})"


def joined(
    place: int,
    glimpses: Sequence[Glimpse],
    columns: Sequence[list[Column]],
    guesses: Sequence[Guess],
) -> tuple[Guess, Join | None] | None:
    """What the sample of this place is, with what it needs from the others; None if it is no table, even so.

    columns: of each sample; guesses: what this one could be.
    """
    found: list[tuple[float, Guess, Join | None]] = []
    for each in guesses:
        join = _join(each, place, glimpses, columns)
        if not each.lacking or (join and set(each.lacking) <= join.columns.keys()):
            if join:
                unsure = {name: why for name, why in each.unsure.items() if join.columns.get(name, (0,))[0] == 0}
                each = replace(each, unsure=unsure)
            found.append((each.score, each, join))
    if not found:
        return None
    _, best, join = max(found, key=lambda entry: entry[0])
    return best, join


def _join(guess: Guess, place: int, glimpses: Sequence[Glimpse], columns: Sequence[list[Column]]) -> Join | None:
    """What the other samples have that this one lacks, or has less well."""
    if guess.table == USERS or not _readable(guess.glimpse):
        return None
    ways = list(_ways(place, glimpses, columns))
    time = TABLES[guess.table].TIME or ""
    wanted: dict[str, tuple[tuple[Link, ...], Column]] = {}
    user = guess.columns.get("user_id")
    best = _user_rank(user) if user else 0.0
    for links, reached in ways:
        for column in reached:
            if column.is_id and _user_rank(column) > best:
                best = _user_rank(column)
                wanted["user_id"] = links, column
        if time in guess.lacking and time not in wanted and guess.table == ORDERS:
            times = [column for column in reached if column.is_time and plain(column.name) in NAMES[guess.table][time]]
            if times:
                ranks = NAMES[guess.table][time]
                wanted[time] = links, min(times, key=lambda column: ranks.index(plain(column.name)))
        if (
            guess.table in (ORDERS, EVENTS)
            and "item_id" in guess.columns
            and "category" not in {*guess.columns, *wanted}
        ):
            usual = NAMES[guess.table]["category"]
            named = [column for column in reached if plain(column.name) in usual and column.is_id]
            if named and links[-1].key == guess.columns["item_id"].name:
                wanted["category"] = links, min(named, key=lambda column: usual.index(plain(column.name)))
    if not wanted:
        return None
    steps: list[tuple[Glimpse, str]] = []
    taken: list[Link] = []
    picked: dict[str, tuple[int, Column]] = {name: (0, column) for name, column in guess.columns.items()}
    for name, (way, column) in wanted.items():
        after = 0
        for step in way:
            known = next(
                (n for n, (sample, key) in enumerate(steps, 1) if sample is step.glimpse and key == step.key), 0
            )
            if not known:
                steps.append((step.glimpse, step.key))
                taken.append(replace(step, after=after))
                known = len(steps)
            after = known
        picked[name] = (after, column)
    at = picked.get(time)
    return Join(tuple(taken), picked, (at[1], taken[at[0] - 1].glimpse) if at and at[0] else None)


def _user_rank(column: Column) -> float:
    name = plain(column.name)
    return EXACT - USER.index(name) if name in USER else 0.0


def _readable(glimpse: Glimpse) -> bool:
    """Whether a query reads it as we do."""
    return glimpse.header and glimpse.encoding == "utf-8"


def _ways(
    place: int, glimpses: Sequence[Glimpse], columns: Sequence[list[Column]]
) -> Iterator[tuple[tuple[Link, ...], list[Column]]]:
    """Each sample that can be reached by keys, the nearer ones first: the way, and its columns."""
    reached = {place}
    front: list[tuple[int, tuple[Link, ...]]] = [(place, ())]
    for _ in range(DEEPEST):
        ahead: list[tuple[int, tuple[Link, ...]]] = []
        for at, way in front:
            for number, other in enumerate(glimpses):
                if number in reached or not _readable(other):
                    continue
                key = _key(columns[at], columns[number])
                if key:
                    reached.add(number)
                    longer = (*way, Link(other, key, 0))
                    yield longer, columns[number]
                    ahead.append((number, longer))
        front = ahead


def _key(ones: Sequence[Column], others: Sequence[Column]) -> str | None:
    """A column of ids of both that tells the rows of the other apart."""
    names = {column.name for column in ones if column.is_id}
    for column in others:
        whole = column.filled == len(column.values) and column.distinct >= UNIQUE * column.filled
        if column.name in names and column.is_id and whole and _names_something(column.name):
            return column.name
    return None


def _names_something(name: str) -> bool:
    usual = {*USER, *NAMES[ORDERS]["order_id"], *NAMES[ORDERS]["item_id"]}
    return plain(name) in usual or plain(name).endswith(KEY_ENDINGS)
