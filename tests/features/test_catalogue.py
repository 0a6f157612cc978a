"""The catalogue: what exists with which columns, undefined values, rounding, and the choice for a model."""

from datetime import date

import pyarrow as pa
import pytest

from segmentation.config import Clustering, Features
from segmentation.errors import ConfigError
from segmentation.features.catalogue import AUTO, CATALOGUE, available, model_features, values
from segmentation.features.cells import PARTS
from segmentation.features.engine import day_number
from segmentation.features.windows import SCHEMA
from segmentation.tables import EVENTS, ORDERS, REVIEWS

DATE = {"orders.user_id", "orders.ordered_at"}
AMOUNT = DATE | {"orders.amount"}
ALL = AMOUNT | {f"orders.{name}" for name in ("order_id", "item_id", "category", "quantity", "discount")}
AS_OF = date(2024, 3, 31)
TODAY = day_number(AS_OF)


def of_one_user(columns=ALL, settings=None, **sums):
    whole = {**dict.fromkeys(SCHEMA.names, 0), "user_id": "a", **sums}
    return values(pa.Table.from_pylist([whole], SCHEMA), AS_OF, settings or Features(), columns).to_pylist()[0]


def test_only_returns_leave_undefined_what_needs_a_purchase():
    user = of_one_user(
        amount=-50_000, value=-50_000, returned_amount=50_000, first_purchase_day=None, last_purchase_day=None,
        first_purchase_day_value=None, lines=1, return_lines=1, first_active_day=TODAY, last_active_day=TODAY,
    )  # fmt: skip
    assert {name for name, value in user.items() if value is None} == {
        "recency", "average_order_value", "order_gap", "return_share", "discount_share", "category_spread", "trend",
        "repeat_days", "days_first_to_last", "days_since_first", "mean_repeat_day_value",
    }  # fmt: skip
    assert (user["frequency"], user["active_days"], user["monetary"]) == (0, 0, -5)


def test_one_purchase_has_no_gap_and_a_mean_repeat_value_of_zero():
    day = TODAY - 3
    user = of_one_user(
        orders=1, purchase_days=1, first_purchase_day=day, last_purchase_day=day, value=70_000, amount=70_000,
        purchase_day_value=70_000, first_purchase_day_value=70_000, sold_recent=70_000, sold_longer=70_000,
    )  # fmt: skip
    assert user["order_gap"] is None
    assert (user["recency"], user["repeat_days"], user["mean_repeat_day_value"], user["trend"]) == (3, 0, 0, 3)


def test_more_returned_than_bought_is_a_share_of_one():
    assert of_one_user(amount=-20_000, returned_amount=30_000)["return_share"] == 1


def test_values_are_rounded_to_a_millionth_and_never_minus_zero():
    assert of_one_user(value=20_000, orders=3)["average_order_value"] == 0.666667
    assert str(of_one_user(value=-1, orders=1_000_000)["average_order_value"]) == "0.0"


@pytest.mark.parametrize(("window_days", "trend"), [(365, 1.5), (45, 0.75), (20, 0.5)])
def test_trend_never_looks_further_than_the_window(window_days, trend):
    assert of_one_user(settings=Features(window_days=window_days), sold_recent=10, sold_longer=20)["trend"] == trend


def test_features_appear_as_their_columns_exist():
    by_date = {
        "recency",
        "frequency",
        "order_gap",
        "active_days",
        "repeat_days",
        "days_first_to_last",
        "days_since_first",
    }
    assert {feature.name for feature in available(DATE)} == by_date
    by_amount = by_date | {"monetary", "average_order_value", "return_share", "trend", "mean_repeat_day_value"}
    assert {feature.name for feature in available(AMOUNT)} == by_amount
    assert available(ALL) == list(PARTS[ORDERS].features)
    assert set(of_one_user(DATE)) == by_date | {"user_id"}


def test_every_feature_says_what_it_is():
    for name, feature in CATALOGUE.items():
        assert feature.name == name
        assert all((feature.unit, feature.window, feature.formula, feature.needs)), name


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (DATE, ("recency", "frequency")),
        (DATE | {"orders.category"}, ("recency", "frequency", "category_spread")),
        (AMOUNT, ("recency", "frequency", "active_days", "monetary")),
        (ALL, ("recency", "frequency", "active_days", "monetary", "discount_share")),
    ],
)
def test_auto_takes_what_the_columns_allow(columns, chosen):
    assert model_features(Clustering(), columns) == chosen


def test_named_features_are_taken_in_their_order():
    assert model_features(Clustering(features=("trend", "recency")), AMOUNT) == ("trend", "recency")


def test_a_name_that_is_no_feature_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'recencey' is not a feature; did you mean 'recency'\?"):
        model_features(Clustering(features=("recencey",)), ALL)


def test_a_feature_without_its_columns_is_refused_with_what_to_map():
    with pytest.raises(
        ConfigError,
        match=r"'discount_share' needs orders\.discount, which the data does not have; .*\[sources\.orders\.columns\]",
    ):
        model_features(Clustering(features=("recency", "discount_share")), AMOUNT)


EVENT = {"events.user_id", "events.event_at", "events.event_type"}
RATED = {"reviews.user_id", "reviews.reviewed_at", "reviews.rating"}
BROWSING = ("sessions", "views_per_session", "view_to_cart")


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (EVENT, ("browse_recency", *BROWSING, "view_to_purchase")),
        (EVENT | RATED, ("browse_recency", *BROWSING, "view_to_purchase")),
        (DATE | EVENT, ("recency", "frequency", *BROWSING)),
        (AMOUNT | EVENT, ("recency", "frequency", "average_order_value", *BROWSING)),
        (ALL | EVENT | RATED, ("recency", "frequency", "average_order_value", "discount_share", *BROWSING)),
        (AMOUNT | RATED, ("recency", "frequency", "active_days", "monetary")),
    ],
)
def test_auto_takes_browsing_where_there_is_any(columns, chosen):
    assert model_features(Clustering(), columns) == chosen
    assert len(chosen) <= 8
    assert set(chosen) <= set(AUTO)


def test_browsing_and_review_features_appear_with_their_tables():
    assert available(EVENT | {"events.session_id"}) == list(PARTS[EVENTS].features)
    assert available(RATED) == list(PARTS[REVIEWS].features)
    assert available(ALL | EVENT | RATED) == list(CATALOGUE.values())


def test_a_browsing_feature_without_events_names_their_source():
    with pytest.raises(ConfigError, match=r"'sessions' needs events\.event_at, .*\[sources\.events\]"):
        model_features(Clustering(features=("sessions",)), ALL)


def test_who_only_bought_has_no_browsing_and_who_only_browsed_no_purchase():
    user = of_one_user(ALL | EVENT | RATED, orders=1, purchase_days=1, last_purchase_day=TODAY)
    undefined = {"browse_recency", "views_per_session", "view_to_cart", "minutes_per_session", "mean_rating"}
    assert {name for name in undefined if user[name] is not None} == set()
    assert (user["sessions"], user["reviews"], user["browse_time"]) == (0, 0, 0)
    user = of_one_user(
        ALL | EVENT, sessions=4, browse_days=2, last_browse_day=TODAY - 1, view_sessions=3, view_cart_sessions=1
    )
    assert (user["browse_recency"], user["view_to_cart"], user["frequency"], user["recency"]) == (1, 0.333333, 0, None)
