"""Which files a source names now."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from segmentation.config import Config
from segmentation.errors import ConfigError, DataContractError
from segmentation.sources.places import find
from segmentation.sources.source_file import CSV, DATABASE, JSON_LINES, PARQUET, SourceFile

DAYS = [date(2026, 1, 1), date(2026, 1, 2)]


def found(root: Path, path: Any, folders: tuple[str, ...] = (), **source: Any) -> list[SourceFile]:
    orders = {"path": path, **source} if path else source
    config = Config(root=root, project={"data_folders": folders}, sources={"orders": orders})
    return find(config.sources.tables()["orders"], "orders", config, DAYS)


def test_a_glob_names_its_files_sorted_and_relative_to_the_configuration(tmp_path: Path) -> None:
    names = ("b.csv", "a.parquet", "c.CSV.gz", "d.jsonl", "e.JSONL.gz", "f.ndjson", "g.ndjson.gz")
    (tmp_path / "orders").mkdir()
    for name in names:
        (tmp_path / "orders" / name).touch()
    files = found(tmp_path, "orders/*")
    assert [(file.name, file.kind) for file in files] == [
        ("orders/a.parquet", PARQUET),
        ("orders/b.csv", CSV),
        ("orders/c.CSV.gz", CSV),
        ("orders/d.jsonl", JSON_LINES),
        ("orders/e.JSONL.gz", JSON_LINES),
        ("orders/f.ndjson", JSON_LINES),
        ("orders/g.ndjson.gz", JSON_LINES),
    ]
    assert files[1].paths == (tmp_path / "orders" / "b.csv",)


@pytest.mark.parametrize("path", ["orders/*.csv", "orders.csv"])
def test_a_path_that_matches_nothing_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataContractError) as error:
        found(tmp_path, path)
    for part in (repr(path), str(tmp_path), "[sources.orders] path"):
        assert part in str(error.value)


def test_a_file_of_another_kind_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "orders.xlsx").touch()
    with pytest.raises(DataContractError, match=r"orders\.xlsx is neither CSV"):
        found(tmp_path, "*")


def test_of_several_paths_all_files_count_once(tmp_path: Path) -> None:
    for name in ("2025.csv", "2026-01.csv", "2026-02.csv"):
        (tmp_path / name).touch()
    files = found(tmp_path, ["2026-*.csv", "2025.csv", "2026-01.csv"])
    assert [file.name for file in files] == ["2025.csv", "2026-01.csv", "2026-02.csv"]


def test_each_of_several_paths_must_match(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(DataContractError, match=r"'b\.csv'"):
        found(tmp_path, ["a.csv", "b.csv"])


def test_a_template_names_the_files_of_the_days_only(tmp_path: Path) -> None:
    for day in ("2025-12-31", "2026-01-01", "2026-01-02", "2026-01-03"):
        (tmp_path / day).mkdir()
        (tmp_path / day / f"{day}-a.csv").touch()
        (tmp_path / day / f"{day}-b.csv").touch()
    names = [file.name for file in found(tmp_path, "{date}/{date}-*.csv")]
    assert names == [f"2026-01-0{day}/2026-01-0{day}-{letter}.csv" for day in (1, 2) for letter in "ab"]


def test_a_day_without_its_file_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "2026-01-02.csv").touch()
    assert [file.name for file in found(tmp_path, "{date}.csv")] == ["2026-01-02.csv"]
    assert found(tmp_path, "other/{date}.csv") == []


def test_a_database_is_asked_day_by_day(tmp_path: Path) -> None:
    files = found(tmp_path, None, sql="SELECT * FROM o WHERE day = :date", connection="shop")
    assert files == [SourceFile("shop", DATABASE, (), day, sql="SELECT * FROM o WHERE day = :date") for day in DAYS]


def test_a_file_outside_of_the_allowed_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop" / "drop").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    secret = tmp_path / "secret.csv"
    secret.touch()
    (tmp_path / "data" / "a.csv").touch()
    (tmp_path / "shop" / "b.csv").touch()
    assert len(found(tmp_path / "shop", ["../data/a.csv", "b.csv"], ("../data",))) == 2
    (tmp_path / "data" / "link.csv").symlink_to(secret)
    for path in ("../secret.csv", str(secret), "../data/link.csv"):
        with pytest.raises(ConfigError, match=r"outside of \[project\] data_folders \(\.\./data\)"):
            found(tmp_path / "shop", path, ("../data",))


def test_without_allowed_folders_any_file_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "a.csv").touch()
    assert len(found(tmp_path / "shop", "../a.csv")) == 1
