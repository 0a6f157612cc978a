"""Random histories with faults at every kind of write, each compared with one clean forward run.

Hypothesis draws what happens: days run and backfilled in any order, processes that die at a write, files corrected, rows
that come late, recipes changed. At the end the days are run once more, reconciled, and compared.
"""

import shutil
import tempfile
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from faults import Killed, kill_at
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from shop import FIRST, random_shop, shop_config

from segmentation import history, stages
from segmentation.config import Config
from segmentation.store.log import Log
from segmentation.store.objects import Objects
from segmentation.store.snapshots import Folder
from segmentation.store.store import open_store
from segmentation.store.verify import verify

LENGTH = 16
WINDOW = 5
LOOKBACK = 2
HAPPENED: Counter[str] = Counter()

offsets = st.integers(0, LENGTH - 1)
deaths = st.none() | st.tuples(st.integers(0, 25), st.sampled_from(["before", "after"]))


class History(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 10_000))
    def open(self, seed: int) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="history-"))
        self.shop = random_shop(self.root, seed, days=LENGTH)
        self.move_points = 4000
        self.asked: set[date] = set()
        self.monkeypatch = pytest.MonkeyPatch()

    def config(self) -> Config:
        return shop_config(self.root, adjustment={"move_points": self.move_points, "return_points": 6000})

    def attempt(self, death: tuple[int, str] | None, days: list[date], work: object) -> None:
        """Do the work, perhaps dying on the way."""
        self.asked.update(days)
        assert callable(work)
        try:
            if death is None:
                work()
            else:
                with kill_at(*death, self.monkeypatch):
                    work()
        except Killed:
            HAPPENED["killed"] += 1

    @rule(offset=offsets, death=deaths)
    def run(self, offset: int, death: tuple[int, str] | None) -> None:
        day = FIRST + timedelta(days=offset)
        self.attempt(death, [day], lambda: history.run(self.config(), day))

    @rule(
        offset=offsets, length=st.integers(1, 4), order=st.sampled_from(["forward", "backward", "random"]), death=deaths
    )
    def backfill(self, offset: int, length: int, order: history.Order, death: tuple[int, str] | None) -> None:
        first = FIRST + timedelta(days=offset)
        last = first + timedelta(days=length - 1)
        days = [first + timedelta(days=number) for number in range(length)]
        self.attempt(death, days, lambda: history.backfill(self.config(), first, last, order=order))

    @rule(death=deaths)
    def reconcile(self, death: tuple[int, str] | None) -> None:
        self.attempt(death, [], lambda: history.reconcile(self.config()))

    @precondition(lambda self: self.accepted_days())
    @rule(pick=st.integers(0, LENGTH))
    def correct_a_file(self, pick: int) -> None:
        days = self.accepted_days()
        day = days[pick % len(days)]
        first, *rest = self.shop.rows[day]
        self.shop.rows[day] = [first.rpartition(",")[0] + ",77.5", *rest]
        self.shop.write(day)
        HAPPENED["a corrected file"] += 1

    @rule(offset=offsets)
    def withdraw_a_file(self, offset: int) -> None:
        day = FIRST + timedelta(days=offset)
        self.shop.rows.pop(day, None)
        self.shop.write(day)

    @precondition(lambda self: self.accepted_days())
    @rule(pick=st.integers(0, LENGTH), user=st.integers(0, 9))
    def add_a_late_row(self, pick: int, user: int) -> None:
        days = self.accepted_days()
        day = days[pick % len(days)]
        self.shop.buy(day, f"u{user}", 33.25)
        self.shop.write(day)
        HAPPENED["a late row"] += 1

    @precondition(lambda self: any(True for _ in self.published()))
    @rule(points=st.sampled_from([3000, 4000, 5000]))
    def change_the_recipe(self, points: int) -> None:
        HAPPENED["a recipe record"] += points != self.move_points
        self.move_points = points

    @invariant()
    def a_reader_sees_whole_days(self) -> None:
        if not hasattr(self, "root"):
            return
        objects = Objects(self.config().store_path())
        for day, published in Log(objects).state().published.items():
            assert set(published.files) <= {key.rpartition("/")[2] for key in objects.keys(published.folder)}
            assert Folder(objects, day, published.derivation).snapshot_id() == published.snapshot_id

    def published(self) -> dict[date, object]:
        return dict(open_store(self.config()).state().published) if hasattr(self, "root") else {}

    def accepted_days(self) -> list[date]:
        """The days that were read already and have rows, in order."""
        if not hasattr(self, "root"):
            return []
        return sorted(day for day in open_store(self.config()).state().accepted if self.shop.rows.get(day))

    def teardown(self) -> None:
        if not hasattr(self, "root"):
            return
        try:
            self.compare_with_a_clean_forward_run()
        finally:
            shutil.rmtree(self.root)

    def compare_with_a_clean_forward_run(self) -> None:
        config = self.config()
        store = open_store(config)
        for day in sorted(self.asked):
            self.attempt(None, [], lambda day=day: history.run(config, day))
        # A file that changed further back than the look-back is noticed when its day is read by date.
        read, _ = stages.read_days(config, sorted(store.state().accepted), set())
        stages.validate(config, read["read"])
        history.reconcile(config)
        state = store.state()
        assert verify(store) == []
        clean = shop_config(self.root, "clean")
        for day in sorted(state.published):
            recipe = store.recipe_on(state, day)
            history.run(clean.model_copy(update={"adjustment": recipe.adjustment}), day)
        assert open_store(clean).state().digest() == state.digest()
        self.note_what_happened(sorted(state.published))

    def note_what_happened(self, days: list[date]) -> None:
        store = open_store(self.config())
        HAPPENED["a gap longer than the look-back"] += any(
            (later - earlier).days > LOOKBACK + 1 for earlier, later in pairwise(days)
        )
        HAPPENED["a quiet day"] += any(not self.shop.rows.get(day) for day in days)
        HAPPENED["several recipes"] += len(store.state().recipes) > 1
        for day in days:
            members = store.objects.table(f"{store.state().published[day].folder}/memberships.parquet")
            for status in members["status"].to_pylist():
                HAPPENED[status] += 1


def check(examples: int) -> None:
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=examples,
            stateful_step_count=10,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_histories_with_faults_equal_a_clean_forward_run() -> None:
    HAPPENED.clear()
    check(25)
    needed = [
        "a gap longer than the look-back",
        "a quiet day",
        "reactivated",
        "a late row",
        "a corrected file",
        "several recipes",
    ]
    assert {what: HAPPENED[what] for what in [*needed, "killed", "moved", "lapsed"] if not HAPPENED[what]} == {}


@pytest.mark.soak
def test_many_random_histories() -> None:
    check(1000)
