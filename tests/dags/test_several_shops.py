"""A folder of configurations: a DAG for each; and days that are not complete are waited for until their deadline."""

from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

ORDERS = '[sources.orders]\npath = "orders.csv"\n'


@pytest.fixture
def shops(tmp_path, monkeypatch):
    (tmp_path / "north.toml").write_text(ORDERS)
    (tmp_path / "south.toml").write_text(f'[project]\ntimezone = "Asia/Shanghai"\n{ORDERS}')
    monkeypatch.setenv("SEGMENTATION_CONFIG", str(tmp_path))
    return tmp_path


def test_a_folder_has_one_dag_for_each_of_its_configurations(shops, parse):
    from airflow.sdk import CronDataIntervalTimetable

    bag = parse()
    assert bag.import_errors == {}
    assert set(bag.dags) == {"user_segmentation_north", "user_segmentation_south", "segment_reconcile"}
    south = bag.dags["user_segmentation_south"]
    assert south.params.dump()["config"] == str(shops / "south.toml")
    assert south.timetable == CronDataIntervalTimetable("0 0 * * *", "Asia/Shanghai")
    assert bag.dags["segment_reconcile"].params.dump()["config"] is None


def test_a_wrong_configuration_stops_its_own_dag_only_and_says_why(shops, parse):
    from airflow.sdk.exceptions import AirflowFailException

    (shops / "south.toml").write_text('[project]\ntimezone = "Mars"\n' + ORDERS)
    bag = parse()
    assert bag.import_errors == {}
    wrong = bag.dags["user_segmentation_south"]
    assert "[project] timezone = 'Mars'" in wrong.doc_md
    with pytest.raises(AirflowFailException, match="Mars"):
        wrong.task_dict["extract"].python_callable()
    assert "publish" in bag.dags["user_segmentation_north"].task_ids


def test_a_file_of_any_name_has_a_dag_and_takes_none_away(shops, parse):
    for name in ("my shop.toml", "商店.toml", "my_shop.toml"):
        (shops / name).write_text(ORDERS)
    (shops / "broken.toml").write_bytes(b"\xff\xfe = nonsense")
    bag = parse()
    assert bag.import_errors == {}
    paths = {dag.params.dump().get("config") for name, dag in bag.dags.items() if name.startswith("user_segmentation")}
    assert {str(shops / name) for name in ("my shop.toml", "商店.toml", "my_shop.toml", "north.toml")} <= paths
    assert "user_segmentation_my_shop" in bag.dags
    assert "**The configuration is wrong.**" in bag.dags["user_segmentation_broken"].doc_md


def test_an_empty_folder_is_an_import_error(tmp_path, monkeypatch, parse):
    monkeypatch.setenv("SEGMENTATION_CONFIG", str(tmp_path))
    assert all("has no configuration" in error for error in parse().import_errors.values())


def test_all_shops_are_settled_when_a_run_is_about_none(shops, parse, monkeypatch):
    from segmentation import history

    opened = []
    monkeypatch.setattr(history, "stale", lambda config: opened.append(config.project.timezone) or [])
    monkeypatch.setattr(history, "quiet_for", lambda config, now: 0.0)
    dag = parse().dags["segment_reconcile"]
    assert dag.task_dict["wait_until_quiet"].python_callable(params=dag.params.dump(), triggering_asset_events={})
    assert opened == ["UTC", "Asia/Shanghai"]


@pytest.fixture
def sensor(tmp_path, monkeypatch, parse):
    """The sensor of a shop whose day is complete when it has a marker; asked for 2026-11-23."""
    path = tmp_path / "segmentation.toml"
    path.write_text(f'{ORDERS}[sources.orders.complete]\nmarker = "{{date}}.done"\ndeadline_hours = 6\n')
    (tmp_path / "orders.csv").write_text("user_id,ordered_at\nu1,2026-11-23 10:00\n")
    monkeypatch.setenv("SEGMENTATION_CONFIG", str(path))
    dag = parse().dags["user_segmentation"]
    task = dag.task_dict["wait_until_complete"]
    run = SimpleNamespace(
        partition_key=None,
        data_interval_start=datetime(2026, 11, 23, tzinfo=UTC),
        logical_date=datetime(2026, 11, 23, tzinfo=UTC),
        run_after=datetime(2026, 11, 24, tzinfo=UTC),
    )
    assert task.mode == "reschedule"
    assert task.downstream_task_ids == {"extract"}
    return lambda: task.python_callable(params=dag.params.dump(), dag_run=run)


def at(moment, monkeypatch):
    import wiring

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return moment

    monkeypatch.setattr(wiring, "datetime", Clock)


def test_a_day_that_is_not_complete_is_waited_for_until_the_deadline(sensor, tmp_path, monkeypatch):
    from airflow.sdk.exceptions import AirflowFailException

    at(datetime(2026, 11, 24, 5, 59, tzinfo=UTC), monkeypatch)
    assert sensor() is False
    at(datetime(2026, 11, 24, 6, 0, tzinfo=UTC), monkeypatch)
    with pytest.raises(
        AirflowFailException, match=r"2026-11-23 was not complete by 2026-11-24 06:00 UTC.*2026-11-23.done"
    ):
        sensor()
    (tmp_path / "2026-11-23.done").touch()
    assert sensor() is True


def test_the_deadline_is_that_of_the_projects_midnight(tmp_path):
    from zoneinfo import ZoneInfo

    from segmentation.config import load

    path = tmp_path / "segmentation.toml"
    path.write_text(
        f'[project]\ntimezone = "Asia/Shanghai"\n{ORDERS}[sources.orders.complete]\nrows_after = "22:00"\ndeadline_hours = 3\n'
    )
    expected = datetime(2026, 11, 24, 3, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert load(path, {}).deadline(date(2026, 11, 23)) == expected
