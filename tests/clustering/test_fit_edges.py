"""Fits on awkward populations, the frozen transform, and ids that are for ever."""

import json
import math
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.clustering import kmeans
from segmentation.clustering.model import Fit, MadeBy, Model
from segmentation.clustering.transform import Transform
from segmentation.config import Clustering, Features
from segmentation.store.content import canonical_json

BORN = date(2024, 3, 1)
MADE_BY = MadeBy(Features(), Clustering())


def table(**columns: list[float | None]) -> pa.Table:
    count = len(next(iter(columns.values())))
    users = {"user_id": pa.array([f"u{number:04d}" for number in range(count)], pa.string())}
    return pa.table({**users, **{name: pa.array(values, pa.float64()) for name, values in columns.items()}})


def fitted(users: pa.Table, segments: int) -> Fit:
    return Fit.of(users, tuple(name for name in users.column_names if name != "user_id"), Clustering(), segments)


def test_fewer_different_users_than_segments_give_a_segment_each() -> None:
    fit = fitted(table(recency=[1.0, 1.0, 5.0, 5.0, 9.0], frequency=[2.0, 2.0, 2.0, 2.0, 7.0]), 5)
    assert len(fit.centres) == 3
    users = table(recency=[1.0, 1.0, 5.0, 5.0, 9.0], frequency=[2.0, 2.0, 2.0, 2.0, 7.0])
    assert fit.distances(users).min(axis=1).tolist() == [0.0] * 5


def test_one_user_gives_one_segment() -> None:
    fit = fitted(table(recency=[3.0]), 5)
    assert fit.centres.tolist() == [[0.0]]
    assert len(Model.founded(fit, "f", BORN, MADE_BY).ids) == 1


def test_all_users_alike_give_one_segment() -> None:
    fit = fitted(table(recency=[3.0] * 40, frequency=[1.0] * 40), 5)
    assert fit.centres.tolist() == [[0.0, 0.0]]


def test_a_constant_feature_neither_divides_by_nought_nor_separates_users() -> None:
    values = [float(number % 10) for number in range(60)]
    with_constant = fitted(table(recency=values, frequency=[4.0] * 60), 3)
    without = fitted(table(recency=values), 3)
    assert with_constant.centres[:, 0].tolist() == without.centres[:, 0].tolist()
    assert with_constant.centres[:, 1].tolist() == [0.0] * 3
    assert np.isfinite(with_constant.distances(table(recency=[1e12], frequency=[-1e12]))).all()


def test_a_feature_that_is_undefined_for_all_is_constant() -> None:
    fit = fitted(table(recency=[1.0, 2.0, 3.0, 9.0], order_gap=[None] * 4), 2)
    assert np.isfinite(fit.centres).all()
    assert np.isfinite(fit.distances(table(recency=[1.0, 2.0], order_gap=[None, 7.0]))).all()


def test_an_undefined_value_counts_as_the_frozen_median_not_as_nought() -> None:
    gaps = [10.0, 20.0, 30.0, 40.0, 50.0]
    fit = fitted(table(order_gap=[*gaps, None, None]), 3)
    assert fit.transform.axes[0].fill == 30.0
    none, median, nought = fit.distances(table(order_gap=[None, 30.0, 0.0]))
    assert none.tolist() == median.tolist() != nought.tolist()
    # Frozen: other users later do not move it.
    later = fit.distances(table(order_gap=[None, 1e6, 1e6, 1e6]))
    assert later[0].tolist() == median.tolist()


def test_nan_is_undefined_like_null() -> None:
    fit = fitted(table(order_gap=[1.0, 2.0, 8.0, 9.0]), 2)
    assert np.array_equal(*[fit.distances(table(order_gap=[value])) for value in (None, math.nan)])


