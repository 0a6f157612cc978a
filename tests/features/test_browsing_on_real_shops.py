"""Every browsing and review feature on real clicks and reviews, against plain pandas."""

from datetime import date, timedelta

import pandas as pd
import pytest
from pandas_browsing import features as browsing
from pandas_browsing import review_features
from real_shops import olist_reviews, retailrocket, taobao, write_cells, write_event_days, write_review_days

from segmentation.config import Features
from segmentation.features.catalogue import values
from segmentation.features.cells import PARTS
from segmentation.features.windows import window_sums
from segmentation.tables import EVENTS, REVIEWS

NEEDS = {table: frozenset().union(*(feature.needs for feature in PARTS[table].features)) for table in (EVENTS, REVIEWS)}


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    """By name: the published rows, and the cells of the same."""
    made = {}

    def load(name):
        if name not in made:
            rows = {"Taobao": taobao, "Retailrocket": retailrocket}[name]()
            folder = tmp_path_factory.mktemp("clicks")
            accepted = write_event_days(rows, folder / "accepted")
            made[name] = rows, write_cells(accepted, folder / "cells", table=EVENTS)
        return made[name]

    return load


def computed(table, cells, as_of, window_days, known_until=None):
    as_of, settings = date.fromisoformat(as_of), Features(window_days=window_days)
    sums = window_sums({table: cells}, as_of, known_until or as_of, settings)
    return values(sums, as_of, settings, NEEDS[table]).to_pandas().set_index("user_id")


def assert_same(ours, theirs, table):
    assert list(ours.columns) == [feature.name for feature in PARTS[table].features]
    pd.testing.assert_frame_equal(ours, theirs[list(ours.columns)], rtol=1e-9, atol=6e-7, check_names=False)


@pytest.mark.parametrize(
    ("shop", "as_of", "window_days", "users"),
    [
        ("Taobao", "2017-12-03", 9, 815),
        ("Taobao", "2017-11-28", 3, None),
        ("Retailrocket", "2015-09-18", 365, 5000),
        ("Retailrocket", "2015-07-31", 60, None),
    ],
)
def test_every_browsing_feature_equals_plain_pandas_from_the_published_rows(clicks, shop, as_of, window_days, users):
    rows, cells = clicks(shop)
    ours = computed(EVENTS, cells, as_of, window_days)
    assert_same(ours, browsing(rows, as_of, window_days), EVENTS)
    assert users in (None, len(ours))


@pytest.mark.parametrize(("shop", "known"), [("Taobao", "2017-11-30"), ("Retailrocket", "2015-07-01")])
def test_known_until_gives_what_data_cut_after_it_gives(clicks, shop, known):
    rows, cells = clicks(shop)
    until = date.fromisoformat(known)
    as_of = (until + timedelta(days=2)).isoformat()
    idle = computed(EVENTS, cells, as_of, 45, until)
    assert_same(idle, browsing(rows[rows.day <= known], as_of, 45), EVENTS)
    assert idle["browse_recency"].min() == 2


@pytest.mark.parametrize(("as_of", "window_days"), [("2018-10-31", 900), ("2018-03-31", 120)])
def test_every_review_feature_of_olist_equals_plain_pandas(tmp_path, as_of, window_days):
    rows = olist_reviews()
    cells = write_cells(write_review_days(rows, tmp_path / "accepted"), tmp_path / "cells", table=REVIEWS)
    assert_same(computed(REVIEWS, cells, as_of, window_days), review_features(rows, as_of, window_days, 2), REVIEWS)
