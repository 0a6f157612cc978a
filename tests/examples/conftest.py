"""Runs an example on its data set, as someone does who has put the files beside the configuration."""

import os
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from segmentation import history
from segmentation.config import Config, load
from segmentation.monitor import read_models
from segmentation.store.store import Store, open_store
from segmentation.store.verify import verify

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DATA = Path(os.environ.get("SEGMENTATION_TEST_DATA", EXAMPLES.parents[1] / "shared" / "data"))


@dataclass
class Ran:
    """What became of an example: its configuration and its store; `first` and `last`: the published days."""

    config: Config
    store: Store
    first: date
    last: date

    def features(self) -> pd.DataFrame:
        """The last day's features, by user: that of the window that ends on it."""
        folder = self.store.state().published[self.last].folder
        return pd.read_parquet(self.store.objects.path(f"{folder}/features.parquet")).set_index("user_id")

    def in_window(self, days: pd.Series) -> pd.Series:
        """Which of the timestamps are in the last day's window."""
        end = pd.Timestamp(self.last) + pd.Timedelta(days=1)
        return (days < end) & (days >= end - pd.Timedelta(days=self.config.features.window_days))

    def accepted(self, table: str) -> pd.DataFrame:
        """All accepted rows."""
        keys = [day.tables[table].accepted for _, day in sorted(self.store.state().accepted.items())]
        return pd.concat([pd.read_parquet(self.store.objects.path(key)) for key in keys if key])

    def counts(self, table: str) -> dict[str, int]:
        """What became of the rows of all accepted days, by reason of those in quarantine."""
        found: dict[str, int] = {"rows": 0, "accepted": 0}
        for day in self.store.state().accepted.values():
            quality = day.tables[table].quality
            for name, count in [
                ("rows", quality["rows"]),
                ("accepted", quality["accepted"]),
                *quality["reasons"].items(),
            ]:
                found[name] = found.get(name, 0) + count
        return found

    def files(self) -> dict[str, dict[str, int]]:
        """The last day's files, by name: rows, of_accepted_days, waiting, undated."""
        return {file["file"]: file for file in read_models.files(self.store, self.last)}


RunExample = Callable[..., Ran]


def data(name: str) -> Path:
    """A file of the data sets. Skips the test, saying which, where it is absent."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the data set is not here: {path}")
    return path


@pytest.fixture
def run_example(tmp_path: Path) -> RunExample:
    """Run an example over several days: twice, in different orders, and check all that holds for each of them.

    files: name beside the configuration → file. window: days, fewer than the example's own, to be quick. more: text that is
    added to the configuration.
    """

    def run(
        name: str, files: Mapping[str, Path], first: date, last: date, window: int | None = None, more: str = ""
    ) -> Ran:
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("data", "store"))
        with (folder / "segmentation.toml").open("a") as file:
            file.write(more)
        for place, path in files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).symlink_to(path.resolve())
        environment = {"SEGMENTATION__FEATURES__WINDOW_DAYS": str(window)} if window else {}
        config = load(folder / "segmentation.toml", environment)
        days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]

        done = history.backfill(config, first, last)
        assert [day["date"] for day in done["published"]] == [f"{day}" for day in days]
        assert done["skipped"] == []
        assert history.reconcile(config) == []
        assert all(day["users"] > 0 and day["segments"] == config.clustering.segments for day in done["published"])
        store = open_store(config)
        check_nothing_is_lost(store)
        assert verify(store) == []

        backwards = load(folder / "segmentation.toml", environment | {"SEGMENTATION__STORE__URL": "file:backwards"})
        for day in reversed(days):
            history.run(backwards, day)
        history.reconcile(backwards)
        assert open_store(backwards).state().digest() == store.state().digest()
        return Ran(config, store, first, last)

    return run


def check_nothing_is_lost(store: Store) -> None:
    """Every row read is accepted or in quarantine, or of a day that nobody has asked for, or has no day."""
    for day, accepted in store.state().accepted.items():
        for table in accepted.tables.values():
            quality = table.quality
            assert quality["rows"] == quality["accepted"] + quality["quarantined"] == sum(table.files.values())
            assert (quality["accepted"], quality["quarantined"]) == (table.rows, sum(quality["reasons"].values()))
        for file in read_models.files(store, day):
            assert file["rows"] == file["of_accepted_days"] + file["waiting"] + file["undated"]


def block(name: str, language: str = "toml") -> str:
    """The first block of a language in an example's README."""
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    return text.split(f"```{language}\n")[1].split("```")[0]


@pytest.fixture
def snippet() -> Callable[[str], str]:
    """What an example's README says that can be added to its configuration."""

    def found(name: str) -> str:
        text = block(name)
        tomllib.loads(text)
        return text

    return found
