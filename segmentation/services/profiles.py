"""What each segment is like beside all others: every feature, also those that did not build it, and the users' attributes.

The table `profiles`: one row for each segment and feature, and for each segment, attribute and value of it:

| column | type | meaning |
|---|---|---|
| segment_id, name | text | the feature (its unit is in the catalogue), or the attribute |
| value | text | the attribute's value; "" for a feature |
| made_of | bool | whether the segments are made of it |
| users | int64 | the segment's users of whom it is known; of an attribute: who have this value |
| mean, median | float64, or null | over those; of an attribute `mean` is a share of those of whom it is known, median is null |
| others, others_median | float64, or null | the same of all other users; null if it is known of none of them |
| effect | float64, or null | Cliff's delta: P(above another segment's user) − P(below), −1 … 1; of a share the difference |

An attribute has rows for its COMMONEST values that at least FEWEST users have: rarer ones could point at someone. Everything is
rounded to 1e-6.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.features.rows import Whole

COMMONEST, FEWEST = 12, 5
KNOWN, STILL_KNOWN = 0.5, 0.4  # of a segment's users: to be said of it, and where it is said already
FIGURES = ("mean", "median", "others", "others_median", "effect")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("segment_id", "name", "value")),
        ("made_of", pa.bool_()),
        ("users", pa.int64()),
        *((name, pa.float64()) for name in FIGURES),
    ]
)
Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def profiles(
    segments: Sequence[str], segment_ids: pa.Array, features: pa.Table, made_of: Collection[str], attributes: pa.Table
) -> pa.Table:
    """The profiles of these segments.

    segment_ids: of each of the n users where he is (also NOISE). features: n rows, one float column for each feature.
    attributes: n rows, one text column for each attribute.
    """
    code = np.asarray(pc.index_in(segment_ids, value_set=pa.array(segments, pa.string())).fill_null(-1))
    code = code.astype(np.int64)
    parts = [
        _feature(segments, code, name, np.asarray(features[name].to_numpy()), name in made_of)
        for name in features.column_names
    ]
    parts += [_attribute(segments, code, name, attributes[name].combine_chunks()) for name in attributes.column_names]
    return pa.concat_tables([SCHEMA.empty_table(), *parts]).sort_by(
        [(name, "ascending") for name in ("segment_id", "name", "value")]
    )


def effects(profiles: pa.Table, users: Mapping[str, int], part: float = KNOWN) -> dict[str, dict[str, float]]:
    """Of each segment the effects that say something of it: of the features that are known of this part of its users, and whose
    mean, too, is on that side of the others'.

    users: of each segment. What is known of a few (the order gap where hardly anyone has bought twice) is not what it is like;
    nor is high what most have more of, but the others' mean, which a few of theirs make, is above.
    """
    found: dict[str, dict[str, float]] = {segment: {} for segment in users}
    for row in profiles.filter(pc.equal(profiles["value"], "")).to_pylist():
        effect, mean, others = row["effect"], row["mean"], row["others"]
        if effect is None or not is_known(row, users[row["segment_id"]], part):
            continue
        if mean is None or others is None or (mean - others) * effect >= 0:
            found[row["segment_id"]][row["name"]] = effect
    return found


def is_known(row: Mapping[str, Any], users: int, part: float = KNOWN) -> bool:
    """Whether a feature's row is about this part of the segment's users at least."""
    return bool(row["value"]) or int(row["users"]) >= part * users


def _feature(segments: Sequence[str], code: Whole, name: str, values: Floats, made_of: bool) -> pa.Table:
    known = ~np.isnan(values)
    values, code = _sorted(values[known], code[known], len(segments))
    users = np.bincount(code + 1, minlength=len(segments) + 1)
    sums = np.bincount(code + 1, weights=values, minlength=len(segments) + 1)
    ranks = np.bincount(code + 1, weights=_midranks(values), minlength=len(segments) + 1)
    by_segment = values[np.argsort(code.astype(np.int16), kind="stable")]
    starts = np.cumsum(users) - users
    medians = [
        _middle(by_segment[start : start + count])
        for start, count in zip(starts[1:].tolist(), users[1:].tolist(), strict=True)
    ]
    n, rest = users[1:], len(values) - users[1:]
    u = ranks[1:] - n * (n + 1) / 2  # Mann and Whitney: how many pairs the segment's users win; ties count half
    figures = {
        "mean": _ratio(sums[1:], n),
        "median": np.array(medians),
        "others": _ratio(sums.sum() - sums[1:], rest),
        "others_median": np.array([_middle(values[code != place]) for place in range(len(segments))]),
        "effect": 2 * _ratio(u, n * rest) - 1,
    }
    return _table(segments, name, "", made_of, n, figures)


def _sorted(values: Floats, code: Whole, segments: int) -> tuple[Floats, Whole]:
    """Values ascending, with the code of each (−1 … segments − 1).

    Whole numbers are sorted five times as fast as values with their places. So a code is put into the last bits of its value,
    which is given to 1e-6: that is exact up to a hundred million.
    """
    bits = segments.bit_length()
    key = (values + 0.0).view(np.int64)  # + 0.0: −0 is 0
    key = key ^ ((key >> 63) & np.int64(2**63 - 1))  # whole numbers in the order of the floats
    key = np.sort((key >> bits << bits) | (code + 1))
    code = (key & ((1 << bits) - 1)) - 1
    key = key >> bits << bits
    sorted_values: Floats = (key ^ ((key >> 63) & np.int64(2**63 - 1))).view(np.float64)
    return np.asarray(np.round(sorted_values, 6), np.float64), code


def _middle(values: Floats) -> float:
    """The median of ascending values; NaN if there is none."""
    half = len(values) // 2
    if not half:
        return float(values[0]) if len(values) else float("nan")
    return float(values[half]) if len(values) % 2 else float(values[half - 1] + values[half]) / 2


def _midranks(values: Floats) -> Floats:
    """The ranks of ascending values, from 1; equal ones share the mean of theirs."""
    begins = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)
    ends = np.append(begins[1:], len(values))
    return np.repeat((begins + 1 + ends) / 2, ends - begins)


def _attribute(segments: Sequence[str], code: Whole, name: str, texts: pa.Array) -> pa.Table:
    code = code[np.asarray(texts.is_valid())]
    coded = texts.drop_null().dictionary_encode()
    values, value = coded.dictionary.to_pylist(), np.asarray(coded.indices)
    counts = np.bincount(value, minlength=len(values))
    some = np.flatnonzero(counts >= FEWEST).tolist()
    commonest = sorted(some, key=lambda place: (-counts[place], values[place]))[:COMMONEST]
    known = np.bincount(code + 1, minlength=len(segments) + 1)
    parts = [SCHEMA.empty_table()]
    for place in commonest:
        has = np.bincount(code[value == place] + 1, minlength=len(segments) + 1)
        inside = _ratio(has[1:], known[1:])
        others = _ratio(has.sum() - has[1:], known.sum() - known[1:])
        none = np.full(len(segments), np.nan)
        figures = dict(zip(FIGURES, (inside, none, others, none, inside - others), strict=True))
        parts.append(_table(segments, name, values[place], False, has[1:], figures))
    return pa.concat_tables(parts)


def _ratio(over: np.ndarray, under: Whole) -> Floats:
    shares: Floats = np.divide(over, under, out=np.full(len(under), np.nan), where=under > 0)
    return shares


def _table(
    segments: Sequence[str], name: str, value: str, made_of: bool, users: Whole, figures: dict[str, Floats]
) -> pa.Table:
    rounded = {key: np.round(column, 6) + 0.0 for key, column in figures.items()}
    return pa.table(
        {
            "segment_id": pa.array(segments, pa.string()),
            "name": pa.array([name] * len(segments), pa.string()),
            "value": pa.array([value] * len(segments), pa.string()),
            "made_of": pa.array([made_of] * len(segments), pa.bool_()),
            "users": pa.array(users, pa.int64()),
            **{key: pa.array(column, pa.float64(), from_pandas=True) for key, column in rounded.items()},
        },
        schema=SCHEMA,
    )
