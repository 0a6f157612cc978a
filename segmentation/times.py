"""Times in text, and what they mean in a time zone, as SQL for the engine: one way for all tables and columns."""

from dataclasses import dataclass

ISO = "YYYY-MM-DD, with HH:MM, :SS and an offset if it has them"
NAIVE = r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?"
WITH_OFFSET = r"\d{4}-\d{1,2}-\d{1,2}[ T]\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)? ?(Z|UTC|[+-](0\d|1[0-4])(:?[0-5]\d)?)"
# The engine takes an offset only without a space before it, and no name.
AS_OFFSET = r"regexp_replace(replace(time_text, 'UTC', 'Z'), ' ?(Z|[+-][\d:]+)$', '\1')"
MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
YEARS = "-62135596800000000 AND 253402300799999999"  # 1 to 9999, in microseconds since 1970


@dataclass(frozen=True)
class Times:
    """How the times of a column are written (None: there is no such column): as numbers of a unit, in a form, or ISO text."""

    column: str | None
    unit: str | None
    form: str | None

    @property
    def expected(self) -> str:
        return f"{UNITS[self.unit]} since 1970-01-01 UTC" if self.unit else self.form or ISO


def quoted(text: object) -> str:
    """Text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def in_text(rows: str, times: Times) -> str:
    """A query that adds to the rows the time in their text: `local` if it has no offset, else `instant`."""
    if times.column is None:
        return f"SELECT *, NULL::TIMESTAMP AS local, NULL::TIMESTAMPTZ AS instant FROM {rows}"
    text = f"SELECT *, trim({times.column}) AS time_text"
    if times.unit:
        # Six decimals of the unit, in whole microseconds. Any other finite number is a time out of range.
        units = f"TRY_CAST(TRY_CAST(time_text AS DECIMAL(28, 6)) * {MICROSECONDS[times.unit]} AS BIGINT)"
        return f"""
            SELECT * EXCLUDE (time_text, units), NULL::TIMESTAMP AS local, CASE
                WHEN units BETWEEN {YEARS} THEN timezone('UTC', make_timestamp(units))
                WHEN isfinite(TRY_CAST(time_text AS DOUBLE)) THEN TIMESTAMPTZ 'infinity'
            END AS instant
            FROM ({text}, {units} AS units FROM {rows})"""
    if times.form:
        parsed = f"try_strptime(time_text, {quoted(times.form)})"
        known = ("NULL::TIMESTAMP", parsed) if "%z" in times.form else (parsed, "NULL::TIMESTAMPTZ")
        return f"SELECT * EXCLUDE time_text, {known[0]} AS local, {known[1]} AS instant FROM ({text} FROM {rows})"
    return f"""
        SELECT * EXCLUDE time_text, CASE
            WHEN local IS NULL AND regexp_full_match(time_text, '{WITH_OFFSET}') THEN TRY_CAST({AS_OFFSET} AS TIMESTAMPTZ)
        END AS instant
        FROM (
            {text}, CASE WHEN regexp_full_match(time_text, '{NAIVE}') THEN TRY_CAST(time_text AS TIMESTAMP) END AS local
            FROM {rows}
        )"""


def placed(rows: str, timezone: str) -> str:
    """A query that adds to rows with `local` and `instant` (of which at most one is known): `at`, the instant (null: none);
    `wall`, the time on the zone's clocks; `possible`, whether that is within the years that are read.

    Of a local time that occurs twice the first is taken: the offset of 24 hours before, if it is right at that time, and
    the one that the engine takes. One that the clocks skipped is none.
    """
    zone = quoted(timezone)
    return f"""
        SELECT * EXCLUDE (earlier, later), CASE
            WHEN NOT possible THEN NULL
            WHEN instant IS NOT NULL THEN instant
            WHEN timezone({zone}, earlier) = local THEN least(earlier, later)
            WHEN timezone({zone}, later) = local THEN later
        END AS "at"
        FROM (
            SELECT *, coalesce(local, timezone({zone}, instant)) AS wall,
                wall BETWEEN TIMESTAMP '0001-01-02' AND TIMESTAMP '9999-12-30' AS possible,
                CASE WHEN possible THEN timezone({zone}, local) END AS later,
                CASE WHEN possible THEN timezone({zone}, local - INTERVAL 24 HOUR) + INTERVAL 24 HOUR END AS earlier
            FROM {rows}
        )"""
