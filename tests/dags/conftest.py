"""The DAG files, parsed as Airflow parses them."""

import os
import sys
from pathlib import Path

import pytest

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture(scope="session", autouse=True)
def _airflow_home(tmp_path_factory):
    """Airflow writes its configuration to its home on import: not to the user's."""
    os.environ["AIRFLOW_HOME"] = str(tmp_path_factory.mktemp("airflow"))
    sys.path.insert(0, str(DAGS))  # as Airflow does
    yield
    sys.path.remove(str(DAGS))


@pytest.fixture
def folder():
    return DAGS


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """Write a configuration with the given [project] section, and make it the one that Airflow is started with."""

    def write(project: str = "") -> Path:
        path = tmp_path / "segmentation.toml"
        path.write_text(f'[project]\n{project}\n[sources.orders]\npath = "orders.csv"\n')
        monkeypatch.setenv("SEGMENTATION_CONFIG", str(path))
        return path

    return write


@pytest.fixture
def parse():
    """Parse the DAG files now; returns Airflow's DagBag."""

    def parse():
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(str(DAGS))

    return parse


@pytest.fixture
def dags(configure, parse):
    configure()
    return parse().dags
