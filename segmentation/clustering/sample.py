"""A sample of users by the hash of their ids: the same users whatever the order, and whoever else is there."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

OFFSET, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a, 64 bits
MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))  # the end of MurmurHash3, 64 bits
SHIFT = np.uint64(33)
Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]


def sample_positions(ids: pa.Array, size: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Positions of the `size` users with the smallest hashes, ascending; all of them when there are no more.

    ids: n different texts. Of equal hashes the smaller id, by its UTF-8 bytes, comes first. Cost: the bytes of the ids.
    """
    if len(ids) <= size:
        return np.arange(len(ids))
    found = hashes(ids)
    last = np.partition(found, size - 1)[size - 1]
    near = np.flatnonzero(found <= last)
    order = pc.sort_indices(
        pa.table({"hash": found[near], "id": ids.take(pa.array(near))}),
        sort_keys=[("hash", "ascending"), ("id", "ascending")],
    )
    return np.sort(near[np.asarray(order)[:size]])


def hashes(texts: pa.Array) -> Hashes:
    """A hash of 64 bits of each text's UTF-8 bytes: FNV-1a (Fowler, Noll, Vo), its bits mixed as at the end of MurmurHash3
    (Appleby), without which texts that differ in their last byte would be near each other."""
    flat = texts.cast(pa.large_string())
    offsets = np.frombuffer(flat.buffers()[1], np.int64)[flat.offset : flat.offset + len(flat) + 1]
    data = np.frombuffer(flat.buffers()[2] or b"", np.uint8)
    found = np.full(len(flat), OFFSET)
    length = np.diff(offsets)
    shortest = int(length.min()) if len(length) else 0
    for place in range(shortest):
        found = (found ^ data[offsets[:-1] + place]) * PRIME
    rows = np.arange(len(flat))
    for place in range(shortest, int(length.max(initial=0))):
        rows = rows[length[rows] > place]
        found[rows] = (found[rows] ^ data[offsets[rows] + place]) * PRIME
    for factor in MIX:
        found = (found ^ (found >> SHIFT)) * factor
    return found ^ (found >> SHIFT)
