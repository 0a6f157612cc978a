"""A changed configuration: recorded, in force from the next day on, refused where it needs a new model."""

from datetime import timedelta
from pathlib import Path

import pytest
from shop import FIRST, random_shop, shop_config

from segmentation import history, stages
from segmentation.errors import ConfigError
from segmentation.store.store import open_store

DAYS = [FIRST + timedelta(days=offset) for offset in range(5, 13)]


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"clustering": {"segments": 3}}, "[clustering] changed (segments from 2 to 3)"),
        ({"features": {"window_days": 6}}, "[features] changed (window_days from 5 to 6)"),
        ({"project": {"timezone": "Asia/Shanghai"}}, "the history was cut into days in 'UTC'"),
    ],
)
def test_a_recipe_that_needs_a_new_model_is_refused_and_nothing_changes(
    tmp_path: Path, sections: dict, said: str
) -> None:
    random_shop(tmp_path, seed=19)
    config = shop_config(tmp_path)
    history.run(config, DAYS[0])
    before = open_store(config).state()
    with pytest.raises(ConfigError) as error:
        history.run(shop_config(tmp_path, **sections), DAYS[1])
    assert said in str(error.value)
    assert open_store(config).state() == before


def test_before_anything_is_published_any_recipe_may_take_the_place_of_the_last(tmp_path: Path) -> None:
    random_shop(tmp_path, seed=19)
    stages.extract(shop_config(tmp_path), DAYS[0])
    config = shop_config(tmp_path, clustering={"segments": 3})
    history.run(config, DAYS[0])
    assert open_store(config).state().published[DAYS[0]].summary["segments"] == 3


def test_a_changed_recipe_restates_nothing_and_counts_from_the_next_day(tmp_path: Path) -> None:
    random_shop(tmp_path, seed=19)
    config = shop_config(tmp_path)
    for day in DAYS[:3]:
        history.run(config, day)
    before = open_store(config).state()
    changed = shop_config(tmp_path, adjustment={"move_points": 1000, "return_points": 1000})
    history.run(changed, DAYS[3])
    history.run(changed, DAYS[1])  # an old day again: by the recipe that was in force on it
    state = open_store(config).state()
    assert history.stale(changed) == []
    assert {day: state.published[day] for day in DAYS[:3]} == before.published
    assert [recipe.from_date for recipe in state.recipes] == [None, DAYS[3]]


def test_a_day_that_was_read_by_another_recipe_is_read_again_however_old(tmp_path: Path) -> None:
    """A run that got no further than accepting its day, then another way of reading, further on than the look-back."""
    random_shop(tmp_path, seed=19)
    config = shop_config(tmp_path)
    history.run(config, DAYS[0])
    stages.validate(config, stages.extract(config, DAYS[1])["read"])
    assert open_store(config).state().accepted[DAYS[1]].reading == config.recipe().reading
    changed = shop_config(tmp_path, validation={"empty_days": "allow", "max_quarantined_share": 0.8})
    history.run(changed, DAYS[5])
    assert open_store(config).state().accepted[DAYS[1]].reading == changed.recipe().reading
