"""Raw rows → accepted rows of a canonical table, and quarantined ones with their reason."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.config import Recipe
from segmentation.contracts import event_types
from segmentation.contracts.declarations import declaration
from segmentation.contracts.expectations import Rule, contract, require_columns, violates
from segmentation.errors import ConfigError
from segmentation.features.engine import connect
from segmentation.source_settings import THOUSANDS
from segmentation.tables import EVENTS, ORDERS, TABLES, USERS, Kind, kinds
from segmentation.times import Times, in_text, placed

if TYPE_CHECKING:
    from segmentation.contracts.gate import Verdict

NO_NUMBER = "{} is not a number below 10,000,000,000"
NO_FLAG = "{} is not a flag (true, false, yes, no, 1, 0)"
NO_TIME = "{} is not a time"
DUPLICATE = "duplicate of an earlier row by {}"
YES, NO = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")
# 10 digits before the point and 8 after: a product of two such numbers is exact in 38 digits (DuckDB needs to be told).
NUMBER = "DECIMAL(18, 8)"
PRODUCT = "n_quantity::DECIMAL(19, 8) * n_unit_price"
# To 1/10,000 or ms, halves away from zero; null beyond the 10 digits that a number may have.
UNITS = "(TRY_CAST({} AS DECIMAL(14, 4)) * 10000)::BIGINT"
MILLISECONDS = "(TRY_CAST({} AS DECIMAL(13, 3)) * 1000)::BIGINT"
# What exports write for a missing value. (As an id it would be one user with everybody's orders.)
NO_ID = ("\\N", "NULL", "null", "None", "nan", "NaN", "<NA>")
ONE_ROW_EACH = {USERS: ("user_id",)}  # tables that are unique by themselves

Columns = dict[str, pa.ChunkedArray]


@dataclass(frozen=True)
class Split:
    """The rows of one table and day. accepted + quarantined = the raw rows; `reasons` counts the quarantined ones.

    accepted: user_id, the table's time timestamp[us, UTC], then those of the other columns that the source has, in their
        canonical order: texts, numbers as int64 in 1/10,000, durations as int64 in ms, flags as booleans, other times as
        timestamp[us, UTC]. quarantined: the raw columns as text, with `file`, `row` and `reason`. Both in the order of the
        raw rows.
    facts: what is worth knowing of the accepted rows: `currencies` (names, of orders that have them), `event_types` (known
        type → events) and `unknown_event_type` (events), `excluded` (users).
    """

    accepted: pa.Table
    quarantined: pa.Table
    reasons: dict[str, int]
    table: str = ORDERS
    facts: dict[str, Any] = field(default_factory=dict)


def split(raw: pa.Table, recipe: Recipe, table: str = ORDERS) -> Split:
    """Cast the raw rows of a day, and part those that keep the contract from those that do not.

    raw: `row`, `at` (timestamp[us, UTC]), `file`, and the canonical columns that the source has, as text. Text is trimmed
    and nothing when it is empty; numbers are read as decimals, to 1/10,000. `amount` is the source's, else quantity ×
    unit_price (exact, rounded half away from zero). A discount is what was taken off, whatever its sign; none is 0.
    Currencies are in capitals; types of event are called as the option event_types says.
    The reason of a quarantined row is the first value that cannot be read, else the first violated rule (the declared, then
    the recipe's own); else that an earlier row, by file name and then row, which is accepted, has the same values in the
    columns of the option `unique` (a row that lacks one of them is like no other). Users are unique by user_id.

    Raises ConfigError when one of the recipe's own expectations is wrong, or about a column that the rows have not.
    """
    options = recipe.options.get(table, {})
    reader = _Reader(raw, options, recipe.timezone)
    cast = reader.cast(TABLES[table].TIME, kinds(table, recipe.columns.get(table, ())))
    rules = contract(declaration(table).rows, recipe, table)
    if raw.num_rows:
        require_columns(rules, recipe, table, cast.column_names)
    codes, reasons = _reasons(cast, reader.unreadable, rules)
    keys = tuple(options.get("unique", ())) or ONE_ROW_EACH.get(table, ())
    if keys:
        later = _duplicates(raw, reader.named(keys, cast, table), codes == 0)
        reasons.append(DUPLICATE.format(", ".join(keys)))
        codes[later] = len(reasons)
    bad = pa.array(codes > 0)
    why = pa.array(reasons, pa.string()).take(pa.array(codes[codes > 0] - 1))
    as_it_came = (
        "at" if TABLES[table].TIME in raw.column_names else None
    )  # the text says the time, in the source's own words
    names = [name for name in raw.column_names if name not in ("file", "row", as_it_came)]
    texts = {name: raw[name].filter(bad).cast(pa.string()) for name in ("file", *names)}
    told = {"file": texts.pop("file"), "row": raw["row"].filter(bad), "reason": why}
    counted: dict[str, int] = {}
    for reason, count in zip(reasons, np.bincount(codes, minlength=len(reasons) + 1)[1:], strict=True):
        if count:
            counted[reason] = counted.get(reason, 0) + int(count)
    accepted = cast.filter(pc.invert(bad))
    return Split(
        accepted, pa.table(told | texts), dict(sorted(counted.items())), table, _facts(accepted, options, table)
    )


def counts(parts: Split, verdict: "Verdict") -> dict[str, Any]:
    """What the day's quality report says about the table: numbers, and the currency."""
    return {
        "rows": parts.accepted.num_rows + parts.quarantined.num_rows,
        "accepted": parts.accepted.num_rows,
        "quarantined": parts.quarantined.num_rows,
        "reasons": parts.reasons,
        **_counts_of_orders(parts),
        **{name: fact for name, fact in parts.facts.items() if name != "currencies"},
        "warnings": [
            {"expectation": finding.expectation, "reason": finding.reason, "observed": finding.observed}
            for finding in verdict.warnings
        ],
    }


def _counts_of_orders(parts: Split) -> dict[str, Any]:
    if parts.table != ORDERS:
        return {}
    accepted = parts.accepted
    names = accepted.column_names
    negative = [pc.less(accepted[name], 0) for name in ("quantity", "amount") if name in names]
    currencies = parts.facts.get("currencies", [])
    return {
        "zero_quantity": _count(pc.equal(accepted["quantity"], 0)) if "quantity" in names else 0,
        "zero_amount": _count(pc.equal(accepted["amount"], 0)) if "amount" in names else 0,
        "returns": _count(reduce(pc.or_, negative)) if negative else 0,
        **({"currency": currencies[0]} if len(currencies) == 1 else {}),
    }


def _facts(accepted: pa.Table, options: Mapping[str, Any], table: str) -> dict[str, Any]:
    names = accepted.column_names
    if table == ORDERS and "currency" in names:
        return {"currencies": sorted(pc.unique(accepted["currency"].drop_null()).to_pylist())}
    if table == EVENTS and "event_type" in names:
        found = {pair["values"]: pair["counts"] for pair in pc.value_counts(accepted["event_type"]).to_pylist()}
        known = {name: found[name] for name in event_types.known(options["event_types"]) if name in found}
        return {"event_types": known, "unknown_event_type": accepted.num_rows - sum(known.values())}
    if table == USERS and "excluded" in names:
        return {"excluded": _count(accepted["excluded"])}
    return {}


def _count(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags).as_py() or 0)


