"""Which canonical table a sample is, and which of its columns is which: by their names, and by their values."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from segmentation.errors import DataContractError
from segmentation.sources.glimpse import Glimpse
from segmentation.sources.profiles import Column, Form, determines, known_share
from segmentation.sources.spellings import (
    EVENT_TYPES,
    FILES,
    NAMES,
    NUMBERED_NAMES,
    NUMBERED_TYPES,
    OTHER_TIMES,
    PERSONAL,
    USER,
    plain,
    words,
)
from segmentation.tables import EVENTS, ORDERS, OURS, REVIEWS, TABLES, USERS, Kind

EXACT, PARTLY = 100.0, 40.0
CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?")
MOSTLY = 0.9  # of the values
CLOSE = 1.0  # scores of two tables
RANK = 0.5  # what each place further down in the list of usual names costs
ENDING = 3  # letters of a usual name that a longer name must end with
FLAGS = {*("true", "false", "t", "f", "yes", "no", "y", "n", "1", "0", "1.0", "0.0")}
FULLER = 0.05  # of the rows: a column that has a value in so many more is taken
MANY = 200  # rows, to tell whether users come back
MOST_TYPES = 60  # different types of event
MOST_ATTRIBUTES, MOST_CATEGORIES = 12, 50
SCALES = ((1, 5), (0, 5), (1, 10), (0, 10), (1, 100), (0, 100))
# Whose ids are not the users'.
OTHERS = {
    *(
        "seller",
        "vendor",
        "merchant",
        "store",
        "shop",
        "brand",
        "manufacturer",
        "supplier",
        "campaign",
        "coupon",
        "product",
    ),
    *(
        "item",
        "category",
        "week",
        "month",
        "year",
        "session",
        "order",
        "invoice",
        "basket",
        "review",
        "transaction",
        "zip",
    ),
    *("country", "city", "region", "state", "row", "index", "line", "price", "quantity", "status"),
}


@dataclass(frozen=True)
class Guess:
    """What a sample is. `columns`: canonical → the sample's; `others`: canonical → columns that could be it as well;
    `unsure`: canonical (or "table") → why it may be wrong. score: how much speaks for the table."""

    table: str
    glimpse: Glimpse
    columns: dict[str, Column]
    others: dict[str, list[Column]]
    unsure: dict[str, str]
    score: float
    unused: list[Column] = field(default_factory=list)

    @property
    def time(self) -> Column | None:
        return self.columns.get(TABLES[self.table].TIME or "signed_up_at")

    @property
    def form(self) -> Form | None:
        return self.time.forms[0] if self.time and self.time.forms else None

    @property
    def lacking(self) -> list[str]:
        return [name for name in TABLES[self.table].REQUIRED if name not in self.columns]

    @cached_property
    def event_types(self) -> dict[str, str | None]:
        """The sample's types of event, the most frequent first → ours; None: not known."""
        column = self.columns.get("event_type")
        if self.table != EVENTS or column is None:
            return {}
        if _is_numbered(column):
            return {value: NUMBERED_TYPES[value] for value, _ in column.counts.most_common()}
        return {value: EVENT_TYPES.get(plain(value)) for value, _ in column.counts.most_common(MOST_TYPES)}

    @property
    def scale(self) -> tuple[float, float] | None:
        """The scale of the ratings: the smallest usual one that holds them."""
        if "rating" not in self.columns:
            return None
        low, high = self.columns["rating"].range
        return next((scale for scale in SCALES if scale[0] <= low and high <= scale[1]), (low, high))

    @property
    def marks(self) -> tuple[str, str]:
        """The decimal mark of its numbers, and what is between thousands ("": nothing)."""
        kinds = TABLES[self.table].kinds()
        marks = {
            column.marks
            for name, column in self.columns.items()
            if kinds.get(name) in (Kind.NUMBER, Kind.SECONDS) and not (column.is_whole and column.decimal == ".")
        }
        given = [found for found in marks if found]
        decimal = "," if any(mark == "," for mark, _ in given) else "."
        return decimal, next((between for mark, between in sorted(given) if between and mark == decimal), "")


