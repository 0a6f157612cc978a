"""A real Airflow, with its scheduler, on a made-up shop whose rows end yesterday.

The tests are one story, in this order: a history is begun by the schedule, asked for by hand, filled backwards, corrected. What
is refused and what is tried again is started first, in stores of its own, and looked at when it has happened.
"""

import json
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from airflow_local import LocalAirflow, free_port

from segmentation.config import load
from segmentation.history import stale
from segmentation.store.store import open_store

T = TypeVar("T")
DAILY, RECONCILE = "user_segmentation", "segment_reconcile"
DAY = timedelta(days=1)
DAYS, WINDOW = 30, 7
SETTLE_SECONDS = 20

pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Shop:
    root: Path
    yesterday: date

    def day(self, back: int) -> date:
        return self.yesterday - back * DAY

    def write(self) -> None:
        """A file of orders for each of the last days: regular users, rare ones, and some who stay away for a week."""
        draw = random.Random(7)
        users = {f"u{number:02}": draw.choice([0.1, 0.3, 0.8]) for number in range(60)}
        away = {user: draw.randrange(DAYS) for user in draw.sample(sorted(users), 20)}
        (self.root / "orders").mkdir(parents=True)
        for back in reversed(range(DAYS + WINDOW + 1)):
            lines = ["user_id,ordered_at,order_id,quantity,amount"]
            for user, rate in users.items():
                if draw.random() < rate and not 0 <= back - away.get(user, -99) < 8:
                    amount = round(draw.lognormvariate(2 + 2 * rate, 0.6), 2)
                    lines.append(f"{user},{self.day(back)} 12:00:00,{user}-{back},{draw.randrange(1, 4)},{amount}")
            self.file(back).write_text("\n".join(lines) + "\n")

    def file(self, back: int) -> Path:
        return self.root / "orders" / f"{self.day(back)}.csv"

    def config(
        self, name: str = "shop", store: str | None = None, orders: str = "orders", validation: str = ""
    ) -> Path:
        path = self.root / f"{name}.toml"
        path.write_text(
            f"[project]\nsettle_seconds = {SETTLE_SECONDS}\n"
            f'[store]\nurl = "file:{store or name}"\n'
            f'[sources.orders]\npath = "{orders}/*.csv"\n'
            f"[features]\nwindow_days = {WINDOW}\n[clustering]\nsegments = 3\n[validation]\n{validation}\n"
        )
        return path

    def forward(self, name: str, first: date) -> str:
        """The digest of a clean history in date order, made by the command line in a store of its own."""
        config = self.config(name)
        cli(config, "backfill", "--from", str(first), "--to", str(self.yesterday))
        return digest(config)


