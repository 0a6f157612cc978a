"""Batches that are made in Python, taken by the engine as they come."""

from collections.abc import Iterable, Iterator

import duckdb
import numpy as np
import pyarrow as pa

from segmentation.errors import SegmentationError

FETCHED = "fetched"


def execute_on(
    session: duckdb.DuckDBPyConnection, schema: pa.Schema, batches: Iterable[pa.RecordBatch], statement: str
) -> None:
    """Execute a statement that reads the batches, once, as the table `records`.

    What goes wrong with the batches is raised as it is; the engine alone would make an error of its own of it.
    """
    failures: list[SegmentationError] = []

    def told() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except SegmentationError as error:
            failures.append(error)
            raise

    session.register("records", pa.RecordBatchReader.from_batches(schema, told()))
    try:
        session.execute(statement)
    except duckdb.Error:
        if failures:
            raise failures[0] from None
        raise
    finally:
        session.unregister("records")


def fetch(session: duckdb.DuckDBPyConnection, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str:
    """Keep the batches in the session, with `row`, the number of each row from 1. Returns a query for them; their columns
    are called c0, c1, …: by place, because the engine's names do not tell case."""
    fields = [pa.field("row", pa.int64()), *(field.with_name(f"c{place}") for place, field in enumerate(schema))]
    numbered = pa.schema(fields)

    def rows() -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in batches:
            numbers = pa.array(np.arange(done + 1, done + 1 + batch.num_rows))
            done += batch.num_rows
            yield pa.RecordBatch.from_arrays([numbers, *batch.columns], schema=numbered)

    execute_on(session, numbered, rows(), f"CREATE TEMP TABLE {FETCHED} AS FROM records")
    return f"FROM {FETCHED}"