def test_the_transform_is_the_formula_it_says() -> None:
    skewed = [float(x) for x in [0, 0, 1, 1, 2, 3, 5, 8, 900, -4]]
    axis = Transform.fit(table(monetary=skewed), ("monetary",)).axes[0]
    assert axis.log
    logs = [math.copysign(math.log1p(abs(x)), x) for x in skewed]
    low, high = (round(float(np.quantile(logs, q)), 6) for q in (0.005, 0.995))
    clipped = [min(max(x, low), high) for x in logs]
    mean = round(sum(clipped) / 10, 6)
    sd = round(math.sqrt(sum((x - sum(clipped) / 10) ** 2 for x in clipped) / 10), 6)
    assert (axis.low, axis.high, axis.mean, axis.sd) == (low, high, mean, sd)
    points = Transform((axis,)).apply(table(monetary=skewed))
    assert points[:, 0].tolist() == pytest.approx([(x - mean) / sd for x in clipped], abs=5.1e-7)


def test_a_value_beyond_what_was_seen_counts_as_the_edge() -> None:
    transform = Transform.fit(table(recency=[float(x) for x in range(100)]), ("recency",))
    points = transform.apply(table(recency=[-1e9, 0.0, 99.0, 1e9]))[:, 0]
    assert points[0] == points[1] == -points[3] == -points[2]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9).map(lambda x: round(x, 6))), min_size=1, max_size=40),
    st.integers(2, 6),
)
def test_any_population_can_be_fitted_and_read_back_to_the_bit(values: list[float | None], segments: int) -> None:
    users = table(monetary=values, recency=[float(n % 7) for n in range(len(values))])
    fit = fitted(users, segments)
    assert 1 <= len(fit.centres) <= segments
    assert np.isfinite(fit.centres).all()
    assert sorted(set(map(tuple, fit.centres.tolist()))) == list(map(tuple, fit.centres.tolist()))
    assert not any(str(value).startswith("-0.0") and value == 0 for value in fit.centres.ravel())
    document = json.loads(canonical_json(fit.document()))
    again = Fit.from_document(document)
    assert canonical_json(again.document()) == canonical_json(fit.document())
    assert np.array_equal(again.distances(users), fit.distances(users))
    model = Model.founded(fit, "name", BORN, MADE_BY)
    assert len(set(model.ids)) == len(fit.centres)
    assert Model.from_document(json.loads(canonical_json(model.document()))) == model


def test_an_id_is_a_function_of_birth_date_and_centre_alone() -> None:
    users = table(recency=[1.0, 1.1, 5.0, 5.2, 9.0, 9.1], frequency=[1.0, 2.0, 1.0, 2.0, 9.0, 8.0])
    fit = fitted(users, 3)
    model = Model.founded(fit, "name", BORN, MADE_BY)
    assert Model.founded(fit, "another name", BORN, MADE_BY).ids == model.ids
    turned = Fit(fit.algorithm, fit.transform, fit.centres[::-1])
    assert Model.founded(turned, "name", BORN, MADE_BY).ids == model.ids[::-1]
    assert not set(Model.founded(fit, "name", date(2024, 3, 2), MADE_BY).ids) & set(model.ids)
    alone = Fit(fit.algorithm, fit.transform, fit.centres[1:2])
    assert Model.founded(alone, "name", BORN, MADE_BY).ids == model.ids[1:2]
    nudged = fit.centres + np.array([[0.0, 0.0], [0.0, 1e-6], [0.0, 0.0]])
    other = Model.founded(Fit(fit.algorithm, fit.transform, nudged), "name", BORN, MADE_BY).ids
    assert (other[0] == model.ids[0], other[1] == model.ids[1]) == (True, False)
    assert all(len(name) == 8 and set(name) <= set("0123456789abcdef") for name in model.ids)


def test_centres_come_in_one_order_whatever_the_labels_were() -> None:
    points = np.array([[x + d, y + d] for x, y in [(5, 0), (0, 5), (0, 0), (9, 9)] for d in (0.0, 0.01, 0.02)])
    centres = [kmeans.fit(points, 4, seed).tolist() for seed in range(5)]
    assert centres == [[[0.01, 0.01], [0.01, 5.01], [5.01, 0.01], [9.01, 9.01]]] * 5
