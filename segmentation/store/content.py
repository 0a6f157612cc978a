"""Names made of content: hashes of bytes and of tables, and JSON documents that carry their own hash.

Everything in a store can be checked: an object is named by the hash of its bytes, or sealed (a JSON document with its
own hash inside), or listed with its hash in a document that is one of these.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation.errors import StoreError

HASH_CHARACTERS = 32  # 128 bits of SHA-256
MONEY = pa.decimal128(18, 4)
LARGEST_FLOAT = 9e12  # in millionths it still fits into int64
SEAL = "seal"


def hash_bytes(data: bytes) -> str:
    """The first 128 bits of SHA-256, as 32 hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()[:HASH_CHARACTERS]


def canonical_json(value: Any) -> bytes:
    """One spelling for equal values: keys sorted, no spaces, UTF-8; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def hash_json(value: Any) -> str:
    return hash_bytes(canonical_json(value))


def seal(document: dict[str, Any]) -> bytes:
    """The document as JSON with, at its end, the hash of the rest under the key `seal`."""
    body = canonical_json({key: value for key, value in document.items() if key != SEAL})
    return body[:-1] + _tail(body)


def unseal(data: bytes, where: str) -> dict[str, Any]:
    """The document without its seal.

    Raises StoreError naming `where` when a byte is not the one that was written.
    """
    rest, _, _ = data.rpartition(_TAIL)
    body = rest.removesuffix(b",") + b"}"
    if body[:-1] + _tail(body) != data:
        raise StoreError(f"{where} is damaged: its content does not match its seal")
    return dict(json.loads(body))


_TAIL = b'"seal":"'


def _tail(body: bytes) -> bytes:
    comma = b"" if body == b"{}" else b","
    return comma + _TAIL + hash_bytes(body).encode() + b'"}\n'


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as one Parquet file; equal tables give equal bytes under one version of the writer.

    Dictionaries only for texts that repeat: looking for them in numbers and user ids takes half of the time. No
    statistics: a day's file is read whole.
    """
    repeated = [
        field.name
        for field in table.schema
        if pa.types.is_string(field.type) and field.name not in ("user_id", "order_id", "from_segment_id")
    ]
    sink = io.BytesIO()
    plain = table.replace_schema_metadata(None)
    pq.write_table(plain, sink, compression="zstd", use_dictionary=repeated, write_statistics=False)
    return sink.getvalue()


def read_parquet(data: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(data))


def hash_table(table: pa.Table, keys: Sequence[str] | None) -> str:
    """Hash of a table's logical content, whatever the order of its rows, columns and chunks.

    Rows are sorted by `keys` (ties must be equal rows; None: they are in the order that counts), columns by name. Whole
    numbers, dates and times count as int64, money as int64 of 1/10,000, other floats are rounded to 1e-6 and count as int64
    (so −0 is 0), text as UTF-8; a null (and a NaN) is apart from every value.

    Raises StoreError for a float that is infinite or beyond 9e12 in size: as int64 it would be any other such float.
    """
    if keys is not None and table.num_rows > 1:
        table = table.take(pc.sort_indices(table, sort_keys=[(key, "ascending") for key in keys]))
    digest = hashlib.sha256(str(table.num_rows).encode())
    for name in sorted(table.column_names):
        column = table.column(name)
        array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        kind, parts = _canonical(name, array)
        digest.update(f"\n{name}:{kind}\n".encode())
        for part in parts:
            digest.update(part)
    return digest.hexdigest()[:HASH_CHARACTERS]


def _canonical(name: str, array: pa.Array) -> tuple[str, list[bytes]]:
    kind = array.type
    if pa.types.is_null(kind):
        return "null", []
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = pc.fill_null(array.cast(pa.large_string()), "")
        offsets = np.frombuffer(text.buffers()[1] or b"\0" * 8, dtype="<i8")[text.offset : text.offset + len(text) + 1]
        joined = memoryview(text.buffers()[2] or b"")[offsets[0] : offsets[-1]]
        return "text", [_validity(array), np.diff(offsets).tobytes(), joined.tobytes()]
    if pa.types.is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype("<i8")
        inner, parts = _canonical(name, array.flatten())
        return f"list of {inner}", [_validity(array), lengths.tobytes(), *parts]
    if pa.types.is_floating(kind):
        array = pc.if_else(pc.is_nan(array), None, array)
        values = pc.fill_null(array, 0.0).to_numpy(zero_copy_only=False).astype("f8")
        if len(values) and np.abs(values).max() > LARGEST_FLOAT:
            raise StoreError(
                f"column {name!r} holds {values[np.abs(values).argmax()]}: floats that are kept must be within ±9e12; "
                "use a larger unit"
            )
        return "float", [_validity(array), np.rint(values * 1e6).astype("<i8").tobytes()]
    if pa.types.is_decimal(kind):
        return "money", [_validity(array), money_units(array).astype("<i8").tobytes()]
    if pa.types.is_date32(kind):
        array = array.cast(pa.int32())
    elif pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    whole = pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False).astype("<i8")
    label = "date" if pa.types.is_date32(kind) else "time" if pa.types.is_timestamp(kind) else "whole"
    return label, [_validity(array), whole.tobytes()]


def _validity(array: pa.Array) -> bytes:
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    return bytes(np.packbits(valid).tobytes())


def money(units: np.ndarray) -> pa.Array:
    """int64 in 1/10,000 of the currency unit → decimal(18,4)."""
    wide = np.empty((len(units), 2), dtype="<i8")
    wide[:, 0] = units
    wide[:, 1] = np.where(np.asarray(units) < 0, -1, 0)
    return pa.Array.from_buffers(MONEY, len(units), [None, pa.py_buffer(wide.tobytes())])


def money_units(array: pa.Array) -> np.ndarray:
    """decimal(18,4) → int64 in 1/10,000 of the currency unit; null → 0."""
    array = pc.fill_null(array.cast(MONEY), pa.scalar(Decimal(0), MONEY))
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    words = np.frombuffer(array.buffers()[1], dtype="<i8").reshape(-1, 2)
    return words[array.offset : array.offset + len(array), 0].copy()
