"""Browsing features of made-up events: this package, one hand-written DuckDB query, and straight pandas (columns pruned).

All three read the same accepted rows, one Parquet file per day, and end with the same 13 features per user, which is
checked. Each runs in a process of its own, so that its peak memory is its own; what importing takes is in neither figure.
They take turns, and the median of the rounds counts.

* "ours": as a first day or a backfill does it: the cells of all days, each day's written to the store by its content, read
  again for the window, summed up, and turned into features. The peers keep nothing.
* two kinds of events: with `session_id` and `duration_s`, and without: cut at 30 minutes of silence.

SEGMENTATION_BENCH_EVENTS: how many events, 5,000,000 if not said (50 million take about 1 GB of disk and, for pandas, 8 GB
of memory; SEGMENTATION_BENCH_PANDAS=no leaves it out). SEGMENTATION_BENCH_ROUNDS: 3 if not said.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

EVENTS = int(os.environ.get("SEGMENTATION_BENCH_EVENTS", "5_000_000"))
ROUNDS = int(os.environ.get("SEGMENTATION_BENCH_ROUNDS", "3"))
PANDAS = os.environ.get("SEGMENTATION_BENCH_PANDAS", "yes") != "no"
FIRST, DAYS = date(2024, 1, 1), 60
AS_OF = FIRST + timedelta(days=DAYS - 1)
KINDS = np.array(["view", "cart", "purchase", "search"])
SHARES = (0.8, 0.1, 0.04, 0.06)
COLUMNS = ["user_id", "event_at", "event_type"]
MORE = ["session_id", "duration_s"]
MB = 1024**2
Paths = list[tuple[date, str]]
Job = Callable[[Paths], pa.Table]

HAND_WRITTEN = """
WITH rows AS (
    SELECT user_id, event_at::DATE AS day, epoch_us(event_at) AS instant, event_type{more} FROM read_parquet($files)
    WHERE event_at::DATE BETWEEN $as_of::DATE - $days + 1 AND $as_of::DATE
), {cut} sessions AS (
    SELECT user_id, day, session_id, {minutes} AS minutes, count(*) FILTER (event_type = 'view') AS views,
        count(*) FILTER (event_type = 'cart') AS carts, count(*) FILTER (event_type = 'purchase') AS purchases
    FROM {source} GROUP BY ALL
), users AS (
    SELECT user_id, max(day) AS last, count(DISTINCT day) AS days, count(*) AS sessions, sum(views) AS views,
        sum(carts) AS carts, sum(purchases) AS purchases, sum(minutes) AS minutes, count(*) FILTER (views > 0) AS viewed,
        count(*) FILTER (carts > 0) AS carted, count(*) FILTER (views > 0 AND carts > 0) AS view_cart,
        count(*) FILTER (views > 0 AND purchases > 0) AS view_purchase,
        count(*) FILTER (carts > 0 AND purchases > 0) AS cart_purchase,
        count(*) FILTER (day > $as_of::DATE - 30) AS recent
    FROM sessions GROUP BY ALL
)
SELECT user_id,
    $as_of::DATE - last AS browse_recency,
    days AS browse_days,
    sessions,
    views,
    carts,
    purchases,
    views / sessions AS views_per_session,
    view_cart / nullif(viewed, 0) AS view_to_cart,
    cart_purchase / nullif(carted, 0) AS cart_to_purchase,
    view_purchase / nullif(viewed, 0) AS view_to_purchase,
    minutes AS browse_time,
    minutes / sessions AS minutes_per_session,
    recent / 30 / (sessions / $days) AS browse_trend
