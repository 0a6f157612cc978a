"""Fits, distances and ids do not depend on threads, on the order of rows, or on who else is there."""

import json
import os
import random
import subprocess
import sys
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from segmentation.clustering import kmeans
from segmentation.clustering.model import Fit
from segmentation.clustering.sample import hashes, sample_positions
from segmentation.config import Clustering

FEATURES = ("recency", "monetary", "order_gap")
BORN = date(2024, 3, 1)

IN_A_PROCESS = """
import hashlib, json, sys
import numpy as np, pyarrow as pa
from segmentation.clustering.model import Fit, MadeBy, Model
from segmentation.config import Clustering, Features
from datetime import date
sys.path.insert(0, {folder!r})
from test_kmeans_determinism import shop
table = shop(3_000, seed=5)
fit = Fit.of(table, {features!r}, Clustering(sample_users=2_000), 6)
model = Model.founded(fit, "name", date(2024, 3, 1), MadeBy(Features(), Clustering()))
distances = fit.distances(table)
print(json.dumps([fit.document(), model.document(), hashlib.sha256(distances.tobytes()).hexdigest()]))
"""


def shop(users: int, seed: int) -> pa.Table:
    """Users in a few overlapping groups; money is skewed, one feature is undefined for some."""
    dice = np.random.default_rng(seed)
    group = dice.integers(0, 4, users)
    gap = np.round(dice.gamma(2 + group, 5), 6)
    return pa.table(
        {
            "user_id": pa.array([f"u{number:06d}" for number in range(users)]),
            "recency": pa.array(dice.integers(0, 90, users).astype(float) / (1 + group)),
            "monetary": pa.array(np.round(dice.lognormal(3 + group, 1), 4)),
            "order_gap": pa.array(gap, mask=dice.random(users) < 0.2),
        }
    )


def test_any_number_of_threads_gives_the_same_bits() -> None:
    code = IN_A_PROCESS.format(folder=os.path.dirname(__file__), features=FEATURES)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "OMP_NUM_THREADS": str(threads),
                "OPENBLAS_NUM_THREADS": str(threads),
                "MKL_NUM_THREADS": str(threads),
                "OMP_WAIT_POLICY": "passive",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for threads in (1, 2, 4)
    ]
    answers = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(json.loads(answers[0])[0]["centres"]) == 6
    assert answers[0] == answers[1] == answers[2]


def test_a_users_distances_do_not_depend_on_the_order_of_rows_or_on_who_else_is_there() -> None:
    table = shop(997, seed=1)
    fit = Fit.of(table, FEATURES, Clustering(), 5)
    whole = fit.distances(table)
    order = list(range(table.num_rows))
    random.Random(2).shuffle(order)
    assert np.array_equal(fit.distances(table.take(order)), whole[order])
    for some in (order[:1], order[:7], order[:500]):
        assert np.array_equal(fit.distances(table.take(some)), whole[some])
    chunks = pa.concat_tables([table.slice(0, 1), table.slice(1, 400), table.slice(401)])
    assert np.array_equal(fit.distances(chunks), whole)


def test_distances_are_the_plain_sums_in_the_order_of_the_features() -> None:
    dice = np.random.default_rng(3)
    points, centres = dice.normal(size=(50, 4)), dice.normal(size=(3, 4))
    for point, row in zip(points, kmeans.distances(points, centres), strict=True):
        for centre, distance in zip(centres, row, strict=True):
            total = 0.0
            for a, b in zip(point, centre, strict=True):
                total += float(a - b) * float(a - b)
            assert distance == total**0.5
    fortran = np.asfortranarray(points)
    assert np.array_equal(kmeans.distances(fortran, centres), kmeans.distances(points, centres))


def test_the_fit_does_not_depend_on_chunks_and_is_the_same_twice() -> None:
    table = shop(600, seed=4)
    whole = Fit.of(table, FEATURES, Clustering(), 4).document()
    parts = pa.concat_tables([table.slice(start, 100) for start in range(0, 600, 100)])
    assert Fit.of(parts, FEATURES, Clustering(), 4).document() == whole


def positions_of(users: list[str], size: int) -> list[int]:
    return sample_positions(pa.array(users, pa.string()), size).tolist()


def plainly(text: str) -> int:
    """By its definition: FNV's offset basis and prime of 64 bits, and MurmurHash3's fmix64."""
    data = text.encode()
    found = 0xCBF29CE484222325 ^ len(data)
    for start in range(0, len(data), 8):
        found = (found ^ int.from_bytes(data[start : start + 8], "little")) * 0x100000001B3 % 2**64
        found ^= found >> 33
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        found = (found ^ found >> 33) * factor % 2**64
    return found ^ found >> 33


@given(st.lists(st.text(max_size=20)), st.integers(0, 3))
def test_hashes_are_those_of_words_taken_one_by_one(texts: list[str], offset: int) -> None:
    array = pa.array(["before"] * offset + texts, pa.string()).slice(offset)
    assert hashes(array).tolist() == [plainly(text) for text in texts]


def test_a_sample_is_spread_over_ids_that_follow_each_other() -> None:
    users = [f"user-{number:07}" for number in range(50_000)]
    drawn = np.array(positions_of(users, 5_000))
    tenths = np.bincount(drawn // 5_000, minlength=10)
    assert chisquare(tenths).pvalue > 0.001
    assert chisquare(np.bincount(drawn % 10)).pvalue > 0.001  # by their last digit


def test_the_sample_is_drawn_by_hash_whoever_else_is_there() -> None:
    users = [f"{number}" for number in range(2_000)] + ["é", "ß", " ", "NaN"]
    drawn = {users[position] for position in positions_of(users, 300)}
    assert len(drawn) == 300
    dice = random.Random(0)
    shuffled = users[:]
    dice.shuffle(shuffled)
    positions = positions_of(shuffled, 300)
    assert positions == sorted(positions)
    assert {shuffled[position] for position in positions} == drawn
    # Whoever is drawn among many is drawn among fewer; who leaves undrawn changes nothing.
    without = [user for user in shuffled if user in drawn or dice.random() < 0.5]
    assert {without[position] for position in positions_of(without, 300)} == drawn
    fewer = positions_of(shuffled, 200)
    assert {shuffled[position] for position in fewer} < drawn


def test_a_fit_sees_nothing_but_its_sample() -> None:
    table = shop(800, seed=6)
    clustering = Clustering(sample_users=100)
    drawn = sample_positions(table["user_id"].combine_chunks(), 100)
    assert (
        Fit.of(table.take(drawn), FEATURES, clustering, 4).document()
        == Fit.of(table, FEATURES, clustering, 4).document()
    )


@pytest.mark.parametrize("size", [0, 1, 5, 6])
def test_a_sample_of_no_more_users_than_there_may_be_is_everyone(size: int) -> None:
    assert positions_of([str(n) for n in range(size)], 6) == list(range(size))