def _reasons(cast: pa.Table, unreadable: Mapping[str, Any], rules: Sequence[Rule]) -> tuple[np.ndarray, list[str]]:
    """For each row the number of its reason, 0: none; and the reasons, from 1."""
    codes = np.zeros(cast.num_rows, dtype=np.int32)
    reasons: list[str] = []

    def mark(flags: Any, reason: str) -> None:
        reasons.append(reason)
        found = np.asarray(pc.fill_null(flags, False).to_numpy(zero_copy_only=False)) if len(flags) else codes > 0
        codes[found & (codes == 0)] = len(reasons)

    for reason, flags in unreadable.items():
        mark(flags, reason)
    for rule in rules:
        if rule.splits and rule.kwargs["column"] in cast.column_names:  # the others are for the gate alone
            mark(violates(rule, cast), rule.reason)
    return codes, reasons


def _duplicates(raw: pa.Table, keys: Columns, fine: np.ndarray) -> np.ndarray:
    """Positions of the rows, of those that are fine, that have the keys of an earlier one, by file name and row."""
    whole = reduce(pc.and_, [pc.is_valid(column) for column in keys.values()])
    position = np.flatnonzero(fine & np.asarray(whole.to_numpy(zero_copy_only=False))) if raw.num_rows else np.arange(0)
    place = pa.table({"file": raw["file"], "row": raw["row"]})
    rank = np.empty(raw.num_rows, dtype=np.int64)
    if len(pc.unique(raw["file"])) > 1:
        rank[pc.sort_indices(place, [("file", "ascending"), ("row", "ascending")]).to_numpy()] = np.arange(raw.num_rows)
    else:
        rank[:] = raw["row"].to_numpy()
    chosen = pa.table({**keys, "rank": rank}).take(pa.array(position))
    first = chosen.group_by(list(keys)).aggregate([("rank", "min")])["rank_min"].to_numpy()
    return position[~np.isin(rank[position], first)]