def guess(glimpse: Glimpse, columns: Sequence[Column]) -> list[Guess]:
    """The tables that the sample could be, the likeliest first; those that lack a column that they need come last.

    columns: its `profiles`.
    """
    hints = _hinted(glimpse.paths[0])
    found = [_as(table, columns, glimpse, hints) for table in TABLES]
    likely = sorted((each for each in found if each.score > 0), key=lambda each: (bool(each.lacking), -each.score))
    whole = [each for each in likely if not each.lacking]
    if len(whole) > 1 and whole[0].score - whole[1].score < CLOSE:
        whole[0].unsure["table"] = f"it could be {whole[1].table} as well"
    return likely


def needed(guesses: Iterable[Guess], glimpse: Glimpse, columns: Iterable[Column]) -> DataContractError:
    """The error for a sample that is no table: what is lacking, and what there is; no values, they may be personal."""
    listed = "".join(f"\n  {column.name}: {column.kind}" for column in columns)
    lacking = sorted({name for each in guesses for name in each.lacking if each.table != USERS})
    what = (
        f"no column for {', '.join(lacking)}" if lacking else "none of the columns of orders, events, reviews or users"
    )
    return DataContractError(
        f"{glimpse.paths[0]}: {what} was found. Its columns are:{listed}\nIf one of them is meant, name it in a configuration "
        'by hand ([sources.orders.columns] user_id = "…"); if the file is to be joined with another one, give both, or '
        "write the query as [sources.orders] sql"
    )


def _hinted(path: Path) -> set[str]:
    found = set(words(path.name)) | {plain(word) for word in words(path.parent.name)}
    return {table for table, names in FILES.items() if any(name in found for name in names)}


# One table ----------------------------------------------------------------------------------------------------------


def _as(table: str, columns: Sequence[Column], glimpse: Glimpse, hints: set[str]) -> Guess:
    """The sample read as this table, with what speaks for it (0: it cannot be one)."""
    chosen, others = _by_name(table, columns)
    unsure: dict[str, str] = {}
    score = 1.5 if table in hints else 0.0
    exact = {name for name, column in chosen.items() if plain(column.name) in NAMES[table][name]}
    _by_value(table, columns, chosen, others, unsure, glimpse.header, hints)
    time = TABLES[table].TIME
    if table == ORDERS:
        score += 0.5 + 2 * bool(exact & {"order_id", "quantity", "unit_price", "amount"})
        _one_price(columns, chosen, exact, unsure)
    elif table == EVENTS and "event_type" in chosen:
        if _is_numbered(chosen["event_type"]):
            unsure["event_type"] = "numbers, taken as in Tianchi's data: 1 view, 2 favourite, 3 cart, 4 purchase"
        score += 1 * ("event_type" in exact) + 3 * (known_share(chosen["event_type"], EVENT_TYPES) >= 0.5)
    elif table == REVIEWS and "rating" in chosen:
        score += 3 * ("rating" in exact) + 1 * ("text" in exact) + 0.5 * (table in hints)
    elif table == USERS:
        score = _of_users(columns, chosen, others, score)
    else:
        score = 0.0
    user = chosen.get("user_id")
    if table != USERS and user and user.filled >= MANY and user.distinct >= 0.99 * user.filled:
        unsure["user_id"] = "each row has a value of its own: users come back, so is it an order's or a visit's number?"
    if time and time in chosen:
        _about_time(time, chosen[time], others, unsure)
        _time_apart(time, chosen[time], columns, unsure)
    used = {column.place for column in chosen.values()}
    unused = [column for column in columns if column.place not in used]
    return Guess(table, glimpse, chosen, others, unsure, score, unused)


def _is_numbered(column: Column) -> bool:
    return plain(column.name) in NUMBERED_NAMES and column.counts.keys() <= NUMBERED_TYPES.keys()


def _by_name(table: str, columns: Sequence[Column]) -> tuple[dict[str, Column], dict[str, list[Column]]]:
    """The best column for each canonical one by name, each used once; and the others whose names and values would do."""
    kinds = TABLES[table].kinds()
    scored = sorted(
        (
            (-score, place, canonical, column)
            for place, (canonical, usual) in enumerate(NAMES[table].items())
            for column in columns
            if _can_be(canonical, kinds[canonical], column) and (score := _named(column, usual, kinds[canonical])) > 0
        ),
        key=lambda entry: (entry[0], entry[1], entry[3].place),
    )
    chosen: dict[str, Column] = {}
    others: dict[str, list[Column]] = {}
    used: set[int] = set()
    for _, _, canonical, column in scored:
        if canonical not in chosen and column.place not in used:
            chosen[canonical] = column
            used.add(column.place)
    for _, _, canonical, column in scored:
        if column.place not in used and canonical in chosen:
            others.setdefault(canonical, []).append(column)
    return chosen, others


