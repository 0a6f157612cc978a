"""Raw rows → accepted rows of the canonical `orders` table, and quarantined ones with their reason."""

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.config import Recipe
from segmentation.contracts.declarations import Declaration, declaration
from segmentation.features.engine import connect

if TYPE_CHECKING:
    from segmentation.contracts.gate import Verdict

TEXTS = ("user_id", "order_id", "item_id", "category")
NUMBERS = ("quantity", "unit_price", "amount", "discount")
UNREADABLE = "unreadable "
NO_NUMBER = "{} is not a number below 10,000,000,000"
# 10 digits before the point and 8 after: a product of two such numbers is exact in 38 digits (DuckDB needs to be told).
NUMBER = "DECIMAL(18, 8)"
PRODUCT = "n_quantity::DECIMAL(19, 8) * n_unit_price"
# To 1/10,000, halves away from zero; null beyond the 10 digits that a number may have.
UNITS = "(TRY_CAST({} AS DECIMAL(14, 4)) * 10000)::BIGINT"


@dataclass(frozen=True)
class Split:
    """The rows of one table and day. accepted + quarantined = the raw rows; `reasons` counts the quarantined ones.

    accepted: user_id, ordered_at timestamp[us, UTC], then those of order_id, item_id, category (text) and quantity,
        amount, discount (int64, 1/10,000) that the source has. quarantined: the raw columns as text, with `file`, `row`
        and `reason`. Both in the order of the raw rows.
    """

    accepted: pa.Table
    quarantined: pa.Table
    reasons: dict[str, int]


def split(raw: pa.Table, recipe: Recipe, table: str = "orders") -> Split:
    """Cast the raw rows of a day, and part those that keep the contract from those that do not.

    raw: `row`, `at` (timestamp[us, UTC]), `file`, and the canonical columns that the source has, as text. Text is trimmed
    and nothing when it is empty; numbers are read as decimals, to 1/10,000. `amount` is the source's, else quantity ×
    unit_price (exact, rounded half away from zero). A discount is what was taken off, whatever its sign; none is 0.
    The reason of a quarantined row is the first number that cannot be read, else the first violated rule.
    """
    cast, unreadable = _cast(raw)
    reasons = _reasons(cast, unreadable, declaration(table))
    bad = pc.is_valid(reasons)
    names = [name for name in raw.column_names if name not in ("file", "row")]
    texts = {name: raw[name].filter(bad).cast(pa.string()) for name in ("file", *names)}
    told = {"file": texts.pop("file"), "row": raw["row"].filter(bad), "reason": reasons.filter(bad)}
    counted = Counter(told["reason"].to_pylist())
    return Split(cast.filter(pc.invert(bad)), pa.table(told | texts), dict(sorted(counted.items())))


def _reasons(cast: pa.Table, unreadable: dict[str, pa.ChunkedArray], rules: Declaration) -> pa.ChunkedArray:
    """Why each row is quarantined; null where it is not."""
    flags = {f"{UNREADABLE}{name}": flag for name, flag in unreadable.items()}
    columns = {name: cast[name] for name in cast.column_names} | flags
    reason: Any = nw.lit(None, dtype=nw.String)
    for rule in reversed(rules.rows_about(cast.column_names)):
        if rule["type"] in VIOLATED:  # the others are for the gate alone
            violated = VIOLATED[rule["type"]](**rule["kwargs"])
            reason = nw.when(violated).then(nw.lit(rule["meta"]["reason"])).otherwise(reason)
    for name in reversed(unreadable):
        reason = nw.when(nw.col(f"{UNREADABLE}{name}")).then(nw.lit(NO_NUMBER.format(name))).otherwise(reason)
    frame = nw.from_native(pa.table(columns), eager_only=True)
    return frame.select(reason=reason)["reason"].to_native().cast(pa.string())


def counts(parts: Split, verdict: "Verdict") -> dict[str, Any]:
    """What the day's quality report says about the table: numbers only."""
    accepted = parts.accepted
    names = accepted.column_names
    negative = [pc.less(accepted[name], 0) for name in ("quantity", "amount") if name in names]

    def count(flags: pa.ChunkedArray) -> int:
        return int(pc.sum(flags).as_py() or 0)

    def zeros(name: str) -> int:
        return count(pc.equal(accepted[name], 0)) if name in names else 0

    return {
        "rows": accepted.num_rows + parts.quarantined.num_rows,
        "accepted": accepted.num_rows,
        "quarantined": parts.quarantined.num_rows,
        "reasons": parts.reasons,
        "zero_quantity": zeros("quantity"),
        "zero_amount": zeros("amount"),
        "returns": count(negative[0] if len(negative) == 1 else pc.or_(*negative)) if negative else 0,
        "warnings": [
            {"expectation": finding.expectation, "reason": finding.reason, "observed": finding.observed}
            for finding in verdict.warnings
        ],
    }


def _is_null(column: str) -> nw.Expr:
    return nw.col(column).is_null()


# Type of expectation → the expression that is true of the rows that violate it.
VIOLATED = {"expect_column_values_to_not_be_null": _is_null}


def _cast(raw: pa.Table) -> tuple[pa.Table, dict[str, pa.ChunkedArray]]:
    """The canonical columns, typed (null: missing or unreadable), and where a number is there and unreadable."""
    texts = {name: _trimmed(raw[name]) for name in TEXTS if name in raw.column_names}
    user_id = texts.pop("user_id", pa.nulls(raw.num_rows, pa.string()))
    columns = {"user_id": user_id, "ordered_at": raw["at"], **texts}
    numbers = {name: _trimmed(raw[name]) for name in NUMBERS if name in raw.column_names}
    values: dict[str, str] = {name: f"n_{name}" for name in ("quantity", "amount", "discount") if name in numbers}
    inputs: dict[str, list[str]] = {name: [name] for name in values}
    if "amount" not in numbers and {"quantity", "unit_price"} <= numbers.keys():
        values["amount"], inputs["amount"] = PRODUCT, ["quantity", "unit_price"]
    if "discount" in values:
        values["discount"] = "abs(n_discount)"
        numbers["discount"] = pc.fill_null(numbers["discount"], "0")
    if not values:
        return pa.table(columns), {}
    readings = ", ".join(f"TRY_CAST({name} AS {NUMBER}) AS n_{name}" for name in numbers)
    units = ", ".join(f"{UNITS.format(value)} AS {name}" for name, value in values.items())
    with connect(threads=1) as session:  # one thread: rows come back in their order
        session.register("numbers", pa.table(numbers))
        found = session.sql(f"SELECT {units} FROM (SELECT {readings} FROM numbers)").to_arrow_table()
    names = [name for name in ("quantity", "amount", "discount") if name in values]
    unreadable: dict[str, pa.ChunkedArray] = {}
    for name in names:
        given = reduce(pc.and_, [pc.is_valid(numbers[part]) for part in inputs[name]])
        unreadable[name] = pc.and_(given, pc.is_null(found[name]))
    return pa.table(columns | {name: found[name] for name in names}), unreadable


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), None, text)
