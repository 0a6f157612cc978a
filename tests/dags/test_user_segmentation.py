"""The daily DAG: its tasks, dates, parameters, what it retries, and what it tells."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from segmentation.errors import ConfigError, DataContractError, NoRowsError, StoreError

STAGES = ["extract", "validate", "build_features", "cluster", "compare_segments", "publish"]


@pytest.fixture
def dag(dags):
    return dags["user_segmentation"]


def test_the_tasks_are_the_six_stages_one_after_the_other_and_then_the_approval(dag):
    ranks = {task.task_id: {up.task_id for up in task.get_flat_relatives(upstream=True)} for task in dag.tasks}
    tasks = [*STAGES, "ask", "approve_segments", "adopt_segments"]
    assert ranks == {task: set(tasks[:position]) for position, task in enumerate(tasks)}


def test_an_answer_is_waited_for_as_long_as_the_configuration_says_and_none_is_a_rejection(configure, parse):
    configure("approval_days = 3")
    task = parse().dags["user_segmentation"].get_task("approve_segments")
    assert (task.response_timeout, task.defaults) == (timedelta(days=3), ["Reject"])


def test_a_run_is_about_the_day_from_midnight_to_midnight_in_the_projects_time_zone(configure, parse):
    from airflow.sdk import CronDataIntervalTimetable

    configure('timezone = "America/New_York"')
    assert parse().dags["user_segmentation"].timetable == CronDataIntervalTimetable("0 0 * * *", "America/New_York")


def test_start_and_end_of_the_project_are_those_of_the_dag(configure, parse):
    configure('timezone = "America/New_York"\nstart = 2017-09-25\nend = 2017-11-19')
    dag = parse().dags["user_segmentation"]
    assert dag.start_date == datetime(2017, 9, 25, 4, tzinfo=UTC)
    assert dag.end_date == datetime(2017, 11, 19, 5, tzinfo=UTC)  # the clocks were put back in between


def test_without_start_and_end_the_dag_has_none(dag):
    assert (dag.start_date, dag.end_date) == (None, None)


def test_missed_days_are_not_caught_up_with(dag):
    assert dag.catchup is False
    assert dag.max_active_runs == 4


def test_the_parameters_are_typed_described_and_have_defaults(configure, parse):
    path = configure()
    params = parse().dags["user_segmentation"].params
    assert params.dump() == {"date": None, "config": str(path)}
    assert all(params.get_param(name).description for name in params)


@pytest.mark.parametrize(
    "given", [{"date": "9.10.2017"}, {"date": "2017-02-30"}, {"date": 20171009}, {"config": ""}, {"config": None}]
)
def test_a_parameter_of_another_type_is_refused_by_the_form(dag, given):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(next(iter(given))).resolve(next(iter(given.values())))


def test_the_manual_is_shown_and_explains_every_task_and_parameter(dag):
    assert all(f"`{name}`" in dag.doc_md for name in [*STAGES, *dag.params])
    assert all(word in dag.doc_md for word in ("Backfill from the UI", "What is safe", "When it fails", '{"date": "'))


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (DataContractError("x"), "fail"),
        (NoRowsError("x"), "fail"),
        (ConfigError("x"), "fail"),
        (StoreError("x"), "retry"),
        (OSError("x"), "retry"),
        (FileNotFoundError("x"), "retry"),
        (TimeoutError("x"), "retry"),
        (MemoryError("x"), "default"),
    ],
)
def test_reading_and_writing_is_tried_again_bad_data_and_configuration_never(dag, error, action):
    for task in dag.tasks:
        assert task.retries == 4
        assert task.retry_policy.evaluate(error, 1, 4).action.value == action


@pytest.fixture
def called(monkeypatch):
    """Every call of a stage: its name and arguments, without the configuration."""
    from segmentation import stages

    calls = []
    answers = {
        "extract": {"date": "2026-11-23", "read": "r1", "rows": 7},
        "build_features": {"derivation": "d1", "users": 3},
        "publish": {
            "date": "2026-11-23",
            "snapshot_id": "s1",
            "users": 3,
            "segments": 2,
            "decision": "hold",
            "moved": 1,
            "share_moved": 0.333333,
            "outcome": "published",
        },
    }

    def stand_in(name):
        def stage(config, *arguments):
            calls.append((name, *arguments))
            return answers.get(name, {})

        return stage

    for name in STAGES:
        monkeypatch.setattr(stages, name, stand_in(name))
    return calls


def test_each_task_is_one_call_of_its_stage(dag, called):
    run = SimpleNamespace(
        partition_key=None, data_interval_start=None, logical_date=None, run_after=datetime(2026, 11, 24, 8, tzinfo=UTC)
    )
    call = {stage: dag.task_dict[stage].python_callable for stage in STAGES}
    params = dag.params.dump()
    events = {dag.task_dict["publish"].outlets[0]: SimpleNamespace(extra={})}
    extracted = call["extract"](params=params, dag_run=run)
    call["validate"](extracted, params=params)
    features = call["build_features"](extracted, params=params)
    call["cluster"](extracted, features, params=params)
    call["compare_segments"](extracted, features, params=params)
    call["publish"](extracted, features, params=params, outlet_events=events)
    day = date(2026, 11, 23)
    assert called == [
        ("extract", day),
        ("validate", "r1"),
        ("build_features", day),
        ("cluster", day, "d1"),
        ("compare_segments", day, "d1"),
        ("publish", day, "d1"),
    ]
    ((asset, event),) = events.items()
    assert asset.name == "user_segments"
    assert event.extra == {
        "date": "2026-11-23",
        "snapshot_id": "s1",
        "users": 3,
        "segments": 2,
        "share_moved": 0.333333,
        "outcome": "published",
        "config": params["config"],
    }


def test_a_date_that_is_not_over_reaches_no_stage(dag, called):
    run = SimpleNamespace(
        partition_key=None, data_interval_start=None, logical_date=None, run_after=datetime(2026, 11, 24, 8, tzinfo=UTC)
    )
    params = dag.params.dump() | {"date": "2026-11-24"}
    with pytest.raises(ConfigError, match="2026-11-24 was not over"):
        dag.task_dict["extract"].python_callable(params=params, dag_run=run)
    assert called == []
