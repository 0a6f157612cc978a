"""A shop of a scenario, written day by day: its tables as a shop would have them, and apart from them the truth."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from segmentation.errors import ConfigError
from segmentation.simulation.activity import Activity
from segmentation.simulation.population import Population
from segmentation.simulation.scenario import Scenario
from segmentation.tables import ACTIVITY

Format = Literal["parquet", "csv"]
WINDOW_DAYS = 90
MOST_USERS = 9_000_000  # the ids have seven digits
LONGEST_DAYS = 3660


def simulate(
    folder: Path,
    scenario: Scenario,
    users: int,
    days: int,
    start: date,
    seed: int,
    form: Format = "parquet",
    tick: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Write a shop into a new folder. `users`: those of the first day; more arrive. Returns what was written, in numbers.

    The same arguments give the same bytes, and a day does not depend on how many days follow. One day is in memory.
    Raises ConfigError when the folder is not empty or a number is out of range.
    """
    for name, value, largest in (("users", users, MOST_USERS), ("days", days, LONGEST_DAYS)):
        if not 1 <= value <= largest:
            raise ConfigError(f"{name} = {value}: give a number from 1 to {largest:,}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and not empty; name a new folder with --out")
    for name in (*ACTIVITY, "truth"):
        (folder / name).mkdir(parents=True)
    population = Population(scenario, users)
    activity = Activity(scenario, _generator(seed, 0))
    rows = dict.fromkeys(ACTIVITY, 0)
    for day in range(days):
        on, draw = start + timedelta(days=day), _generator(seed, day + 1)
        population.step(day, draw)
        for name, table in activity.rows(day, on, population, draw).items():
            _write(table, folder / name / f"{on}.{form}", form)
            rows[name] += table.num_rows
        tick("days", day + 1, days)
    first = np.datetime64(start)
    everyone = population.users(first)
    _write(everyone, folder / f"users.{form}", form)
    truth = dict(zip(("users", "moves"), population.truth(first), strict=True))
    for name, table in truth.items():
        _write(table, folder / "truth" / f"{name}.parquet", "parquet")
    _write_json(folder / "truth" / "happenings.json", happenings(scenario, start, days))
    _write_json(folder / "truth" / "scenario.json", scenario.model_dump(mode="json") | {"seed": seed, "users": users})
    # Last: a folder without it was not finished.
    (folder / "segmentation.toml").write_text(configuration(scenario, days, start, form), encoding="utf-8")
    return {
        "folder": str(folder),
        "published": [f"{day}" for day in published(days, start)],
        "users": everyone.num_rows,
        "moves": truth["moves"].num_rows,
        "rows": rows,
    }


def published(days: int, start: date) -> tuple[date, date]:
    """The first and the last day with a whole window."""
    return start + timedelta(days=_window(days) - 1), start + timedelta(days=days - 1)


def _window(days: int) -> int:
    return min(WINDOW_DAYS, max(1, days // 3))


def happenings(scenario: Scenario, start: date, days: int) -> list[dict[str, Any]]:
    """What was planted within the days: type, from and to (its first and last day), and the scenario's other settings."""
    found = []
    for happening in sorted(scenario.happenings, key=lambda happening: happening.after_days):
        if happening.after_days < days:
            first = start + timedelta(days=happening.after_days)
            dates = {"from": f"{first}", "to": f"{first + timedelta(days=happening.days - 1)}"}
            settings = happening.model_dump(mode="json", exclude={"type", "after_days", "days"})
            found.append({"type": happening.type, **dates, **settings})
    return found


def kinds_on(folder: Path, day: date) -> pa.Table:
    """The truth of a day: user_id and kind of those who were in the shop, sorted by user_id (`gone` among the kinds)."""
    users = pq.read_table(folder / "truth" / "users.parquet", filters=[("date", "<=", day)])
    moves = pq.read_table(folder / "truth" / "moves.parquet", filters=[("date", "<=", day)])
    moves = moves.sort_by([("user_id", "ascending"), ("date", "ascending")])
    ids = np.append(users["user_id"].to_numpy(), moves["user_id"].to_numpy())
    kinds = np.append(users["kind"].to_numpy(), moves["to_kind"].to_numpy())
    # The last one of each user counts: the first one backwards.
    found, last = np.unique(ids[::-1], return_index=True)
    return pa.table({"user_id": found, "kind": kinds[::-1][last]})


def configuration(scenario: Scenario, days: int, start: date, form: Format) -> str:
    """A configuration for the shop: a third of its days, at most 90, are the window; it is published once that is full."""
    first, last = published(days, start)
    sources = "\n\n".join(f'[sources.{name}]\npath = "{name}/{{date}}.{form}"' for name in ACTIVITY)
    return f"""\
# A simulated shop. {scenario.description}
# The columns have their canonical names: nothing needs to be mapped. What was planted is in truth/, which is not read.

[project]
timezone = "UTC"
start = {first}  # the first day with a whole window
end = {last}

[store]
url = "file:store"

{sources}

[sources.users]
path = "users.{form}"
columns = {{ channel = "channel", region = "region" }}

[features]
window_days = {_window(days)}
"""


def _generator(seed: int, stream: int) -> np.random.Generator:
    """Stream 0 is the shop's, each day has its own."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream,))))


def _write(table: pa.Table, path: Path, form: Format) -> None:
    if form == "parquet":
        # Without Arrow's own schema: texts are texts, however they were kept.
        pq.write_table(table, path, store_schema=False)
        return
    plain = [
        column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column for column in table.itercolumns()
    ]
    pa_csv.write_csv(pa.table(plain, table.column_names), path, pa_csv.WriteOptions(quoting_style="needed"))


def _write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
