"""The written shop runs with the written configuration: all tables are read and no row is refused."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from simulation.conftest import START

from segmentation import history
from segmentation.config import load as load_config
from segmentation.simulation.scenario import load
from segmentation.simulation.shop import published, simulate
from segmentation.store.store import open_store


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_simulated_shop_is_segmented(tmp_path: Path, form: str) -> None:
    simulate(tmp_path, load("stationary"), users=600, days=9, start=START, seed=0, form=form)  # type: ignore[arg-type]
    config = load_config(tmp_path / "segmentation.toml", {})
    first, _ = published(9, START)
    last: date = first + timedelta(days=1)
    result = history.backfill(config, first, last, "forward", 1)
    assert result["skipped"] == []
    state = open_store(config).state()
    assert set(state.published) == {first, last}
    tables = state.accepted[last].tables
    assert set(tables) == {"orders", "events", "reviews", "users"}
    for name, table in tables.items():
        assert table.rows > 0 or name == "reviews"  # so small a shop has none on some days
        assert table.quality["quarantined"] == 0
        assert table.quality["accepted"] == table.quality["rows"] == table.rows