class _Reader:
    """Casts raw columns of text. `unreadable`: reason → where a value is there and cannot be read."""

    def __init__(self, raw: pa.Table, options: Mapping[str, Any], zone: str) -> None:
        self._raw = raw
        self._options = options
        self._zone = zone
        self.unreadable: dict[str, pa.ChunkedArray] = {}

    def cast(self, time: str | None, known: Mapping[str, Kind]) -> pa.Table:
        """Those of the columns that the rows have, typed (null: missing or unreadable). time: the one that `at` holds."""
        there = {name: kind for name, kind in known.items() if name in self._raw.column_names and name != time}
        texts = {name: self._trimmed(name) for name in there}
        if "user_id" in texts:
            nobody = pc.is_in(texts["user_id"], value_set=pa.array(NO_ID))
            texts["user_id"] = pc.if_else(nobody, None, texts["user_id"])
        columns: Columns = {"user_id": texts.get("user_id", pa.nulls(self._raw.num_rows, pa.string()))}
        if time:
            columns[time] = self._raw["at"]
        units = self._units({name: texts[name] for name, kind in there.items() if kind in (Kind.NUMBER, Kind.SECONDS)})
        for name, kind in known.items():
            if name in units:
                columns[name] = units[name]
            elif name not in there or kind in (Kind.NUMBER, Kind.SECONDS):
                continue
            elif kind == Kind.FLAG:
                columns[name] = self._flag(name, texts[name])
            elif kind == Kind.TIME:
                columns[name] = self._time(name, texts[name])
            else:
                columns[name] = texts[name]
        if "event_type" in there:
            columns["event_type"] = event_types.renamed(columns["event_type"], self._options.get("event_types", {}))
        if "currency" in there:
            columns["currency"] = pc.utf8_upper(columns["currency"])
        return pa.table(columns)

    def named(self, keys: Sequence[str], cast: pa.Table, table: str) -> Columns:
        """The columns that rows are unique by.

        Raises ConfigError when the rows have not one of them.
        """
        found: Columns = {}
        for name in keys:
            if name in cast.column_names:
                found[name] = cast[name]
            elif name in self._raw.column_names:
                found[name] = self._trimmed(name)
            elif self._raw.num_rows:
                raise ConfigError(
                    f"[sources.{table}.options] unique: the rows have no column {name!r}; they have "
                    f"{', '.join(sorted(cast.column_names))}"
                )
            else:
                found[name] = pa.chunked_array([pa.nulls(0, pa.string())])
        return found

    def _trimmed(self, name: str) -> pa.ChunkedArray:
        text = pc.utf8_trim_whitespace(self._raw[name].cast(pa.string()))
        return pc.if_else(pc.equal(text, ""), None, text)

    def _units(self, numbers: Columns) -> Columns:
        """Numbers in 1/10,000, durations in ms."""
        decimal, between = self._options.get("decimal", "."), THOUSANDS[self._options.get("thousands", "")]
        if between:  # only where each three digits follow one: else 1.5 would be 15
            grouped = rf"^[-+]?[0-9]{{1,3}}({between}[0-9]{{3}})+({re.escape(decimal)}[0-9]*)?$"
            numbers = {
                name: pc.if_else(
                    pc.match_substring_regex(text, grouped), pc.replace_substring_regex(text, between, ""), text
                )
                for name, text in numbers.items()
            }
        if decimal == ",":
            # A point makes a text that is no number, as a comma does elsewhere.
            pointless = {name: pc.replace_substring(text, ".", "?") for name, text in numbers.items()}
            numbers = {name: pc.replace_substring(text, ",", ".") for name, text in pointless.items()}
        values = {name: f"n_{name}" for name in numbers if name != "unit_price"}
        inputs = {name: [name] for name in values}
        if "amount" not in numbers and {"quantity", "unit_price"} <= numbers.keys():
            values["amount"], inputs["amount"] = PRODUCT, ["quantity", "unit_price"]
        if "discount" in values:
            values["discount"] = "abs(n_discount)"
            numbers = numbers | {"discount": pc.fill_null(numbers["discount"], "0")}
        if not values:
            return {}
        names = [name for name in ("quantity", "amount", "discount", "duration_s", "rating") if name in values]
        # DuckDB takes a point after an exponent (1e2.) for nothing; nobody else reads such a number.
        odd = "ends_with({0}, '.') AND contains(lower({0}), 'e')"
        readings = ", ".join(
            f"CASE WHEN {odd.format(name)} THEN NULL ELSE TRY_CAST({name} AS {NUMBER}) END AS n_{name}"
            for name in numbers
        )
        forms = {name: MILLISECONDS if name == "duration_s" else UNITS for name in names}
        units = ", ".join(f"{forms[name].format(values[name])} AS {name}" for name in names)
        with connect(threads=1) as session:  # one thread: rows come back in their order
            session.register("numbers", pa.table(numbers))
            found = session.sql(f"SELECT {units} FROM (SELECT {readings} FROM numbers)").to_arrow_table()
        for name in names:
            given = reduce(pc.and_, [pc.is_valid(numbers[part]) for part in inputs[name]])
            self.unreadable[NO_NUMBER.format(name)] = pc.and_(given, pc.is_null(found[name]))
        return {name: found[name] for name in names}

    def _flag(self, name: str, text: pa.ChunkedArray) -> pa.ChunkedArray:
        lower = pc.utf8_lower(text)
        yes, no = (pc.is_in(lower, value_set=pa.array(words, pa.string())) for words in (YES, NO))
        known = pc.or_(yes, no)
        self.unreadable[NO_FLAG.format(name)] = pc.and_(pc.is_valid(text), pc.invert(known))
        return pc.if_else(known, yes, None)

    def _time(self, name: str, text: pa.ChunkedArray) -> pa.ChunkedArray:
        times = Times(name, self._options.get("time_unit"), self._options.get("time_format"))
        with connect(threads=1) as session:  # one thread: rows come back in their order
            session.execute("SET TimeZone = 'UTC'")
            session.register("texts", pa.table({name: text}))
            query = placed(f"({in_text('texts', times)})", self._zone)
            found = session.sql(f'SELECT "at" FROM ({query})').to_arrow_table()["at"]
        self.unreadable[NO_TIME.format(name)] = pc.and_(pc.is_valid(text), pc.is_null(found))
        return found
