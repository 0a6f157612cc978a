"""The same shop every time, day by day; a configuration that fits it."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from simulation.conftest import START
from typer.testing import CliRunner

from segmentation.config import load as load_config
from segmentation.errors import ConfigError
from segmentation.simulation.scenario import load
from segmentation.simulation.shop import configuration, simulate


def made(folder: Path, name: str = "stationary", users: int = 300, days: int = 10, **more: Any) -> Path:
    simulate(folder, load(name), **{"users": users, "days": days, "start": START, "seed": 1} | more)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_threads(tmp_path: Path) -> None:
    threads = pa.cpu_count()
    first = content(made(tmp_path / "a"))
    try:
        pa.set_cpu_count(threads + 3)
        assert content(made(tmp_path / "b")) == first
    finally:
        pa.set_cpu_count(threads)
    other = content(made(tmp_path / "c", seed=2))
    assert other.keys() == first.keys()
    assert all(other[name] != first[name] for name in first if name.startswith(("orders/", "events/")))


def test_a_day_does_not_depend_on_how_many_follow(tmp_path: Path) -> None:
    short, long = content(made(tmp_path / "short", days=10)), content(made(tmp_path / "long", days=20))
    days = [name for name in short if name.startswith(("orders/", "events/", "reviews/"))]
    assert len(days) == 30
    assert all(short[name] == long[name] for name in days)
    users = [pd.read_parquet(tmp_path / name / "users.parquet") for name in ("short", "long")]
    pd.testing.assert_frame_equal(users[0], users[1].iloc[: len(users[0])])
    moves = [pd.read_parquet(tmp_path / name / "truth" / "moves.parquet") for name in ("short", "long")]
    pd.testing.assert_frame_equal(moves[0], moves[1].iloc[: len(moves[0])])


def test_csv_says_the_same_as_parquet(tmp_path: Path) -> None:
    made(tmp_path / "parquet")
    made(tmp_path / "csv", form="csv")
    for table, at in (("orders", "ordered_at"), ("events", "event_at"), ("reviews", "reviewed_at")):
        parquet = pd.read_parquet(tmp_path / "parquet" / table / f"{START}.parquet")
        csv = pd.read_csv(tmp_path / "csv" / table / f"{START}.csv", parse_dates=[at])
        pd.testing.assert_frame_equal(parquet, csv, check_dtype=False)


@pytest.mark.parametrize("days", [1, 2, 10, 400])
def test_the_configuration_is_valid_and_publishes_the_days_with_a_whole_window(tmp_path: Path, days: int) -> None:
    (tmp_path / "segmentation.toml").write_text(configuration(load("stationary"), days, START, "parquet"))
    config = load_config(tmp_path / "segmentation.toml", {})
    start, end = config.project.start, config.project.end
    assert start is not None
    assert end is not None
    assert (end - START).days == days - 1
    assert (start - START).days == config.features.window_days - 1
    assert config.features.window_days <= 90
    assert set(config.sources.tables()) == {"orders", "events", "reviews", "users"}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_days_without_rows_have_files_with_all_columns(tmp_path: Path, form: str) -> None:
    made(tmp_path / "shop", users=1, form=form)
    for table, columns in (("orders", 10), ("events", 7), ("reviews", 4)):
        for file in (tmp_path / "shop" / table).iterdir():
            rows = pd.read_csv(file) if form == "csv" else pd.read_parquet(file)
            assert rows.shape == (0, columns)


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty; name a new folder with --out"):
        made(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("name", "value"), [("users", 0), ("days", 0), ("days", 100_000)])
def test_numbers_out_of_range(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{name} = {value}: give a number from 1 to"):
        made(tmp_path / "shop", **{name: value})
    assert not (tmp_path / "shop").exists()


def test_users_whom_the_team_named_are_excluded(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'extends = "stationary"\ndescription = "With staff."\n[kinds.staff]\norders = 0.2\nsessions = 1\nexcluded = true\n'
        '[[happenings]]\ntype = "born"\nafter_days = 0\nkind = "staff"\nshare = 0.1\n'
    )
    made(tmp_path / "shop", str(tmp_path / "mine.toml"))
    users = pd.read_parquet(tmp_path / "shop" / "users.parquet").set_index("user_id")
    kinds = pd.read_parquet(tmp_path / "shop" / "truth" / "users.parquet").set_index("user_id")["kind"]
    assert users["excluded"].sum() == 30
    assert (users["excluded"] == (kinds == "staff")).all()


def test_the_command(tmp_path: Path) -> None:
    from segmentation.cli import simulating  # noqa: F401  (adds its command)
    from segmentation.cli.app import app

    words = ["simulate", "--out", str(tmp_path / "shop"), "--users", "50", "--days", "6", "--start", "2024-02-26"]
    result = CliRunner().invoke(app, [*words, "--scenario", "sale", "--seed", "3"], prog_name="segmentation")
    assert result.exit_code == 0, result.output
    assert "backfill --from 2024-02-27 --to 2024-03-02" in result.stdout
    assert sorted(file.stem for file in (tmp_path / "shop" / "orders").iterdir())[3] == "2024-02-29"
    document = tomllib.loads((tmp_path / "shop" / "segmentation.toml").read_text())
    assert document["project"]["end"] == date(2024, 3, 2)
    again = CliRunner().invoke(app, [*words, "--scenario", "sail"])
    assert isinstance(again.exception, ConfigError)
    assert "did you mean 'sale'?" in str(again.exception)
