"""What a scenario plants is in the data, from its date on, and the truth says so."""

import json
from datetime import timedelta
from itertools import pairwise

import pandas as pd
import pyarrow.parquet as pq
import pytest
from simulation.conftest import DAYS, START, USERS, Made, Make, days_since

from segmentation.simulation.scenario import shipped
from segmentation.simulation.shop import kinds_on

FIRST = 45  # the day on which something happens in all scenarios that come with the package


def counts(shop: Made, table: str = "events") -> "pd.Series[int]":
    return getattr(shop, table).groupby("day").size()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", sorted(set(shipped()) - {"stationary"}))
def test_until_it_happens_the_shop_is_the_stationary_one(make: Make, name: str) -> None:
    quiet, shop = make("stationary"), make(name)
    for day in (0, FIRST - 1):
        for table in ("orders", "events", "reviews"):
            file = f"{table}/{START + timedelta(days=day)}.parquet"
            assert (quiet.folder / file).read_bytes() == (shop.folder / file).read_bytes()
    (planted,) = json.loads((shop.folder / "truth" / "happenings.json").read_text())
    assert (planted["type"], planted["from"]) == (name, f"{START + timedelta(days=FIRST)}")


def test_a_stationary_shop_stays_as_it_is(make: Make) -> None:
    shop = make("stationary")
    shares = (pd.concat([shop.kinds[day].value_counts() for day in (0, DAYS - 1)], axis=1) / USERS).drop("gone")
    shares.columns = ["first", "last"]
    assert (shares["last"] - shares["first"]).abs().max() < 0.03
    kinds = shop.scenario.kinds
    for name, kind in kinds.items():  # as many come as go
        comes = kind.arrivals + sum(other.share * other.moves.get(name, 0) for other in kinds.values())
        left = kind.share * (sum(kind.moves.values()) + kind.orders * sum(kind.after_order.values()))
        assert comes == pytest.approx(left, abs=1e-5), name
    weeks = counts(shop).groupby(lambda day: day // 7).sum().iloc[:-1]
    assert weeks.max() / weeks.min() < 1.15
    assert json.loads((shop.folder / "truth" / "happenings.json").read_text()) == []


def test_the_moves_lead_from_kind_to_kind(make: Make) -> None:
    shop = make("split")
    moves = shop.truth("moves").assign(day=lambda rows: days_since(rows["date"]))
    assert not moves.duplicated(["user_id", "date"]).any()
    assert (moves["from_kind"] != moves["to_kind"]).all()
    before = pd.Series([shop.kinds.at[user, day - 1] for user, day in zip(moves["user_id"], moves["day"], strict=True)])
    assert (before == moves["from_kind"]).all()
    assert not (moves["from_kind"] == "gone").any()
    at = kinds_on(shop.folder, START + timedelta(days=50)).to_pandas().set_index("user_id")["kind"]
    assert at.to_dict() == shop.kinds[50].dropna().to_dict()
    assert not set(shop.events["kind"]) & {"gone"}


def test_moves_come_at_the_rate_of_the_scenario(make: Make) -> None:
    shop = make("stationary")
    moves = shop.truth("moves")
    for source, target in (("new", "browser"), ("browser", "lapsing"), ("lapsing", "gone"), ("bargain", "lapsing")):
        expected = shop.scenario.kinds[source].moves[target] * (shop.kinds == source).to_numpy().sum()
        found = ((moves["from_kind"] == source) & (moves["to_kind"] == target)).sum()
        assert found == pytest.approx(expected, abs=5 * expected**0.5)


def test_a_price_rise_is_the_same_shop_at_other_prices(make: Make) -> None:
    quiet, shop = make("stationary").orders, make("price_rise").orders
    same = ["order_id", "user_id", "item_id", "quantity"]
    assert (quiet[same] == shop[same]).all().all()
    sold = quiet["quantity"] > 0
    ratio = shop["unit_price"] / quiet["unit_price"]
    assert (ratio[sold & (quiet["day"] < FIRST)] == 1).all()
    late = sold & (quiet["day"] >= FIRST) & (quiet["unit_price"] > 5)
    assert ratio[late].between(1.098, 1.102).all()
    late = sold & (quiet["day"] >= FIRST)
    assert shop["amount"][late].sum() / quiet["amount"][late].sum() == pytest.approx(1.1, abs=0.001)


def test_a_sale_lasts_four_days(make: Make) -> None:
    shop, quiet = make("sale"), make("stationary")
    days = range(FIRST, FIRST + 4)
    orders, usual = (one.sold.groupby("day")["order_id"].nunique() for one in (shop, quiet))
    assert orders[days].sum() / usual[days].sum() == pytest.approx(3, rel=0.2)
    later = range(FIRST + 4, DAYS)
    assert orders[later].sum() / usual[later].sum() == pytest.approx(1, rel=0.06)
    discounted = shop.sold.assign(off=shop.sold["discount"] > 0).groupby("day")["off"].mean()
    assert discounted[days].min() > 0.75
    assert discounted[later].max() < 0.5


def test_a_drift_takes_its_time_and_stays(make: Make) -> None:
    shop = make("drift")
    loyal = shop.sold.query("kind == 'loyal'")
    lines = loyal.groupby(["day", "order_id"]).size().groupby("day").mean()
    before = lines[:FIRST].mean()
    assert lines[FIRST + 10 : FIRST + 18].mean() / before == pytest.approx(1.25, abs=0.12)
    assert lines[FIRST + 28 :].mean() / before == pytest.approx(1.5, abs=0.12)


def test_an_outage_leaves_few_rows_for_a_day(make: Make) -> None:
    for table in ("events", "orders"):
        rows = counts(make("outage"), table)
        assert 0 < rows[FIRST] < 0.12 * rows[FIRST - 7]
        assert rows[FIRST + 1] > 0.7 * rows[FIRST - 6]


def test_a_born_segment_has_no_rows_before_its_date(make: Make) -> None:
    shop = make("born")
    firms = shop.kinds.index[(shop.kinds == "firm").any(axis=1)]
    rows = shop.events[shop.events["user_id"].isin(firms)]
    assert rows["day"].min() >= FIRST
    arrived = shop.truth("users").query("kind == 'firm'").pipe(lambda users: days_since(users["date"]))
    assert len(arrived) == len(firms) == pytest.approx(0.06 * USERS, abs=1)
    assert (arrived.min(), arrived.max()) == (FIRST, FIRST + 13)
    bought = shop.sold[shop.sold["kind"] == "firm"]
    assert bought["quantity"].mean() == pytest.approx(12, rel=0.05)
    signed_up = pd.read_parquet(shop.folder / "users.parquet").set_index("user_id")["signed_up_at"]
    assert signed_up[firms].min() >= pd.Timestamp(START + timedelta(days=FIRST))


@pytest.mark.parametrize(("name", "ends"), [("split", "bargain"), ("merged", "bargain"), ("dying", "loyal")])
def test_a_segment_that_ends_is_gone_when_it_is_said_to_be(make: Make, name: str, ends: str) -> None:
    shop = make(name)
    there = (shop.kinds == ends).sum()
    assert there[FIRST - 1] > 0.8 * there[0]
    assert there[FIRST + 13] == pytest.approx(there[FIRST - 1] / 2, rel=0.2)
    assert (there[FIRST + 27 :] == 0).all()
    assert shop.events.query("kind == @ends")["day"].max() < FIRST + 27


def test_a_split_parts_the_users_as_it_says(make: Make) -> None:
    shop = make("split")
    found = shop.kinds[FIRST + 27].value_counts()
    assert found["snacker"] / (found["snacker"] + found["stocker"]) == pytest.approx(0.5, abs=0.08)
    lines = shop.sold.groupby(["kind", "order_id"]).size().groupby("kind").mean()
    assert lines["stocker"] > 4 * lines["snacker"]


def test_bots_look_and_never_buy_and_are_gone_after_their_days(make: Make) -> None:
    shop = make("bots")
    rows = shop.events.query("kind == 'bot'")
    assert (rows["day"].min(), rows["day"].max()) == (FIRST, FIRST + 9)
    assert len(rows) / (0.003 * USERS * 10) == pytest.approx(3 * 41, rel=0.15)
    assert set(rows["event_type"]) == {"view"}
    users = pd.read_parquet(shop.folder / "users.parquet")
    assert not users["excluded"].any()
    assert shop.kinds[FIRST + 10].value_counts()["gone"] >= round(0.003 * USERS)


def test_days_of_the_week_are_those_of_the_dates(make: Make) -> None:
    rows = counts(make("stationary"), "orders")
    for monday, saturday in pairwise(range(0, 70, 5)):
        if monday % 7 == 0:
            assert rows[saturday] > rows[monday]


def test_tables_have_the_canonical_columns(make: Make) -> None:
    from segmentation.tables import TABLES

    folder = make("stationary").folder
    for table, columns in TABLES.items():
        file = folder / "users.parquet" if table == "users" else folder / table / f"{START}.parquet"
        names = pq.read_schema(file).names
        assert set(columns.REQUIRED) <= set(names)
        assert set(names) - set(columns.kinds()) == ({"channel", "region"} if table == "users" else set())
