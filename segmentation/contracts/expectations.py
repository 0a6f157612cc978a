"""The expectations that a table's rows are held to: the declared ones, and a team's own from the configuration.

A team writes its own in Great Expectations' form and in its own units: an amount in the currency, a duration in seconds, a
time as ISO text. Inside, money is int64 in 1/10,000, durations are ms and times µs: `contract` translates. What may be
written is listed here, so that a mistake is found without Great Expectations, which takes seconds to import.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.config import Recipe
from segmentation.contracts import event_types
from segmentation.errors import ConfigError, nearest
from segmentation.tables import REVIEWS, Kind, kinds

NOT_NULL = "expect_column_values_to_not_be_null"
IN_SET = "expect_column_values_to_be_in_set"
BETWEEN = "expect_column_values_to_be_between"
MATCH = "expect_column_values_to_match_regex"
# A critical one of these, without `mostly`, parts rows: those that violate it go into quarantine.
SPLITTING = (NOT_NULL, IN_SET, BETWEEN, MATCH)

SCALE = {Kind.NUMBER: 10_000, Kind.SECONDS: 1_000}
UNIX = datetime(1970, 1, 1, tzinfo=UTC)
FOLDED = "unit_price"  # is not kept: amount is what it makes

# What a kwarg is.
VALUE, VALUES = "a value of the column", "a list of values of the column"
WHOLE, SHARE, YES, REGEX = (
    "a whole number from 0",
    "a number from 0 to 1",
    "true or false",
    "a regular expression",
)
IGNORE = "one of both_values_are_missing, either_value_is_missing, neither"
IGNORE_MANY = "one of all_values_are_missing, any_value_is_missing, never"
COLUMN, COLUMNS = "a column", "a list of two columns or more"

EVERY = frozenset(Kind)
ORDERED = frozenset({Kind.NUMBER, Kind.SECONDS, Kind.TIME})
ADDABLE = frozenset({Kind.NUMBER, Kind.SECONDS})
TEXTS = frozenset({Kind.TEXT})
STRICT = {"strict_min": YES, "strict_max": YES}
RANGE = ("min_value", "max_value")


@dataclass(frozen=True)
class Form:
    """What an expectation takes. `about`: the kinds of column; `needed`: kwargs of which at least one must be there.

    observed: what its figure is called, if it has one that is no value of a row; in_units: it is in the column's unit.
    """

    kwargs: Mapping[str, str] = field(default_factory=dict)
    about: frozenset[Kind] = EVERY
    needed: tuple[str, ...] = ()
    observed: str = ""
    in_units: bool = False

    @property
    def columns(self) -> list[str]:
        return [name for name, what in self.kwargs.items() if what in (COLUMN, COLUMNS)]


def _between(what: str, **more: Any) -> Form:
    return Form({"column": COLUMN, "min_value": what, "max_value": what, **STRICT}, needed=RANGE, **more)


def _rows(about: frozenset[Kind] = EVERY, needed: tuple[str, ...] = (), **kwargs: str) -> Form:
    return Form({"column": COLUMN, **kwargs, "mostly": SHARE}, about, needed)


def _distinct(**more: str) -> Form:
    return Form({"column": COLUMN, "value_set": VALUES, **more}, needed=("value_set",))


PAIR = {"column_A": COLUMN, "column_B": COLUMN, "mostly": SHARE, "ignore_row_if": IGNORE}

KNOWN: dict[str, Form] = {
    NOT_NULL: _rows(),
    IN_SET: _rows(needed=("value_set",), value_set=VALUES),
    BETWEEN: _rows(ORDERED, RANGE, min_value=VALUE, max_value=VALUE, **STRICT),
    MATCH: _rows(TEXTS, ("regex",), regex=REGEX),
    "expect_column_values_to_be_null": _rows(),
    "expect_column_values_to_not_be_in_set": _rows(needed=("value_set",), value_set=VALUES),
    "expect_column_values_to_not_match_regex": _rows(TEXTS, ("regex",), regex=REGEX),
    "expect_column_values_to_be_unique": _rows(),
    "expect_column_value_lengths_to_be_between": _rows(TEXTS, RANGE, min_value=WHOLE, max_value=WHOLE, **STRICT),
    "expect_column_value_lengths_to_equal": _rows(TEXTS, ("value",), value=WHOLE),
    "expect_column_pair_values_a_to_be_greater_than_b": Form({**PAIR, "or_equal": YES}, ORDERED),
    "expect_column_pair_values_to_be_equal": Form(PAIR),
    "expect_compound_columns_to_be_unique": Form(
        {"column_list": COLUMNS, "mostly": SHARE, "ignore_row_if": IGNORE_MANY}
    ),
    "expect_column_min_to_be_between": _between(VALUE, about=ORDERED),
    "expect_column_max_to_be_between": _between(VALUE, about=ORDERED),
    "expect_column_mean_to_be_between": _between(VALUE, about=ADDABLE, observed="mean", in_units=True),
    "expect_column_median_to_be_between": _between(VALUE, about=ADDABLE, observed="median", in_units=True),
    "expect_column_sum_to_be_between": _between(VALUE, about=ADDABLE, observed="sum", in_units=True),
    "expect_column_stdev_to_be_between": _between(VALUE, about=ADDABLE, observed="standard_deviation", in_units=True),
    "expect_column_unique_value_count_to_be_between": _between(WHOLE, observed="unique_values"),
    "expect_column_proportion_of_unique_values_to_be_between": _between(SHARE, observed="share_unique"),
    "expect_column_proportion_of_non_null_values_to_be_between": _between(SHARE, observed="share_there"),
    "expect_column_distinct_values_to_be_in_set": _distinct(),
    "expect_column_distinct_values_to_contain_set": _distinct(),
    "expect_column_distinct_values_to_equal_set": _distinct(),
    "expect_column_most_common_value_to_be_in_set": _distinct(ties_okay=YES),
    "expect_table_row_count_to_be_between": Form(
        {"min_value": WHOLE, "max_value": WHOLE, **STRICT}, needed=RANGE, observed="rows"
    ),
    "expect_table_row_count_to_equal": Form({"value": WHOLE}, needed=("value",), observed="rows"),
}


@dataclass(frozen=True)
class Rule:
    """One expectation as the engine and Great Expectations take it: values in the units of the rows inside."""

    type: str
    kwargs: dict[str, Any]
    severity: str
    reason: str
    scale: int = 1  # of what is observed, to the unit of the column

    @property
    def splits(self) -> bool:
        """Whether a row that violates it is quarantined. (Otherwise it can only let the day pass or not.)"""
        return self.type in SPLITTING and self.severity == "critical" and "mostly" not in self.kwargs

    @property
    def observed(self) -> str:
        return KNOWN[self.type].observed

    @property
    def is_of_rows(self) -> bool:
        """Whether each row keeps it or does not."""
        return "mostly" in KNOWN[self.type].kwargs

    @property
    def columns(self) -> list[str]:
        """The columns that it is about; none if it is about the whole table."""
        found: list[str] = []
        for name in ("column", "column_A", "column_B", "column_list"):
            value = self.kwargs.get(name, [])
            found += [value] if isinstance(value, str) else value
        return found


def check(recipe: Recipe) -> None:
    """Find what is wrong with the own expectations and the event types of the configuration, without reading any data.

    Raises ConfigError naming each fault: where it is, what was found, what is known.
    """
    faults: list[str] = []
    for table in recipe.columns:
        faults += _own(recipe, table)[1]
    faults += event_types.faults(recipe)
    if faults:
        raise ConfigError("\n".join(faults))


def contract(declared: Iterable[dict[str, Any]], recipe: Recipe | None, table: str) -> list[Rule]:
    """The rules for a table's rows: those that are declared, and then the recipe's own.

    Raises ConfigError, as `check` does, when one of the own is wrong.
    """
    rating: tuple[float, float] = (1, 5)
    if recipe and table == REVIEWS:
        rating = recipe.options[table]["rating"]
    known = kinds(table)
    found: list[Rule] = []
    for rule in filled(declared, {"rating_min": rating[0], "rating_max": rating[1]}):
        kind = known.get(rule.kwargs["column"])
        inside = {name: _inside(rule.kwargs[name], kind, "") for name in RANGE if kind in SCALE and name in rule.kwargs}
        found.append(replace(rule, kwargs=rule.kwargs | inside))
    if recipe:
        own, faults = _own(recipe, table)
        if faults:
            raise ConfigError("\n".join(faults))
        found += own
    return found


def filled(declared: Iterable[dict[str, Any]], parameters: Mapping[str, float | None]) -> list[Rule]:
    """The declared rules with the parameters that they name filled in."""

    def value(given: Any) -> Any:
        return parameters[given["$PARAMETER"]] if isinstance(given, dict) else given

    return [
        Rule(
            rule["type"],
            {name: value(given) for name, given in rule["kwargs"].items()},
            rule["severity"],
            rule["meta"]["reason"],
        )
        for rule in declared
    ]


def require_columns(rules: Iterable[Rule], recipe: Recipe, table: str, there: Iterable[str]) -> None:
    """Raise ConfigError when one of a table's own expectations is about a column that its rows have not."""
    known = set(there)
    for number, rule in enumerate(_own(recipe, table)[0], start=1):
        for column in rule.columns:
            if column not in known:
                raise ConfigError(
                    f"[[sources.{table}.expectations]] number {number}: the rows have no column {column!r}; they have "
                    f"{', '.join(sorted(known))}"
                )


