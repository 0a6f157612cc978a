"""A sample of users by the hash of their ids: the same users whatever the order, and whoever else is there."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

OFFSET, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a, 64 bits
MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))  # the end of MurmurHash3, 64 bits
SHIFT = np.uint64(33)
WORD = 8  # bytes
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
    """A hash of 64 bits of each text: of its UTF-8 bytes in words of eight, the last filled up with zeros, and their number.

    Each word is taken in as FNV-1a takes in a byte (Fowler, Noll, Vo), and at the end the bits are mixed as in MurmurHash3
    (Appleby): without that, texts that differ in their last byte would be near each other.
    """
    flat = texts.cast(pa.large_string())
    offsets = np.frombuffer(flat.buffers()[1], np.int64)[flat.offset : flat.offset + len(flat) + 1]
    data = np.concatenate([np.frombuffer(flat.buffers()[2] or b"", np.uint8), np.zeros(WORD, np.uint8)])
    words: Hashes = np.ndarray((len(data) - WORD + 1,), "<u8", data, strides=(1,))  # the eight bytes from each place on
    start, left = offsets[:-1], np.diff(offsets)
    found = OFFSET ^ left.astype(np.uint64)
    rows = np.flatnonzero(left > 0)
    while len(rows):
        word = words[start[rows]]
        bits = np.minimum(left[rows], WORD).astype(np.uint64) * np.uint64(8)
        word &= np.uint64(2**64 - 1) >> (np.uint64(64) - bits)
        mixed = (found[rows] ^ word) * PRIME
        found[rows] = mixed ^ (mixed >> SHIFT)
        start, left = start + WORD, left - WORD
        rows = rows[left[rows] > 0]
    for factor in MIX:
        found = (found ^ (found >> SHIFT)) * factor
    return found ^ (found >> SHIFT)
