"""The DAG that settles stale days: when it starts, what it waits for, when it does nothing."""

from datetime import date, datetime
from types import SimpleNamespace

import pytest

from segmentation.errors import DataContractError


@pytest.fixture
def dag(dags):
    return dags["segment_reconcile"]


def test_it_starts_after_every_published_day_one_run_at_a_time(dags, dag):
    assert list(dag.timetable.asset_condition.objects) == dags["user_segmentation"].task_dict["publish"].outlets
    assert dag.max_active_runs == 1
    assert dag.catchup is False


def test_it_waits_without_a_slot_and_then_reconciles(dag):
    assert dag.task_dict["wait_until_quiet"].mode == "reschedule"
    assert dag.task_dict["wait_until_quiet"].downstream_task_ids == {"reconcile"}


def test_bad_data_is_not_tried_again(dag):
    for task in dag.tasks:
        assert task.retry_policy.evaluate(DataContractError("x"), 1, 4).action.value == "fail"


def test_the_manual_is_shown_and_explains_every_task_and_parameter(dag):
    assert all(f"`{name}`" in dag.doc_md for name in [*dag.task_ids, *dag.params])


@pytest.fixture
def history(monkeypatch):
    """A history of which the test says which days are stale and how long the log has been quiet."""
    from segmentation import history

    told = SimpleNamespace(stale=[], quiet=0.0, settled=[], opened=[])

    def stale(config):
        told.opened.append(config.root.name)
        return told.stale

    def quiet_for(config, now):
        assert isinstance(now, datetime)
        assert now.tzinfo
        return told.quiet

    def reconcile(config):
        told.opened.append(config.root.name)
        return told.settled

    monkeypatch.setattr(history, "stale", stale)
    monkeypatch.setattr(history, "quiet_for", quiet_for)
    monkeypatch.setattr(history, "reconcile", reconcile)
    return told


def run(dag, task, events=(), **params):
    from wiring import SEGMENTS

    given = dag.params.dump() | params
    return dag.task_dict[task].python_callable(params=given, triggering_asset_events={SEGMENTS: list(events)})


@pytest.mark.parametrize(
    ("stale", "quiet", "params", "over"),
    [
        pytest.param([date(2024, 3, 1)], 119, {}, False, id="stale, still being written to"),
        pytest.param([date(2024, 3, 1)], 120, {}, True, id="stale, quiet for as long as the default says"),
        pytest.param([date(2024, 3, 1)], 5, {"settle_seconds": 5}, True, id="quiet for as long as the form says"),
        pytest.param([date(2024, 3, 1)], 0, {"settle_seconds": 0}, True, id="at once"),
        pytest.param([], 0, {}, True, id="nothing to wait for"),
    ],
)
def test_it_waits_until_no_day_is_stale_or_the_log_is_quiet(dag, history, stale, quiet, params, over):
    history.stale, history.quiet = stale, quiet
    assert run(dag, "wait_until_quiet", **params) is over


def test_the_configuration_says_how_long_quiet_is(configure, parse, history):
    configure("settle_seconds = 7")
    history.stale, history.quiet = [date(2024, 3, 1)], 7
    assert run(parse().dags["segment_reconcile"], "wait_until_quiet") is True


def test_a_run_without_stale_days_is_skipped_and_says_so(dag, history):
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="no day is stale: nothing to do"):
        run(dag, "reconcile")


def test_it_returns_the_days_that_it_settled(dag, history):
    history.settled = [{"date": "2024-03-01", "outcome": "published", "users": 4}]
    assert run(dag, "reconcile") == [{"date": "2024-03-01", "outcome": "published"}]


def test_days_published_under_other_configurations_are_settled_in_their_own_histories(dag, history, tmp_path):
    from airflow.sdk.exceptions import AirflowSkipException

    events = []
    for name in ("south", "north", "south"):
        (tmp_path / name).mkdir(exist_ok=True)
        config = tmp_path / name / "segmentation.toml"
        config.write_text('[sources.orders]\npath = "orders.csv"\n')
        events.append(SimpleNamespace(extra={"config": str(config)}))
    with pytest.raises(AirflowSkipException):
        run(dag, "reconcile", events)
    assert history.opened == ["north", "south"]
