"""Whether all rows of a day have arrived: a half-loaded day must not be published."""

from collections.abc import Iterator, Sequence
from datetime import date
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.config import Config
from segmentation.source_settings import Source

WEEKDAYS_NEEDED = 2


def unmarked(source: Source, table: str, config: Config, day: date) -> Iterator[str]:
    """What is missing where a marker says that a day is there; nothing is read for it."""
    if source.complete.marker:
        marker = config.root / source.complete.marker.replace("{date}", day.isoformat())
        if not marker.exists():
            yield f"{table}: there is no file {marker} (the marker)"


def waiting_for(
    source: Source, table: str, config: Config, day: date, times: pa.ChunkedArray, weekday_rows: Sequence[int]
) -> Iterator[str]:
    """What a table's day still lacks, by the source's [complete] section; nothing if the day is complete.

    times: of the day's rows, timestamp[us, UTC]; weekday_rows: rows of the same weekdays before, of those that have any.
    """
    complete = source.complete
    yield from unmarked(source, table, config, day)
    if complete.rows_after:
        latest = pc.max(times).as_py()
        local = latest.astimezone(ZoneInfo(config.project.timezone)).time() if latest else None
        if local is None or local < complete.rows_after:
            had = f"its latest is at {local:%H:%M:%S}" if local else "it has none"
            yield f"{table}: no row at or after {complete.rows_after:%H:%M} yet ({had})"
    if complete.share_of_weekday and len(weekday_rows) >= WEEKDAYS_NEEDED:
        usual = sum(weekday_rows) / len(weekday_rows)
        if len(times) < complete.share_of_weekday * usual:
            yield (
                f"{table}: {len(times):,} rows, less than {complete.share_of_weekday:.0%} of the {usual:,.0f} that the same "
                "weekdays before had on average"
            )
