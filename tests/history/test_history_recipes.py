"""A changed configuration: recorded, in force from the next day on, refused where it needs a new model."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from shop import FIRST, random_shop, shop_config

from segmentation import history, stages
from segmentation.config import Config
from segmentation.errors import ConfigError, DataContractError
from segmentation.store.store import open_store
from segmentation.store.verify import verify

DAYS = [FIRST + timedelta(days=offset) for offset in range(5, 13)]


def test_a_recipe_with_other_midnights_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    random_shop(tmp_path, seed=19)
    config = shop_config(tmp_path)
    history.run(config, DAYS[0])
    before = open_store(config).state()
    with pytest.raises(ConfigError, match="the history was cut into days in 'UTC'"):
        history.run(shop_config(tmp_path, project={"timezone": "Asia/Shanghai"}), DAYS[1])
    assert open_store(config).state() == before


@pytest.mark.parametrize(
    "sections",
    [
        {"clustering": {"segments": 3}},
        {"features": {"window_days": 6}},
        {"features": {"window_days": 3}},
        {"clustering": {"algorithm": "dbscan", "min_samples": 2}},
    ],
)
def test_a_recipe_that_needs_a_new_model_has_it_from_its_first_day_on(tmp_path: Path, sections: dict[str, Any]) -> None:
    """The same users are scored by both models, so who stays in a segment that goes on has not moved."""
    random_shop(tmp_path, seed=19, users=40)
    config = shop_config(tmp_path)
    for day in DAYS[:2]:
        history.run(config, day)
    changed = shop_config(tmp_path, **sections)
    for day in DAYS[2:4]:
        history.run(changed, day)
    store = open_store(config)
    decisions = [store.json(f"{store.state().published[day].folder}/decision.json") for day in DAYS[:4]]
    assert [(one["decision"], one["reason"]) for one in decisions[1:]] == [
        ("hold", "ordinary"),
        ("restructure", "recipe"),
        ("hold", "ordinary"),
    ]
    assert store.json(f"{store.state().published[DAYS[2]].folder}/inputs.json")["window_days"] >= 5
    assert {event["event"] for event in decisions[2]["events"]} <= {
        "survived",
        "split",
        "merged",
        "absorbed",
        "died",
        "born",
    }
    members = store.objects.table(f"{store.state().published[DAYS[2]].folder}/memberships.parquet")
    moved = [row for row in members.to_pylist() if row["status"] in ("moved", "reassigned", "lapsed", "entered")]
    assert all(row["cause"] == "model" for row in moved if row["status"] == "reassigned")
    assert verify(store) == []


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


def reading(root: Path, **options: object) -> Config:
    """The shop's configuration with other ways to read its files than the one of the tests."""
    return shop_config(root, sources={"orders": {"path": "orders/*.csv", "options": {"lookback_days": 2, **options}}})


def test_a_day_that_was_read_by_another_recipe_is_read_again_however_old(tmp_path: Path) -> None:
    """A run that got no further than accepting its day, then another way of reading, further on than the look-back."""
    random_shop(tmp_path, seed=19)
    config = shop_config(tmp_path)
    history.run(config, DAYS[0])
    stages.validate(config, stages.extract(config, DAYS[1])["read"])
    assert open_store(config).state().accepted[DAYS[1]].reading == config.recipe().reading
    changed = reading(tmp_path, delimiter=",")
    history.run(changed, DAYS[5])
    assert open_store(config).state().accepted[DAYS[1]].reading == changed.recipe().reading


def test_a_day_is_not_derived_from_rows_that_an_older_recipe_read(tmp_path: Path) -> None:
    """The configuration is changed by one run while another one of the same day has just accepted its rows."""
    random_shop(tmp_path, seed=19)
    config = shop_config(tmp_path)
    history.run(config, DAYS[0])
    stages.validate(config, stages.extract(config, DAYS[1])["read"])
    changed = reading(tmp_path, delimiter=",")
    read = stages.extract(changed, DAYS[1])["read"]
    with pytest.raises(DataContractError, match=f"the first is {DAYS[1]}; run the day from `extract` on"):
        stages.build_features(config, DAYS[1])
    stages.validate(changed, read)
    assert history.derive(changed, DAYS[1])["outcome"] == "published"


