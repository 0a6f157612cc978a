"""What the local Airflow starts is stopped, whatever happens."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from airflow_local import AirflowError, LocalAirflow, end, free_port, is_free, members, signals_held

CONFIG = '[sources.orders]\npath = "orders.csv"\n'

# A process that does not end when asked, with a child in a process group of its own, as Airflow's tasks are.
STUBBORN = r"""
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)
os.write(1, b"ready\n")
time.sleep(600)
"""

OWNER = """
import sys
from pathlib import Path
from airflow_local import LocalAirflow, end_on_signals, free_port
end_on_signals()
with LocalAirflow(Path(sys.argv[1]), Path(sys.argv[2]), free_port()) as airflow:
    print("started", flush=True)
    airflow.wait_until_ready()
"""


def with_examples() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(sys.modules["airflow_local"].__file__).parent)}


def living_in(home: Path) -> list[int]:
    """The processes that have this AIRFLOW_HOME."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AIRFLOW_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


LOCKED = {"detail": {"reason": "Database error", "message": "Serious error when handling your request."}}


def api_that_answers(tmp_path, monkeypatch, *answers: httpx.Response) -> LocalAirflow:
    """An Airflow of which only the API is there, with these answers in turn."""
    monkeypatch.setattr("airflow_local.time.sleep", lambda _: None)
    left = iter(answers)
    airflow = LocalAirflow(tmp_path, tmp_path / "segmentation.toml", free_port())
    airflow._client = httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(lambda _: next(left)))
    airflow._client.headers["Authorization"] = "Bearer token"
    return airflow


def test_a_locked_database_is_asked_again(tmp_path, monkeypatch):
    locked, busy, fine = httpx.Response(500, json=LOCKED), httpx.Response(503), httpx.Response(200, json={"paused": 1})
    airflow = api_that_answers(tmp_path, monkeypatch, locked, busy, locked, fine)
    assert airflow.call("PATCH", "/dags/user_segmentation", {"is_paused": True}) == {"paused": 1}


@pytest.mark.parametrize(("method", "answer"), [("POST", LOCKED), ("PATCH", {"detail": "Internal Server Error"})])
def test_an_error_that_may_have_changed_something_is_told(tmp_path, monkeypatch, method, answer):
    airflow = api_that_answers(tmp_path, monkeypatch, httpx.Response(500, json=answer))
    with pytest.raises(AirflowError, match="500"):
        airflow.call(method, "/backfills", {})


def test_a_process_that_ignores_the_request_ends_with_all_of_its_session(monkeypatch):
    monkeypatch.setattr("airflow_local.SECONDS_TO_STOP", 0.2)
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert [process.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
    assert len(members(process.pid)) == 2
    end([process])
    assert members(process.pid) == []


def test_what_a_finished_process_has_left_in_its_session_is_ended(tmp_path):
    script = "import os, time\nif os.fork() == 0:\n    time.sleep(600)\n"
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    process.wait()
    assert len(members(process.pid)) == 1
    end([process])
    assert members(process.pid) == []


@pytest.fixture
def _interrupts():
    """Ctrl-C raises, also where the tests run as a shell's background job, which begins with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts")
def test_a_signal_inside_a_protected_block_takes_effect_after_it():
    done = []
    with pytest.raises(KeyboardInterrupt), signals_held():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        done.append("the block")
    assert done == ["the block"]


def test_a_taken_port_is_noticed_and_another_one_is_chosen():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert free_port(port) != port
    assert is_free(port)
    assert free_port(port) == port


def test_up_says_so_when_the_port_is_taken():
    script = Path(sys.modules["airflow_local"].__file__)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([sys.executable, script, "--port", port], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr


def test_a_terminated_program_unwinds_as_after_ctrl_c():
    script = """
import os, signal
from airflow_local import end_on_signals
end_on_signals()
try:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
finally:
    print("unwound")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=with_examples(), capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.returncode) == ("unwound\n", 128 + signal.SIGTERM)


def test_nothing_is_left_when_its_owner_is_interrupted(tmp_path):
    home, config = tmp_path / "home", tmp_path / "segmentation.toml"
    config.write_text(CONFIG)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, home, config],
        env=with_examples(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout.readline() == "started\n"
    assert len(living_in(home)) >= 4
    owner.send_signal(signal.SIGINT)
    owner.communicate(timeout=60)
    assert owner.returncode != 0
    assert living_in(home) == []
