"""What the users do: at the rates of their kinds, with events and orders that agree."""

import numpy as np
import pandas as pd
import pytest
from simulation.conftest import DAYS, Made, Make

KINDS = ("loyal", "bargain", "big", "browser", "new", "lapsing", "one_timer")


@pytest.fixture(scope="module")
def shop(make: Make) -> Made:
    return make("stationary")


def near(seen: float, wanted: float, count: float, spread: float = 0.6) -> bool:
    """Within 15 %, or within five standard deviations of the mean of `count` things that differ by `spread`."""
    return abs(seen - wanted) <= max(0.15 * wanted, 5 * wanted * spread / np.sqrt(count))


@pytest.mark.parametrize("kind", KINDS)
def test_users_of_a_kind_have_its_rates(shop: Made, kind: str) -> None:
    wanted = shop.scenario.kinds[kind]
    there = shop.kinds == kind
    user_days, users = there.to_numpy().sum(), there.any(axis=1).sum()
    orders = shop.sold[shop.sold["kind"] == kind]
    sessions = shop.events[shop.events["kind"] == kind].groupby("session_id")["event_type"].agg(set)
    ended = sessions.map(lambda types: "purchase" in types)
    for found, rate in ((orders["order_id"].nunique(), wanted.orders), ((~ended).sum(), wanted.sessions)):
        # A user's rate is fixed: users differ by the spread, and their numbers by chance.
        deviation = np.hypot(wanted.spread / np.sqrt(users), 1 / np.sqrt(rate * user_days))
        assert found / user_days == pytest.approx(rate, rel=max(0.05, 5 * deviation))
    assert orders["order_id"].nunique() == ended.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_orders_of_a_kind_are_as_it_says(shop: Made, kind: str) -> None:
    wanted = shop.scenario.kinds[kind]
    sold = shop.sold[shop.sold["kind"] == kind]
    lines = sold.groupby("order_id").size()
    assert near(lines.mean(), wanted.lines, len(lines))
    assert near(sold["quantity"].mean(), wanted.quantity, len(sold))
    assert near((sold["discount"] > 0).mean(), wanted.discounted, len(sold) * wanted.discounted, 1)
    weights = wanted.categories or dict.fromkeys(shop.scenario.categories, 1)
    shares = sold["category"].value_counts(normalize=True)
    for category, weight in weights.items():
        # Half of a user's lines are of one favourite: users count more than lines.
        assert shares.get(category, 0) == pytest.approx(
            weight / sum(weights.values()), abs=0.05 + 2 / np.sqrt(len(lines))
        )


def test_weekdays_are_as_the_kind_says(shop: Made) -> None:
    loyal = shop.sold[(shop.sold["kind"] == "loyal") & (shop.sold["day"] < 70)]
    shares = loyal.groupby(loyal["day"] % 7)["order_id"].nunique()
    assert (shares / shares.sum()).tolist() == pytest.approx(np.array([0.5, 0.5, 0.5, 0.7, 1.5, 2.3, 1]) / 7, abs=0.02)


def test_a_line_costs_quantity_times_price_less_discount(shop: Made) -> None:
    sold = shop.sold
    assert np.allclose(sold["amount"], sold["quantity"] * sold["unit_price"] - sold["discount"], atol=1e-6)
    assert ((sold["amount"] > 0) & (sold["discount"] >= 0)).all()
    off = sold[sold["discount"] > 0]
    gross = (off["quantity"] * off["unit_price"]).sum()
    assert off["discount"].sum() / gross == pytest.approx(shop.scenario.shop.discount, rel=0.05)
    assert (sold.groupby("item_id")["unit_price"].nunique() == 1).all()
    assert (shop.orders["currency"] == "EUR").all()


def test_returns_take_back_lines_that_were_sold_days_before(shop: Made) -> None:
    back = shop.orders[shop.orders["quantity"] < 0]
    keys = ["user_id", "item_id", "unit_price"]
    pairs = back.assign(quantity=-back["quantity"], amount=-back["amount"]).merge(
        shop.sold, on=[*keys, "quantity", "amount"], suffixes=("", "_sold")
    )
    delay = pairs["day"] - pairs["day_sold"]
    assert set(pairs.loc[delay.between(3, 14), "order_id"]) == set(back["order_id"])
    kinds = shop.scenario.kinds
    expected = sum(kinds[kind].returned * count for kind, count in shop.sold["kind"].value_counts().items())
    assert len(back) == pytest.approx(expected * (1 - 8.5 / DAYS), rel=0.2)


