"""docker-compose.yaml and Dockerfile say what Airflow 3 needs. (Nothing is started here.)"""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yaml").read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
AIRFLOW = {name: service for name, service in SERVICES.items() if name.startswith("airflow-")}
SECRETS = {
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "AIRFLOW_ADMIN_PASSWORD",
    "JWT_SECRET",
    "API_SECRET_KEY",
    "FERNET_KEY",
    "PROJECT_DIR",
}


def test_all_processes_of_airflow_3_are_there():
    assert {name: service["command"] for name, service in AIRFLOW.items()} == {
        "airflow-init": "version",
        "airflow-apiserver": "api-server",
        "airflow-scheduler": "scheduler",
        "airflow-dag-processor": "dag-processor",
        "airflow-triggerer": "triggerer",
        "airflow-worker": "celery worker",
    }
    assert set(SERVICES) - set(AIRFLOW) == {"postgres", "redis"}


def test_every_variable_must_be_given_and_nothing_has_a_default():
    used = re.findall(r"\$\{(\w+)(.*?)\}", TEXT)
    assert {name for name, _ in used} == SECRETS
    assert all(rest.startswith(":?") for _, rest in used)


def test_every_secret_comes_from_a_variable():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|AUTH$|CONN|BACKEND|BROKER", name):
                assert "${" in value, name


@pytest.mark.parametrize(
    "setting",
    [
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__CORE__AUTH_MANAGER",
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW__CELERY__BROKER_URL",
        "AIRFLOW__CELERY__RESULT_BACKEND",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
        "SEGMENTATION_CONFIG",
        "SEGMENTATION__STORE__URL",
    ],
)
def test_all_processes_of_airflow_agree(setting):
    assert len({service["environment"][setting] for service in AIRFLOW.values()}) == 1


def test_tasks_reach_the_api_server_by_its_name_in_the_network():
    environment = AIRFLOW["airflow-worker"]["environment"]
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://airflow-apiserver:8080/execution/"
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith("FabAuthManager")


def test_a_stopped_worker_lets_its_tasks_finish():
    assert AIRFLOW["airflow-worker"]["environment"]["DUMB_INIT_SETSID"] == "0"


def test_the_store_is_on_the_workers_and_on_the_api_server_where_the_setting_says():
    path = AIRFLOW["airflow-worker"]["environment"]["SEGMENTATION__STORE__URL"].removeprefix("file:")
    assert {name for name, service in AIRFLOW.items() if f"store:{path}" in service["volumes"]} == {
        "airflow-worker",
        "airflow-apiserver",
    }


def test_the_configuration_is_where_every_process_can_read_it():
    for service in AIRFLOW.values():
        folder = Path(service["environment"]["SEGMENTATION_CONFIG"]).parent
        assert any(volume.endswith(f":{folder}:ro") for volume in service["volumes"])


def test_nothing_starts_before_the_database_was_migrated():
    for name, service in AIRFLOW.items():
        waits = {other: depends["condition"] for other, depends in service["depends_on"].items()}
        assert waits["postgres"] == "service_healthy"
        assert name == "airflow-init" or waits["airflow-init"] == "service_completed_successfully"


def test_only_this_machine_reaches_the_web_page_and_nothing_else_is_open():
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "airflow-apiserver": ["127.0.0.1:8080:8080"]
    }


def test_the_image_has_the_airflow_of_the_constraints_and_everything_that_the_project_needs():
    dockerfile = (ROOT / "Dockerfile").read_text()
    pinned = re.search(r"^apache-airflow==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert f"FROM apache/airflow:{pinned[1]}-python3.11" in dockerfile
    copied = {name for line in re.findall(r"^COPY .*$", dockerfile, re.MULTILINE) for name in line.split()[2:-1]}
    assert copied == {"pyproject.toml", "constraints.txt", "README.md", "segmentation", "dags"}
    assert {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")} == copied
