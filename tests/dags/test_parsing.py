"""DAG files are parsed every few seconds: they must be quick, and say what is wrong with the configuration."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("great_expectations", "sklearn", "pandas", "plotly", "scipy", "duckdb", "pyarrow", "numpy")

PARSE = """
import json, runpy, sys, time
import airflow.sdk, airflow.providers.standard.sensors.python  # Airflow has them loaded before it parses
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
begin = time.process_time()
runpy.run_path(sys.argv[2])
seconds = time.process_time() - begin
print(json.dumps({"seconds": seconds, "modules": sorted({name.partition(".")[0] for name in set(sys.modules) - before})}))
"""


@pytest.fixture(params=["user_segmentation", "segment_reconcile"])
def parsed(request, configure, folder):
    configure()
    arguments = [str(folder), str(folder / f"{request.param}.py")]
    done = subprocess.run(
        [sys.executable, "-c", PARSE, *arguments], env=dict(os.environ), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_a_dag_file_is_parsed_within_two_seconds_and_loads_nothing_heavy(parsed):
    assert parsed["seconds"] < 2
    assert not set(HEAVY) & set(parsed["modules"])


def test_all_dag_files_are_found_and_nothing_else(configure, parse):
    configure()
    bag = parse()
    assert bag.import_errors == {}
    assert set(bag.dags) == {"user_segmentation", "segment_reconcile"}


def test_without_a_configuration_the_import_error_says_how_to_name_one(monkeypatch, parse):
    monkeypatch.delenv("SEGMENTATION_CONFIG", raising=False)
    errors = parse().import_errors
    assert len(errors) == 2
    assert all("set the environment variable SEGMENTATION_CONFIG" in error for error in errors.values())


def test_a_wrong_configuration_is_an_import_error_that_names_the_setting(configure, parse):
    configure('timezone = "Mars"')
    assert all("[project] timezone = 'Mars'" in error for error in parse().import_errors.values())


def test_parsing_twice_gives_the_same_dag_so_that_no_new_version_is_made(configure, parse):
    from airflow.serialization.serialized_objects import DagSerialization

    configure('timezone = "Europe/London"\nstart = 2017-03-01')
    first, second = (
        {name: DagSerialization.to_dict(dag) for name, dag in bag.dags.items()} for bag in (parse(), parse())
    )
    assert first == second