FROM users ORDER BY user_id
"""
GIVEN = {"more": ", session_id, duration_s", "cut": "", "source": "rows", "minutes": "sum(duration_s) / 60000"}
CUT = {
    "more": "",
    "cut": """begun AS (
    SELECT *, coalesce(instant - lag(instant) OVER (PARTITION BY user_id, day ORDER BY instant) > 1800000000, true)::INT
        AS begins
    FROM rows
), numbered AS (
    SELECT *, sum(begins) OVER (PARTITION BY user_id, day ORDER BY instant, begins DESC ROWS UNBOUNDED PRECEDING) AS session_id
    FROM begun
),""",
    "source": "numbered",
    "minutes": "(max(instant) - min(instant)) / 60000000",
}


def write_events(folder: Path, given: bool) -> None:
    """60 days of accepted rows, as they are kept: sessions of 8 events in the mean, ten per user, few users busy."""
    from segmentation.features.engine import in_order
    from segmentation.store.content import parquet_bytes

    folder.mkdir()
    sessions = EVENTS // DAYS // 8
    users = max(EVENTS // 80, 10)
    for number in range(DAYS):
        draw = np.random.default_rng(number)
        size = draw.geometric(1 / 8, sessions)
        session = np.repeat(np.arange(sessions), size)
        user = np.minimum(draw.pareto(1.2, sessions) * users / 20, users - 1).astype(np.int64)
        dwell = np.ceil(draw.exponential(40, len(session))).astype(np.int64)
        passed = np.cumsum(dwell) - dwell
        begin = passed[np.cumsum(size) - size]
        seconds = np.minimum(draw.integers(0, 80_000, sessions)[session] + passed - begin[session], 86_399)
        midnight = np.datetime64(FIRST + timedelta(days=number), "us")
        table = pa.table(
            {
                "user_id": _texts("u", user[session]),
                "event_at": pa.array(midnight + seconds.astype("timedelta64[s]"), pa.timestamp("us", "UTC")),
                "event_type": pa.array(KINDS).take(pa.array(draw.choice(4, len(session), p=SHARES))),
                "item_id": _texts("i", draw.integers(0, 20_000, len(session))),
                "session_id": _texts(f"s{number:02}-", session),
                "duration_s": pa.array(dwell * 1000),
            }
        )
        if not given:
            table = table.drop_columns(MORE)
        (folder / f"{FIRST + timedelta(days=number)}.parquet").write_bytes(parquet_bytes(in_order(table)))


def _texts(prefix: str, numbers: Any) -> pa.Array:
    values, places = np.unique(numbers, return_inverse=True)
    return pa.array([f"{prefix}{value:08}" for value in values.tolist()]).take(pa.array(places))


def paths(folder: Path) -> Paths:
    return [(date.fromisoformat(path.stem), str(path)) for path in sorted(folder.iterdir())]


def ours(given: bool, out: Path) -> Job:
    from segmentation.config import Features
    from segmentation.contracts.acceptance import with_cells
    from segmentation.features.catalogue import values
    from segmentation.features.windows import window_sums
    from segmentation.store.objects import Objects
    from segmentation.store.state import AcceptedDay, AcceptedTable

    def run(accepted: Paths) -> pa.Table:
        objects = Objects(out)
        columns = COLUMNS + (MORE if given else [])
        days = {
            day: AcceptedDay({"events": AcceptedTable("", "", {}, EVENTS // DAYS, path, None, None, columns, {})}, "")
            for day, path in accepted
        }
        cells = {
            "events": [
                (day, objects.path(made.tables["events"].cells)) for day, made in with_cells(objects, days).items()
            ]
        }
        settings = Features(window_days=DAYS)
        return values(
            window_sums(cells, AS_OF, AS_OF, settings), AS_OF, settings, {f"events.{name}" for name in columns}
        )

    return run


def hand_written(given: bool, _: Path) -> Job:
    import duckdb

    query = HAND_WRITTEN.format(**(GIVEN if given else CUT))

    def run(accepted: Paths) -> pa.Table:
        with duckdb.connect(config={"memory_limit": "2GB", "temp_directory": tempfile.gettempdir()}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            settings = {"files": [path for _, path in accepted], "as_of": AS_OF, "days": DAYS}
            return connection.sql(query, params=settings).to_arrow_table()

    return run


def plain_pandas(given: bool, _: Path) -> Job:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "features"))
    import pandas as pd
    import pandas_browsing

    def run(accepted: Paths) -> pa.Table:
        rows = pd.read_parquet([path for _, path in accepted], columns=COLUMNS + (MORE if given else []))
        names = {
            "user_id": "user",
            "event_at": "at",
            "event_type": "type",
            "session_id": "session",
            "duration_s": "seconds",
        }
        rows = rows.rename(columns=names)
        rows["at"] = rows["at"].dt.tz_localize(None)
        rows["day"] = rows["at"].dt.normalize()
        if given:
            rows["seconds"] /= 1000
        return pa.Table.from_pandas(
            pandas_browsing.features(rows, AS_OF.isoformat(), DAYS).reset_index(names="user_id")
        )

    return run


JOBS = {"ours": ours, "hand-written DuckDB query": hand_written, "plain pandas": plain_pandas}


def child(name: str, folder: Path, given: bool, out: Path) -> None:
    """In a process of its own: the job once; its features go to `out`, its figures to stdout."""
    run = JOBS[name](given, out / "store")
    run(paths(folder)[:1])  # imports what is imported late, and starts the engine
    before = resident()
    peak, done = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch, daemon=True)  # does not outlive a job that fails
    watcher.start()
    start, worked = time.perf_counter(), processor_seconds()
    table = run(paths(folder))
    seconds, worked = time.perf_counter() - start, processor_seconds() - worked
    done.set()
    watcher.join()
    pq.write_table(table, out / "features.parquet")
    print(json.dumps({"seconds": seconds, "processor": worked, "mb": (peak - before) / MB}))


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(folder: Path, given: bool) -> None:
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in JOBS if PANDAS or name != "plain pandas"}
    results = {}
    for _ in range(ROUNDS):
        for name, rounds in figures.items():
            with tempfile.TemporaryDirectory() as out:
                command = [sys.executable, __file__, name, str(folder), str(int(given)), out]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
                if done.returncode:
                    print(f"{name} ended with {done.returncode} (−9: the machine's memory did not suffice)")
                    continue
                rounds.append(json.loads(done.stdout))
                results[name] = (
                    pq.read_table(Path(out) / "features.parquet").to_pandas().set_index("user_id").astype(float)
                )
    for one, other in pairwise(results.values()):
        import pandas as pd

        pd.testing.assert_frame_equal(one, other[list(one.columns)], rtol=1e-9, atol=6e-7, check_names=False)
    users = len(results["ours"])
    kind = "sessions and durations given" if given else "sessions cut at 30 minutes of silence"
    print(f"\n{len(results['ours'].columns)} features of {users:,} users, {EVENTS:,} events of {DAYS} days; {kind}")
    print(
        f"{'':28}{'seconds':>9}{'of processors':>15}{'peak MB':>9}{'× by hand':>11}{'× pandas':>10}{'memory × pandas':>17}"
    )
    median = {
        name: {key: statistics.median(figure[key] for figure in rounds) for key in rounds[0]}
        for name, rounds in figures.items()
        if rounds
    }
    by_hand, pandas = median["hand-written DuckDB query"], median.get("plain pandas")
    for name, figure in median.items():
        versus = [figure["seconds"] / by_hand["seconds"]]
        versus += [figure[key] / pandas[key] for key in ("seconds", "mb")] if pandas else []
        numbers = "".join(f"{value:{width}.2f}" for value, width in zip(versus, (11, 10, 17), strict=False))
        print(f"{name:28}{figure['seconds']:9.2f}{figure['processor']:15.2f}{figure['mb']:9.0f}{numbers}")


def main() -> None:
    if len(sys.argv) == 5:
        child(sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "1", Path(sys.argv[4]))
        return
    with tempfile.TemporaryDirectory() as name:
        for given in (True, False):
            folder = Path(name) / f"{given}"
            write_events(folder, given)
            measure(folder, given)


if __name__ == "__main__":
    main()
