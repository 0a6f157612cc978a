"""Every feature of the catalogue on real data, against plain pandas, the package lifetimes and published figures."""

from datetime import date, timedelta

import pandas as pd
import pytest
from pandas_features import features as reference

from segmentation.config import Features
from segmentation.features.catalogue import values
from segmentation.features.cells import PARTS
from segmentation.features.windows import window_sums
from segmentation.tables import ORDERS


def computed(shop, as_of, settings, known_until=None):
    sums = window_sums({ORDERS: shop.cells}, as_of, known_until or as_of, settings)
    return values(sums, as_of, settings, shop.columns).to_pandas().set_index("user_id")


def assert_same_values(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    assert ours.index.tolist() == theirs.index.tolist()
    for name in ours.columns:
        pd.testing.assert_series_equal(
            ours[name], theirs[name].astype(float), rtol=1e-9, atol=6e-7, check_names=False, obj=name
        )


@pytest.mark.parametrize(
    ("shop", "as_of", "window_days", "returns"),
    [
        ("Complete Journey", "2017-09-30", 365, "net"),
        ("Complete Journey", "2018-01-01", 60, "net"),
        ("Online Retail", "2011-12-09", 365, "net"),
        ("Online Retail", "2011-12-09", 365, "exclude"),
        ("Online Retail", "2011-06-05", 90, "net"),
        ("Online Retail", "2011-12-09", 20, "exclude"),
    ],
)
def test_every_feature_equals_plain_pandas_from_the_published_rows(real_shop, shop, as_of, window_days, returns):
    real = real_shop(shop)
    ours = computed(real, date.fromisoformat(as_of), Features(window_days=window_days, returns=returns))
    absent = set() if shop == "Complete Journey" else {"discount_share", "category_spread"}
    assert list(ours.columns) == [feature.name for feature in PARTS[ORDERS].features if feature.name not in absent]
    assert_same_values(ours, reference(real.rows, as_of, window_days, returns))


@pytest.mark.parametrize(("shop", "known"), [("Complete Journey", "2017-08-20"), ("Online Retail", "2011-10-02")])
@pytest.mark.parametrize("later_days", [1, 40])
def test_known_until_gives_what_data_cut_after_it_gives(real_shop, shop, known, later_days):
    real = real_shop(shop)
    as_of = date.fromisoformat(known) + timedelta(days=later_days)
    idle = computed(real, as_of, Features(window_days=90), known_until=date.fromisoformat(known))
    cut = real.rows[real.rows.day <= known]
    assert_same_values(idle, reference(cut, as_of.isoformat(), 90))
    assert not idle.equals(computed(real, as_of, Features(window_days=90)))
    assert idle["recency"].min() >= later_days


def test_known_until_after_the_date_changes_nothing(real_shop):
    shop = real_shop("Complete Journey")
    as_of = date(2017, 3, 5)
    settings = Features(window_days=30)
    assert computed(shop, as_of, settings, known_until=date(2017, 8, 1)).equals(computed(shop, as_of, settings))


PUBLISHED = {  # repeat frequency, recency, T, mean repeat value
    "12347": (6, 365, 367, 599.701667),
    "12346": (0, 0, 325, 0),
    "14606": (88, 372, 373, 135.890114),
    "15311": (89, 373, 373, 677.729438),
    "17841": (111, 372, 373, 364.452162),
    "12748": (113, 373, 373, 298.360885),
    "14911": (131, 372, 373, 1093.661679),
}
LIFETIMES = {
    "repeat_days": "frequency",
    "days_first_to_last": "recency",
    "days_since_first": "T",
    "mean_repeat_day_value": "monetary_value",
}


def online_retail_customers(real_shop) -> pd.DataFrame:
    values = computed(real_shop("Online Retail"), date(2011, 12, 9), Features(window_days=400, returns="exclude"))
    return values.loc[values["frequency"] > 0, list(LIFETIMES)]


def test_repeat_purchases_of_online_retail_equal_the_published_ones(real_shop):
    customers = online_retail_customers(real_shop)
    assert len(customers) == 4339
    assert (customers["repeat_days"] > 0).sum() == 2790
    assert {user: tuple(customers.loc[user]) for user in PUBLISHED} == PUBLISHED


def test_repeat_purchases_of_every_customer_equal_those_of_lifetimes(real_shop):
    try:
        from lifetimes.utils import summary_data_from_transaction_data
    except ImportError as error:
        pytest.skip(f"lifetimes does not import: {error}")
    rows = real_shop("Online Retail").rows
    theirs = summary_data_from_transaction_data(
        rows[rows.quantity > 0], "user", "at", "amount", observation_period_end="2011-12-09"
    )
    theirs.index = theirs.index.astype(str)
    ours = online_retail_customers(real_shop).rename(columns=LIFETIMES)
    assert_same_values(ours, theirs.sort_index())


def test_sums_of_a_whole_history_equal_the_published_ones(real_shop):
    grocer = real_shop("Complete Journey")
    sums = window_sums({ORDERS: grocer.cells}, date(2018, 1, 1), date(2018, 1, 1), Features(window_days=400))
    assert sums.num_rows == 2469
    assert sum(sums["lines"].to_pylist()) == 1_469_307
    assert sum(sums["amount"].to_pylist()) == 45_960_395_800  # 4,596,039.58
    assert sum(sums["orders"].to_pylist()) <= 155_848


def test_lines_of_price_and_quantity_zero_count_as_published(real_shop):
    """397,924 lines of Online Retail are purchases, those of price 0 too; 49 of the grocer's carry money at quantity 0."""
    wholesaler = real_shop("Online Retail")
    sums = window_sums({ORDERS: wholesaler.cells}, date(2011, 12, 9), date(2011, 12, 9), Features(window_days=400))
    assert sum(sums["purchase_lines"].to_pylist()) == 397_924
    rows = real_shop("Complete Journey").rows
    assert ((rows.quantity == 0) & (rows.amount > 0)).sum() == 49