def violates(rule: Rule, rows: pa.Table) -> pa.ChunkedArray:
    """Which rows violate a rule that splits (null: not known, so no violation). A null violates only `not_be_null`."""
    column = rows[rule.kwargs["column"]]
    if rule.type == NOT_NULL:
        return pc.is_null(column)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if rule.type == IN_SET:
        # A value that the column's type cannot hold is in no row.
        values = [value for value in rule.kwargs["value_set"] if not isinstance(value, float)]
        strange = pc.invert(pc.is_in(column, value_set=pa.array(values, column.type)))
        return pc.and_(pc.is_valid(column), strange)
    if rule.type == MATCH:
        return _unlike(column, rule.kwargs["regex"])
    bad = pa.chunked_array([pa.repeat(False, len(column))])
    for name, strict, outside, outside_or_on in (
        ("min_value", "strict_min", pc.less, pc.less_equal),
        ("max_value", "strict_max", pc.greater, pc.greater_equal),
    ):
        if rule.kwargs.get(name) is not None:
            compare = outside_or_on if rule.kwargs.get(strict) else outside
            bad = pc.or_kleene(bad, compare(column, rule.kwargs[name]))
    return bad


def _unlike(column: pa.ChunkedArray, regex: str) -> pa.ChunkedArray:
    """Where the regex is not found. By Python, as Great Expectations does: engines differ on letters that are not ASCII."""
    pattern = re.compile(regex)
    encoded = column.combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    return pa.array([pattern.search(text) is None for text in texts], pa.bool_()).take(encoded.indices)


