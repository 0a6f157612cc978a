"""Times in text that say when something about a user was, not on which day a row happened: when they signed up."""

from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

from segmentation.errors import ConfigError
from segmentation.features.engine import connect

AT = pa.timestamp("us", tz="UTC")
NAIVE = r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?"
WITH_OFFSET = r"\d{4}-\d{1,2}-\d{1,2}[ T]\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)? ?(Z|UTC|[+-](0\d|1[0-4])(:?[0-5]\d)?)"
# The engine takes an offset only without a space before it, and no name.
AS_OFFSET = r"regexp_replace(replace(text, 'UTC', 'Z'), ' ?(Z|[+-][\d:]+)$', '\1')"
MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
YEARS = "BETWEEN -62135510400000000 AND 253402214400000000"  # 0001-01-02 to 9999-12-31, in µs since 1970


def instants(column: pa.ChunkedArray, zone: str, options: Mapping[str, Any]) -> pa.ChunkedArray:
    """Text → timestamp[us, UTC], null where it is none. options: time_unit or time_format, if it is not ISO text.

    A time without an offset is one of the zone; of one that the clocks showed twice, or skipped, the engine's choice counts.

    Raises ConfigError for a format or zone that the engine does not know.
    """
    if options.get("time_unit"):
        number = f"TRY_CAST(text AS DECIMAL(28, 6)) * {MICROSECONDS[options['time_unit']]}"
        micros = f"TRY_CAST({number} AS BIGINT)"
    elif options.get("time_format"):
        form = options["time_format"]
        parsed = "try_strptime(text, $form)" if "%z" in form else "timezone($zone, try_strptime(text, $form))"
        micros = f"epoch_us({parsed})"
    else:
        micros = f"""epoch_us(CASE
            WHEN regexp_full_match(text, '{NAIVE}') THEN timezone($zone, TRY_CAST(text AS TIMESTAMP))
            WHEN regexp_full_match(text, '{WITH_OFFSET}') THEN TRY_CAST({AS_OFFSET} AS TIMESTAMPTZ) END)"""
    asked = {"zone": zone, "form": options.get("time_format")}
    query = f"SELECT CASE WHEN micros {YEARS} THEN micros END AS micros FROM (SELECT {micros} AS micros FROM texts)"
    with connect(threads=1) as session:  # one thread: rows come back in their order
        session.execute("SET TimeZone = 'UTC'")
        session.register("texts", pa.table({"text": column}))
        try:
            used = {name: value for name, value in asked.items() if f"${name}" in query}
            found = session.sql(query, params=used).to_arrow_table()["micros"]
        except duckdb.Error as error:
            raise ConfigError(f"times cannot be read by time_format = {asked['form']!r} in {zone}: {error}") from None
    return found.cast(pa.int64()).cast(pa.timestamp("us")).cast(AT)
