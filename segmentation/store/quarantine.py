"""Quarantined rows as a person can read them: CSV, of limited size, with file, row and reason before the row as it came."""

import csv
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from segmentation.store.content import hash_bytes
from segmentation.store.objects import Objects

ROWS_KEPT = 1_000  # per file and reason; the rest is counted only
CHARACTERS_KEPT = 1_000  # of a value: a malformed line can be a whole file
FIRST = ("file", "row", "reason")


def put(objects: Objects, folder: str, rows: pa.Table) -> tuple[str | None, int]:
    """Write rows as `<folder>/<hash of its bytes>.csv`. Returns the key (None if there are no rows) and the rows written.

    rows: `row` (number in its file, from 1), `reason`, perhaps `file`, and any columns of text. The first ROWS_KEPT rows of
    each file and reason are written, in the order given, and CHARACTERS_KEPT of each value. A missing value is nothing, an
    empty one is "".
    """
    if not rows.num_rows:
        return None, 0
    kept = rows.take(_kept(rows))
    data = csv_bytes(kept)
    key = f"{folder}/{hash_bytes(data)}.csv"
    objects.put(key, data)
    return key, kept.num_rows


def csv_bytes(rows: pa.Table) -> bytes:
    """The rows as CSV in UTF-8; equal tables give equal bytes."""
    names = [name for name in FIRST if name in rows.column_names]
    names += [name for name in rows.column_names if name not in FIRST]
    columns = {name: rows[name] if name == "row" else _short(rows[name]) for name in names}
    sink = io.BytesIO()
    pa_csv.write_csv(pa.table(columns), sink)
    return sink.getvalue()


def read_csv(data: bytes) -> pa.Table:
    """What was written, all but `row` as text. Raises pa.ArrowInvalid for what is no such file."""
    names = next(csv.reader(io.StringIO(data.decode(), newline="")))
    kinds = {name: pa.int64() if name == "row" else pa.string() for name in names}
    options: dict[str, Any] = {"strings_can_be_null": True, "quoted_strings_can_be_null": False, "null_values": [""]}
    return pa_csv.read_csv(
        io.BytesIO(data),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types=kinds, **options),
    )


def _kept(rows: pa.Table) -> np.ndarray:
    """Positions of the first ROWS_KEPT rows of each file and reason, in ascending order."""
    if rows.num_rows <= ROWS_KEPT:
        return np.arange(rows.num_rows)
    codes = [_codes(rows[name]) for name in ("file", "reason") if name in rows.column_names]
    groups = np.unique(np.stack(codes), axis=1, return_inverse=True)[1].reshape(-1)
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(order[place < ROWS_KEPT])


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    indices = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    if isinstance(indices, pa.ChunkedArray):
        indices = indices.combine_chunks()
    return np.asarray(indices.indices.to_numpy(zero_copy_only=False))


def _short(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = column.cast(pa.string())
    length = pc.utf8_length(text)
    said = pc.binary_join_element_wise(
        pc.utf8_slice_codeunits(text, 0, CHARACTERS_KEPT), "… (", length.cast(pa.string()), " characters)", ""
    )
    return pc.if_else(pc.greater(length, CHARACTERS_KEPT), said, text)