def cli(config: Path, *arguments: str) -> str:
    command = [sys.executable, "-c", "from segmentation.cli import main; main()", "--config", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def digest(config: Path) -> str:
    return str(json.loads(cli(config, "digest", "--json"))["digest"])


def published(config: Path) -> Counter[date]:
    """How often each day was published."""
    records = open_store(load(config)).log.records()
    return Counter(date.fromisoformat(record["date"]) for record in records if record["kind"] == "publish")


def wait_for(what: str, find: Callable[[], T], seconds: float = 300) -> T:
    """What `find` returns, once that is true. Fails after the given seconds."""
    late = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < late, f"waited {seconds} s for {what}"
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    now = datetime.now(UTC)
    if now.hour == 23 and now.minute >= 45:
        pytest.skip("yesterday would become another day during the test")
    shop = Shop(tmp_path_factory.mktemp("shop"), now.date() - DAY)
    shop.write()
    return shop


@pytest.fixture(scope="module")
def airflow(shop, tmp_path_factory) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("airflow")
    settings = {"AIRFLOW__DAG_PROCESSOR__DAG_VERSION_INFLATION_CHECK_LEVEL": "error"}
    with LocalAirflow(home, shop.config(), free_port(), settings) as airflow:
        airflow.wait_until_ready()
        yield airflow


def trigger(airflow: LocalAirflow, conf: dict[str, Any], logical_date: str | None = None) -> str:
    return str(
        airflow.call("POST", f"/dags/{DAILY}/dagRuns", {"conf": conf, "logical_date": logical_date})["dag_run_id"]
    )


def finished(airflow: LocalAirflow, run: str, dag: str = DAILY) -> str:
    """The state in which the run ended."""
    done = ("success", "failed")

    def state() -> str | None:
        state = airflow.call("GET", f"/dags/{dag}/dagRuns/{run}")["state"]
        return state if state in done else None

    return wait_for(f"the end of {run}", state)


def told(airflow: LocalAirflow, run: str) -> dict[str, Any]:
    """What the run's `publish` told of its day."""
    path = f"/dags/{DAILY}/dagRuns/{run}/taskInstances/publish/xcomEntries/return_value"
    value = airflow.call("GET", path)["value"]
    return dict(json.loads(value) if isinstance(value, str) else value)


def completed(airflow: LocalAirflow, number: int, days: int) -> None:
    """Wait until Airflow has completed a backfill."""
    find = lambda: airflow.call("GET", f"/backfills/{number}")["completed_at"]  # noqa: E731
    wait_for("the backfill", find, 120 + 60 * days)


def settled(airflow: LocalAirflow, config: Path) -> None:
    """Wait until `segment_reconcile` has nothing left to do."""

    def quiet() -> bool:
        return {run["state"] for run in airflow.runs(RECONCILE)} == {"success"} and not stale(load(config))

    wait_for("segment_reconcile", quiet, 600)


@pytest.fixture(scope="module")
def unpaused(airflow) -> LocalAirflow:
    """From here on the scheduler runs the DAGs."""
    for dag in (DAILY, RECONCILE):
        airflow.pause(dag, False)
    return airflow


@pytest.fixture(scope="module")
def unreachable(shop) -> Path:
    """Where one run's store should be."""
    path = shop.root / "unreachable"
    path.write_text("a file where the folder of a store belongs")
    return path


@pytest.fixture(scope="module")
def apart(shop, unpaused, unreachable) -> dict[str, str]:
    """Runs in stores of their own, started together: their ids."""
    nameless = shop.root / "nameless"
    shutil.copytree(shop.root / "orders", nameless)
    file = nameless / shop.file(0).name
    header, *lines = file.read_text().splitlines()
    file.write_text("\n".join([header, *(line[line.index(",") :] for line in lines)]) + "\n")
    configs = {
        "dated": shop.config("dated"),
        "nameless": shop.config("nameless-shop", orders="nameless", validation="max_quarantined_share = 0.5"),
        "unreachable": shop.config("unreachable-shop", store="unreachable/store"),
    }
    asked = {name: trigger(unpaused, {"config": str(config)}) for name, config in configs.items() if name != "dated"}
    asked["dated"] = trigger(unpaused, {"config": str(configs["dated"]), "date": str(shop.day(2))})
    asked["future"] = trigger(unpaused, {"date": str(shop.yesterday + 2 * DAY)})
    wait_for("a failure", lambda: unpaused.tasks(DAILY, asked["unreachable"])["extract"]["state"] == "up_for_retry")
    unreachable.unlink()
    return asked


def test_the_schedule_runs_yesterday_when_it_is_unpaused(shop, unpaused, apart):
    runs = wait_for("a run", lambda: [run for run in unpaused.runs(DAILY) if run["run_type"] == "scheduled"])
    assert [run["logical_date"] for run in runs] == [f"{shop.yesterday}T00:00:00Z"]
    assert finished(unpaused, runs[0]["dag_run_id"]) == "success"
    day = told(unpaused, runs[0]["dag_run_id"])
    assert (day["date"], day["outcome"], day["decision"]) == (str(shop.yesterday), "published", "baseline")
    assert published(shop.root / "shop.toml") == {shop.yesterday: 1}


def test_a_store_that_cannot_be_reached_is_tried_again(unpaused, apart):
    assert finished(unpaused, apart["unreachable"]) == "success"
    tasks = unpaused.tasks(DAILY, apart["unreachable"])
    assert tasks["extract"]["try_number"] >= 2
    assert {task["try_number"] for name, task in tasks.items() if name != "extract" and task["state"] == "success"} == {
        1
    }


def test_bad_data_is_not_tried_again(unpaused, apart):
    assert finished(unpaused, apart["nameless"]) == "failed"
    validate = unpaused.tasks(DAILY, apart["nameless"])["validate"]
    assert (validate["state"], validate["try_number"], validate["max_tries"]) == ("failed", 1, 4)
    assert "the data broke its contract" in unpaused.task_log(DAILY, apart["nameless"], "validate")


def test_a_date_in_the_future_is_refused_and_the_log_says_why(shop, unpaused, apart):
    assert finished(unpaused, apart["future"]) == "failed"
    assert unpaused.tasks(DAILY, apart["future"])["extract"]["try_number"] == 1
    assert f"{shop.yesterday + 2 * DAY} was not over" in unpaused.task_log(DAILY, apart["future"], "extract")


def test_a_run_by_hand_with_a_date_and_a_configuration_is_about_these(shop, unpaused, apart):
    assert finished(unpaused, apart["dated"]) == "success"
    assert told(unpaused, apart["dated"])["date"] == str(shop.day(2))
    assert published(shop.root / "dated.toml") == {shop.day(2): 1}


def test_a_run_by_hand_without_a_date_is_about_yesterday(shop, unpaused, apart):
    offered = datetime.now(UTC).isoformat()  # the logical date that the form offers
    run = trigger(unpaused, {}, offered)
    assert finished(unpaused, run) == "success"
    day = told(unpaused, run)
    assert (day["date"], day["outcome"]) == (str(shop.yesterday), "current")


def test_each_published_day_is_told_by_an_event_of_the_asset(shop, unpaused):
    settled(
        unpaused, shop.root / "shop.toml"
    )  # Airflow cannot list an event while a run that it started is still queued
    events = unpaused.call("GET", "/assets/events", source_dag_id=DAILY)["asset_events"]
    told = [event["extra"] for event in events if event["extra"]["config"] == str(shop.root / "shop.toml")]
    (snapshot,) = json.loads(cli(shop.root / "shop.toml", "history", "--json"))
    assert {event["outcome"] for event in told} == {"published", "current"}
    for event in told:
        assert (event["date"], event["snapshot_id"]) == (str(shop.yesterday), snapshot["snapshot_id"])
        assert (event["users"], event["segments"], event["share_moved"]) == (snapshot["users"], 3, 0)


@pytest.mark.parametrize("days", [8, pytest.param(DAYS, marks=pytest.mark.soak)])
def test_a_backfill_backwards_comes_out_as_a_clean_run_and_costs_two_derivations_a_day(shop, unpaused, days):
    config = shop.root / "shop.toml"
    before = published(config)
    options = {"run_backwards": True, "max_active_runs": 4, "reprocess_behavior": "none"}
    completed(unpaused, unpaused.backfill(shop.day(days), shop.day(1), **options), days)
    clean = shop.forward(f"forward-{days}", shop.day(days))
    settled(unpaused, config)
    derivations = published(config) - before
    assert set(derivations) >= {shop.day(back) for back in range(1, days + 1)}
    assert max(derivations.values()) <= 2
    assert digest(config) == clean


def test_a_corrected_day_in_the_middle_is_processed_again_and_later_days_follow(shop, unpaused):
    config = shop.root / "shop.toml"
    before, runs = digest(config), len(unpaused.runs(DAILY))
    file = shop.file(4)
    file.write_text(file.read_text() + f"late,{shop.day(4)} 23:59:59,late-1,3,999.99\n")
    number = unpaused.backfill(shop.day(4), shop.day(4), max_active_runs=1, reprocess_behavior="completed")
    clean = shop.forward("corrected", shop.day(8))
    completed(unpaused, number, 1)
    settled(unpaused, config)
    assert len(unpaused.runs(DAILY)) == runs  # the day's run was cleared, not another one made
    assert digest(config) == clean != before


# A proposal, and its answer


@pytest.fixture(scope="module")
def asking(shop) -> Path:
    """A shop that is challenged every day, and asks before it changes anything."""
    adjustment = "evaluate_every_days = 1\nchallenge_every_days = 1\nmax_centre_shift = 0.01\nask_above = 0"
    path = shop.config("asking", validation=f"[adjustment]\n{adjustment}")
    path.write_text(path.read_text().replace("segments = 3", "segments = 3\nmin_users = 10\nseed = 3"))
    return path


def run_day(airflow: LocalAirflow, config: Path, day: date) -> str:
    return trigger(airflow, {"config": str(config), "date": str(day)})


def reached(airflow: LocalAirflow, run: str, task: str, states: set[str]) -> str:
    def state() -> str | None:
        found = airflow.tasks(DAILY, run).get(task, {}).get("state")
        return found if found in states else None

    return wait_for(f"{task} of {run}", state)


def answer(airflow: LocalAirflow, run: str, choice: str) -> None:
    time.sleep(
        6
    )  # an answer within seconds of the question fails the task: Airflow's executor has not let go of it yet
    path = f"/dags/{DAILY}/dagRuns/{run}/taskInstances/approve_segments/-1/hitlDetails"
    airflow.call("PATCH", path, {"chosen_options": [choice], "params_input": {}})


def decisions(config: Path) -> dict[str, dict[str, Any]]:
    return {row["date"]: row for row in json.loads(cli(config, "decisions", "--json"))}


def test_days_go_on_while_a_proposal_waits_and_after_approval_the_next_day_has_the_new_model(shop, unpaused, asking):
    waiting, back = None, 20
    while waiting is None:  # until a day's challenge would reassign somebody
        run = run_day(unpaused, asking, shop.day(back))
        if reached(unpaused, run, "approve_segments", {"awaiting_input", "deferred", "skipped"}) != "skipped":
            waiting = run
        back -= 1
    proposed = decisions(asking)[str(shop.day(back + 1))]
    assert (proposed["decision"], proposed["reason"]) == ("hold", "proposed")
    for later in (back, back - 1):
        run = run_day(unpaused, asking, shop.day(later))
        reached(unpaused, run, "publish", {"success"})
    model = proposed["evidence"]["model_born"]
    assert decisions(asking)[str(shop.day(back - 1))]["evidence"]["model_born"] == model

    answer(unpaused, waiting, "Approve")
    assert finished(unpaused, waiting) == "success"
    run = run_day(unpaused, asking, shop.day(back - 2))
    reached(unpaused, run, "publish", {"success"})
    taken = decisions(asking)[str(shop.day(back - 2))]
    assert (taken["decision"], taken["reason"]) == ("restructure", "adopted")
    (record,) = [record for record in open_store(load(asking)).log.records() if record["kind"] == "adopt"]
    assert record["fit"] == proposed["state"]["proposals"][-1]["fit"]
    assert record["from_date"] == str(shop.day(back - 2))
    assert record["who"] == "admin"


def test_a_backfill_never_asks(shop, unpaused, asking):
    conf = {"config": str(asking)}
    first, last = shop.day(DAYS + 3), shop.day(DAYS + 2)
    number = unpaused.backfill(first, last, max_active_runs=1, reprocess_behavior="none", dag_run_conf=conf)
    completed(unpaused, number, 2)
    runs = [run for run in unpaused.runs(DAILY) if run["conf"] == conf]
    assert len(runs) == 2
    for run in runs:
        assert unpaused.tasks(DAILY, run["dag_run_id"])["approve_segments"]["state"] == "skipped"