def _named(column: Column, usual: Sequence[str], kind: Kind) -> float:
    name = plain(column.name)
    score = 0.0
    if name in usual:
        score = EXACT - RANK * usual.index(name)
    else:
        # A longer name that ends with the usual one: order_customer_id.
        endings = [
            place
            for place, ending in enumerate(usual)
            if name.endswith(ending) and (len(ending) >= ENDING or ending > "z")
        ]
        score = PARTLY - RANK * endings[0] * 0.5 if endings else 0.0
    if kind == Kind.TIME and set(OTHER_TIMES) & set(words(column.name)):
        score -= EXACT / 2 + 30
    if column.empty_share > 0.5:
        score *= 0.8
    return score


def _can_be(canonical: str, kind: Kind, column: Column) -> bool:
    """Whether the values would do."""
    if not column.filled:
        return False
    if kind == Kind.TIME:
        return bool(column.forms)
    if kind in (Kind.NUMBER, Kind.SECONDS):
        return column.is_number
    if kind == Kind.FLAG:
        return {value.lower() for value in column.counts} <= FLAGS
    if canonical == "event_type":
        return column.distinct <= MOST_TYPES and not column.is_time
    if canonical == "currency":
        return all(len(value) == 3 and value.isalpha() for value in column.counts)
    if canonical == "text":
        return not column.is_number and not column.is_time
    return column.is_id or (canonical == "user_id" and plain(column.name) in USER and not column.is_time)


def _by_value(
    table: str,
    columns: Sequence[Column],
    chosen: dict[str, Column],
    others: dict[str, list[Column]],
    unsure: dict[str, str],
    header: bool,
    hints: set[str],
) -> None:
    """Find what names did not tell: in a file without a header everything, else what the table needs."""

    def free() -> list[Column]:
        used = {column.place for column in chosen.values()}
        return [column for column in columns if column.place not in used and column.filled]

    time = TABLES[table].TIME
    if time and time not in chosen:
        times = [column for column in free() if column.forms and not set(OTHER_TIMES) & set(words(column.name))]
        times.sort(key=lambda column: (not column.is_time, column.empty_share, column.place))
        if times and (times[0].is_time or not header or len(times) == 1):
            chosen[time], others[time] = times[0], times[1:]
            unsure[time] = "by its values"
    if table == EVENTS and "event_type" not in chosen:
        typed = [
            column for column in free() if column.distinct <= MOST_TYPES and known_share(column, EVENT_TYPES) >= 0.5
        ]
        if typed:
            chosen["event_type"] = typed[0]
            unsure["event_type"] = "by its values"
    if table == REVIEWS and "rating" not in chosen and REVIEWS in hints:
        rated = [column for column in free() if column.is_whole and column.range[0] >= 0 and column.range[1] <= 10]
        if rated:
            chosen["rating"] = rated[0]
            unsure["rating"] = "by its values"
    if "user_id" not in chosen or not header:
        _ids(table, free, chosen, others, unsure, header, chosen.get(time or ""))
    if table == ORDERS and not chosen.keys() & {"amount", "unit_price", "quantity"}:
        fractions = [column for column in free() if column.is_number and not column.forms and not column.is_whole]
        if fractions and (not header or len(fractions) == 1):
            chosen["amount"], others["amount"] = fractions[0], fractions[1:]
            unsure["amount"] = "by its values: numbers with decimals"