def test_a_column_that_was_renamed_with_its_mapping_loses_no_row(tmp_path: Path) -> None:
    """Files before the change have the old name, those after it the new one, and each may hold rows of the other's days."""
    shop = random_shop(tmp_path, seed=19)
    plain = shop_config(tmp_path, "plain")
    folder = tmp_path / "orders"

    def rename(column: str, name: str, days: list[date]) -> None:
        for file in [folder / f"{day}.csv" for day in days]:
            if file.exists():
                file.write_text(file.read_text().replace(column, name, 1))

    rest = [DAYS[0] + timedelta(days=offset) for offset in range(3, 9)]
    rename("amount", "paid", [FIRST + timedelta(days=offset) for offset in range(20)])
    mapping = {"path": "orders/2*.csv", "options": {"lookback_days": 2}}
    before = shop_config(tmp_path, sources={"orders": {**mapping, "columns": {"amount": "paid"}}})
    for day in DAYS[:3]:
        history.run(before, day)
    shop.buy(rest[1], "u1", 12.5)
    shop.rows[rest[1]].append(f"late,u1,{DAYS[2]} 12:00:00,1,99.5")
    shop.write(rest[1])
    rename("paid", "total", rest)
    rename("amount", "total", rest)
    with pytest.raises(DataContractError, match=r"has no column 'paid'.*total"):
        history.run(before, rest[0])
    after = shop_config(tmp_path, sources={"orders": {**mapping, "columns": {"amount": "total"}}})
    for day in rest:
        history.run(after, day)
    history.reconcile(after)
    assert open_store(after).state().accepted[DAYS[2]].tables["orders"].rows == 1 + len(shop.rows.get(DAYS[2], []))
    rename("paid", "amount", [FIRST + timedelta(days=offset) for offset in range(20)])
    rename("total", "amount", rest)
    for day in [*DAYS[:3], *rest]:
        history.run(plain, day)
    assert open_store(plain).state().digest() == open_store(after).state().digest()


@pytest.mark.parametrize("after", [3, 9])
def test_a_mistake_in_a_new_mapping_is_refused_although_the_old_one_fits(tmp_path: Path, after: int) -> None:
    random_shop(tmp_path, seed=19)
    config = shop_config(tmp_path)
    for day in DAYS[:3]:
        history.run(config, day)
    digest = open_store(config).state().digest()
    wrong = shop_config(tmp_path, sources={"orders": {"path": "orders/2*.csv", "columns": {"discount": "discont"}}})
    # Days that were read before the change are as they were; a file that is new must be as the configuration says.
    new = DAYS[0] + timedelta(days=after)
    (tmp_path / "orders" / f"{new}.csv").write_text(f"order_id,user_id,ordered_at,amount\no1,u1,{new} 10:00:00,7.5\n")
    with pytest.raises(DataContractError, match="has no column 'discont'"):
        history.run(wrong, new)
    assert open_store(wrong).state().digest() == digest


def test_the_settings_of_the_validation_count_at_once_also_in_a_gap(tmp_path: Path) -> None:
    shop = random_shop(tmp_path, seed=19)
    shop.rows.pop(DAYS[2], None)
    shop.write(DAYS[2])
    refusing = shop_config(tmp_path, validation={"empty_days": "refuse"})
    assert str(DAYS[2]) in history.backfill(refusing, DAYS[0], DAYS[4])["skipped"]
    history.run(shop_config(tmp_path), DAYS[2])
    state = open_store(refusing).state()
    assert DAYS[2] in state.published
    assert len(state.recipes) == 1