# A team's own --------------------------------------------------------------------------------------------------------


class _Wrong(Exception):
    """What is wrong with an expectation, in words."""


def _own(recipe: Recipe, table: str) -> tuple[list[Rule], list[str]]:
    """The rules of the configuration, and what is wrong with those that are none."""
    found: list[Rule] = []
    faults: list[str] = []
    for number, wanted in enumerate(recipe.expectations.get(table, ()), start=1):
        try:
            found.append(_rule(wanted, recipe, table))
        except _Wrong as error:
            faults.append(f"[[sources.{table}.expectations]] number {number}: {error}")
    return found, faults


def _rule(wanted: Mapping[str, Any], recipe: Recipe, table: str) -> Rule:
    form = KNOWN.get(wanted["type"])
    if form is None:
        raise _Wrong(f"there is no expectation {wanted['type']!r} here; {nearest(wanted['type'], KNOWN)}")
    columns = kinds(table, recipe.columns.get(table, ()))
    columns.pop(FOLDED, None)
    given = dict(wanted["kwargs"])
    for name in given:
        if name not in form.kwargs:
            raise _Wrong(f"{wanted['type']} takes no {name!r}; {nearest(name, form.kwargs)}")
    about = [column for name in form.columns for column in _columns(name, given, form, columns)]
    if form.needed and not any(given.get(name) is not None for name in form.needed):
        raise _Wrong(f"{wanted['type']} needs {' or '.join(form.needed)}")
    if len({columns[name] for name in about}) > 1 and "column_A" in given:
        told = " and ".join(f"{name} ({columns[name]})" for name in about)
        raise _Wrong(f"{told} cannot be compared; name two columns of one kind")
    kind = columns[about[0]] if about else Kind.TEXT
    if kind not in form.about:
        fit = [name for name, other in columns.items() if other in form.about]
        raise _Wrong(f"{wanted['type']} cannot be about {about[0]!r}, a column of kind {kind}; it can about {fit}")
    read = {name: _read(name, value, form.kwargs[name], kind, recipe.timezone) for name, value in given.items()}
    scale = SCALE.get(kind, 1) if form.in_units else 1
    return Rule(wanted["type"], read, wanted["severity"], wanted["reason"], scale)