def _ids(
    table: str,
    free: object,
    chosen: dict[str, Column],
    others: dict[str, list[Column]],
    unsure: dict[str, str],
    header: bool,
    time: Column | None,
) -> None:
    """Users, items, categories and orders by how they go together: an item has one category, an order one time."""
    assert callable(free)
    few = 2 if not header else 10
    ids = [
        column
        for column in free()
        if column.is_id
        and column.distinct >= few
        and not (column.forms and not header)
        and not OTHERS & set(words(column.name))
        and not (header and set(PERSONAL) & set(words(column.name)))
    ]
    if not header:
        if table == ORDERS and time:
            of_order = [column for column in ids if column.distinct > few and determines(column, time)]
            if len(ids) > 1 and of_order:
                chosen["order_id"] = of_order[0]
                unsure["order_id"] = "by its values: each has one time"
                ids.remove(of_order[0])
        for item in ids[1:]:
            for category in ids[1:]:
                if (
                    "item_id" not in chosen
                    and table != USERS
                    and item.distinct > 1.5 * category.distinct
                    and determines(item, category)
                ):
                    chosen["item_id"], chosen["category"] = item, category
                    unsure["item_id"] = unsure["category"] = "by their values: each item has one category"
        ids = [column for column in ids if column not in chosen.values()]
    # Users come back: a column in which every row has a value of its own tells rows apart.
    returning = [column for column in ids if column.filled >= 1.2 * column.distinct or table == USERS]
    if "user_id" not in chosen and returning:
        chosen["user_id"], others["user_id"] = returning[0], returning[1:]
        unsure["user_id"] = "by its values: ids that come back"
    if not header and "item_id" not in chosen and "user_id" in chosen and table != USERS:
        left = [column for column in ids if column.place != chosen["user_id"].place]
        if left:
            chosen["item_id"] = left[0]
            unsure["item_id"] = "by its values"


def _one_price(columns: Sequence[Column], chosen: dict[str, Column], exact: set[str], unsure: dict[str, str]) -> None:
    """An amount says all; a price without a quantity is one."""
    if "unit_price" in exact and "amount" not in exact:  # what is less surely an amount is that of something else
        chosen.pop("amount", None)
    by_line = [chosen[name].empty_share for name in ("quantity", "unit_price") if name in chosen]
    if "amount" in chosen and len(by_line) == 2 and chosen["amount"].empty_share > max(by_line) + FULLER:
        chosen.pop("amount")  # an order's total, which stands in one of its lines
    if "amount" in chosen:
        chosen.pop("unit_price", None)
    elif "unit_price" in chosen and "quantity" not in chosen:
        chosen["amount"] = chosen.pop("unit_price")
        unsure["amount"] = "a price, and there is no quantity: taken as the amount of the line"
    signed = [
        column.name for column in columns if column.has_currency and plain(column.name) in NAMES[ORDERS]["amount"]
    ]
    if signed and "amount" not in chosen:
        unsure["amount"] = (
            f"{signed[0]} has a currency's sign, and cannot be read: write a query (sql) that takes it off"
        )


def _of_users(
    columns: Sequence[Column], chosen: dict[str, Column], others: Mapping[str, list[Column]], score: float
) -> float:
    """A table of users has one row per user, and no time but that of signing up; the other columns are attributes."""
    user = chosen.get("user_id")
    if user is None or user.distinct < 0.99 * user.filled or user.filled < len(user.values):
        return 0.0
    signed_up = chosen.get("signed_up_at")
    times = [column for column in columns if column.is_time and column is not signed_up]
    if any(not {*OTHER_TIMES, *PERSONAL} & set(words(column.name)) for column in times):
        return 0.0
    used = {column.place for column in chosen.values()}
    for column in columns:
        name = "_".join(words(column.name))
        fits = column.place not in used and 1 < column.distinct <= MOST_CATEGORIES and not column.is_time
        plain_name = name.isascii() and name[:1].isalpha() and name not in OURS and name not in TABLES[USERS].kinds()
        few = column.distinct <= max(2, 0.5 * column.filled)
        if (
            fits
            and few
            and plain_name
            and not set(PERSONAL) & set(words(column.name))
            and len(chosen) < MOST_ATTRIBUTES
        ):
            chosen[name] = column
    return score + 1


def _time_apart(time: str, column: Column, columns: Sequence[Column], unsure: dict[str, str]) -> None:
    """Say so where the times are dates and another column has the time of day."""
    if not any(":" in value for value in column.counts):
        clocks = [other for other in columns if other is not column and other.share(CLOCK) >= MOSTLY]
        if clocks:
            unsure[time] = (
                f"only the date: the time of day is in {clocks[0].name}; to have both, read the file by a query, as in sql = "
                f"\"SELECT *, concat({column.name}, ' ', {clocks[0].name}) AS {time} FROM read_csv(…, all_varchar = true)\""
            )


def _about_time(time: str, column: Column, others: Mapping[str, list[Column]], unsure: dict[str, str]) -> None:
    forms = column.forms
    different = [form for form in forms[1:] if form.days != forms[0].days]
    if different:
        alternatives = ", ".join(form.words for form in different)
        unsure[time] = f"the sample's times can be read as {forms[0].words} and as {alternatives}"