def test_reviews_are_of_things_bought_days_before(shop: Made) -> None:
    reviews = shop.reviews
    pairs = reviews.reset_index().merge(shop.sold, on=["user_id", "item_id"], suffixes=("", "_sold"))
    assert set(pairs.loc[(pairs["day"] - pairs["day_sold"]).between(1, 10), "index"]) == set(reviews.index)
    assert reviews["rating"].isin([1, 2, 3, 4, 5]).all()
    assert 3.8 < reviews["rating"].mean() < 4.3
    assert len(reviews) == pytest.approx(0.05 * len(shop.sold) * (1 - 5.5 / DAYS), rel=0.2)


def test_every_purchase_is_an_order_line_and_was_seen_and_carted_before(shop: Made) -> None:
    bought = shop.events[shop.events["event_type"] == "purchase"]
    keys = ["user_id", "at", "item_id", "category"]

    def sorted_rows(rows: pd.DataFrame, at: str) -> pd.DataFrame:
        return rows.rename(columns={at: "at"})[keys].sort_values(keys, ignore_index=True)

    pd.testing.assert_frame_equal(sorted_rows(bought, "event_at"), sorted_rows(shop.sold, "ordered_at"))
    for earlier in ("view", "cart"):
        first = shop.events[shop.events["event_type"] == earlier].groupby(["session_id", "item_id"])["event_at"].min()
        before = bought.join(first.rename("earlier"), on=["session_id", "item_id"])
        assert (before["earlier"] <= before["event_at"]).all()


def test_a_session_is_one_users_and_one_days(shop: Made) -> None:
    sessions = shop.events.groupby("session_id").agg({"user_id": "nunique", "day": "nunique"})
    assert (sessions == 1).all().all()
    for table, at in (("events", "event_at"), ("orders", "ordered_at"), ("reviews", "reviewed_at")):
        rows = getattr(shop, table)
        assert ((rows[at] - pd.Timestamp("2025-01-06")).dt.days == rows["day"]).all()
        assert rows.groupby("day")[at].is_monotonic_increasing.all()
    ordered = shop.events.sort_values(["session_id", "event_at"], kind="stable")
    gaps = ordered.groupby("session_id")["event_at"].diff().dt.total_seconds()
    lasted = ordered.groupby("session_id")["duration_s"].shift()
    assert (
        gaps.dropna() == lasted.dropna()
    ).mean() > 0.95  # what is seen lasts until the next (0 seconds may be disordered)
    assert shop.events.loc[shop.events["event_type"] == "search", "item_id"].isna().all()
    assert shop.events.loc[shop.events["event_type"] != "search", "item_id"].notna().all()


def test_nobody_does_anything_before_signing_up(shop: Made) -> None:
    signed_up = pd.read_parquet(shop.folder / "users.parquet").set_index("user_id")["signed_up_at"]
    for table, at in (("events", "event_at"), ("orders", "ordered_at")):
        rows = getattr(shop, table)
        assert (rows["user_id"].map(signed_up) < rows[at]).all()


def test_few_items_sell_most_and_companions_sell_together(shop: Made) -> None:
    counts = shop.sold["item_id"].value_counts()
    assert counts.iloc[:60].sum() > 0.4 * counts.sum()  # a tenth of the items
    number = shop.sold["item_id"].str[1:].astype(int) - 1
    lines = shop.sold.assign(number=number, partner=number ^ 1)[["order_id", "number", "partner"]]
    pairs = lines.merge(lines, left_on=["order_id", "partner"], right_on=["order_id", "number"])
    together = pairs["order_id"].nunique()
    # Beside it, pairs of items two places apart: as popular, no companions.
    others = lines.assign(partner=number ^ 2)
    chance = lines.merge(others, left_on=["order_id", "number"], right_on=["order_id", "partner"])["order_id"].nunique()
    assert together > 2 * chance