def _columns(kwarg: str, given: Mapping[str, Any], form: Form, known: Mapping[str, Kind]) -> list[str]:
    if kwarg not in given:
        raise _Wrong(f"it needs {kwarg!r}, the name of {form.kwargs[kwarg]}")
    value = given[kwarg]
    names = value if form.kwargs[kwarg] == COLUMNS else [value]
    if not isinstance(names, list) or (form.kwargs[kwarg] == COLUMNS and len(names) < 2):
        raise _Wrong(f"{kwarg} = {value!r} must be {form.kwargs[kwarg]}")
    for name in names:
        if name == FOLDED:
            raise _Wrong(f"{FOLDED!r} is not kept: amount is quantity × {FOLDED}; write it about amount")
        if name not in known:
            raise _Wrong(f"the table has no column {name!r}; {nearest(str(name), known)}")
    return names


def _read(name: str, value: Any, what: str, kind: Kind, zone: str) -> Any:
    """A kwarg as the rules inside take it. Raises _Wrong when it is not what it must be."""
    if what not in (VALUE, VALUES):
        if not PLAIN[what](value):
            raise _Wrong(f"{name} = {value!r} must be {what}")
        return value
    if what == VALUE:
        return _value(name, value, kind, zone)
    if not isinstance(value, list) or not value:
        raise _Wrong(f"{name} = {value!r} must be {what}")
    return [_value(name, part, kind, zone) for part in value]


def _value(name: str, value: Any, kind: Kind, zone: str) -> Any:
    try:
        return _inside(value, kind, zone)
    except (ValueError, TypeError, OverflowError):
        raise _Wrong(f"{name}: {value!r} is no value of a column of kind {kind}; write {WRITTEN[kind]}") from None


def _inside(value: Any, kind: Kind, zone: str) -> Any:
    """A value in a team's units → in those of the rows. Raises ValueError or TypeError when it is none."""
    if kind in SCALE:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise TypeError
        scaled = Decimal(str(value)) * SCALE[kind]
        return int(scaled) if scaled == scaled.to_integral_value() else float(scaled)
    if kind == Kind.TIME:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))
        return (at - UNIX) // timedelta(microseconds=1)
    if not isinstance(value, bool if kind == Kind.FLAG else str):
        raise TypeError
    return value


WRITTEN = {
    Kind.NUMBER: "a number",
    Kind.SECONDS: "a number of seconds",
    Kind.TIME: 'a time such as "2026-01-31" or "2026-01-31T18:00:00+01:00"',
    Kind.FLAG: "true or false",
    Kind.TEXT: 'text, in quotation marks: "5"',
}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_regex(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError):
        return False
    return True


PLAIN: dict[str, Callable[[Any], bool]] = {
    WHOLE: _is_whole,
    SHARE: _is_share,
    YES: lambda value: isinstance(value, bool),
    REGEX: _is_regex,
    IGNORE: lambda value: value in ("both_values_are_missing", "either_value_is_missing", "neither"),
    IGNORE_MANY: lambda value: value in ("all_values_are_missing", "any_value_is_missing", "never"),
    COLUMN: lambda value: isinstance(value, str),
    COLUMNS: lambda value: isinstance(value, list),
}
