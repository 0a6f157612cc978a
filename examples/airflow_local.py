"""A local Airflow on this project's DAGs, for the demo, the tests and `make up`: SQLite, LocalExecutor, 127.0.0.1 only.

It runs the four processes of `airflow standalone` itself: that command leaves them behind when it is terminated, and its log
servers listen on every network interface.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Self

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / ".demo"
CONFIGS = {  # of the demos, by what they are about
    "complete_journey": ROOT / "examples" / "complete_journey" / "segmentation.toml",
    "simulated": DEMO / "simulated" / "segmentation.toml",
}
USER = "admin"
COMPONENTS = {
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "api-server": ["api-server"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
PRELOADED = (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.task_runner",
    "segmentation.stages",
    "great_expectations",
    "sklearn.cluster",
)
DAGS = ("user_segmentation", "segment_reconcile")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS_LOCKED = 60  # that a writer waits for the others
SECONDS_TO_START = 180
SECONDS_TO_STOP = 15
RESTARTS = 5


class AirflowError(Exception):
    """Airflow did not start, or answered with an error."""


class LocalAirflow:
    """Airflow from entering to leaving the `with` block; all of its files are in `home`.

    Tasks read the configuration at `config`. `settings` are environment variables for Airflow and its tasks.
    """

    def __init__(self, home: Path, config: Path, port: int, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.resolve()
        self.url = f"http://localhost:{port}"
        self.password = ""
        self._config = config.resolve()
        self._port = port
        self._settings = settings or {}
        self._started = datetime.min.replace(tzinfo=UTC)
        self._restarts = 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=2 * SECONDS_LOCKED, trust_env=False)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Migrate the database and start the processes; `wait_until_ready` waits until they are of use."""
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        passwords = self.home / "passwords.json"
        if not passwords.exists():
            passwords.touch(mode=0o600)
            passwords.write_text(json.dumps({USER: secrets.token_urlsafe(12)}))
        self.password = json.loads(passwords.read_text())[USER]
        self._started = datetime.now(UTC)
        self._run("db-migrate", ["db", "migrate"])
        if self._processes.pop("db-migrate").wait():
            raise AirflowError(f"Airflow's database could not be made.\n{self.last_lines('db-migrate')}")
        for name, command in COMPONENTS.items():
            self._run(name, command)

    def _run(self, name: str, command: list[str]) -> None:
        # A session of its own: Airflow gives every task a process group of its own, but they all stay in the session.
        with signals_held(), self.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                env=self._environment(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
        return {
            **inherited,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "AIRFLOW_HOME": str(self.home),
            # SQLite has one writer: who comes second waits, for 5 seconds unless told otherwise, and fails then.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db?timeout={SECONDS_LOCKED}",
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            # Tasks are forked from a process that has loaded what takes seconds to load.
            "AIRFLOW__SCHEDULER__MP_START_METHOD": "forkserver",
            "AIRFLOW__CORE__MP_FORKSERVER_PRELOAD": ",".join(PRELOADED),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self._port}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "SEGMENTATION_CONFIG": str(self._config),
            **self._settings,
        }

    def wait_until_ready(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Wait until all processes are healthy and the DAGs are known.

        Raises AirflowError naming the log when a process ended, a DAG cannot be imported, or it took too long.
        """
        late = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < late:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise AirflowError(f"Airflow's {name} ended; see {self.log(name)}\n{self.last_lines(name)}")
            waiting = self._waiting_for()
            if waiting is None:
                return
            progress(waiting)
            time.sleep(0.5)
        raise AirflowError(f"Airflow was not ready after {SECONDS_TO_START} s: {waiting}; see {self.home}/logs")

    def _waiting_for(self) -> str | None:
        try:
            health = self._client.get("/api/v2/monitor/health").raise_for_status().json()
        except httpx.HTTPError:
            return "its API"
        unwell = [name for name, part in health.items() if part and part.get("status") != "healthy"]
        if unwell:
            return f"its {', '.join(unwell)}".replace("_", " ")
        if errors := self.call("GET", "/importErrors")["import_errors"]:
            raise AirflowError("\n".join(f"{error['filename']}: {error['stack_trace']}" for error in errors))
        dags = self.call("GET", "/dags")["dags"]
        parsed = {dag["dag_id"] for dag in dags if datetime.fromisoformat(dag["last_parsed_time"]) > self._started}
        return None if parsed.issuperset(DAGS) else "its DAGs"

    def keep_running(self) -> None:
        """Start a process that has ended again, as any operator of Airflow does: on SQLite, two writers may break one.

        Raises AirflowError naming its log when that happens too often.
        """
        for name, process in list(self._processes.items()):
            if process.poll() is None:
                continue
            end([process])
            if self._restarts == RESTARTS:
                raise AirflowError(f"Airflow's {name} ended again; see {self.log(name)}\n{self.last_lines(name)}")
            self._restarts += 1
            self._run(name, COMPONENTS[name])

    def backfill(self, first: date, last: date, **options: Any) -> int:
        """Create a backfill of `user_segmentation` and return its number; the DAG runs from here on.

        The DAG is paused meanwhile: on SQLite, Airflow commits the runs one by one, and deletes them when the database is
        locked in between. A scheduler that has begun to run them ends then.
        """
        self.pause(DAGS[0], True)
        body = {"dag_id": DAGS[0], "from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z", **options}
        number = int(self.call("POST", "/backfills", body)["id"])
        self.pause(DAGS[0], False)
        return number

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """One request to Airflow's REST API (`path` without /api/v2); returns the JSON answer.

        A locked database (SQLite has one writer) is asked again: a 503, and a 500 that names the database unless it may
        have made something. Raises AirflowError with the answer otherwise.
        """
        self.keep_running()
        for attempt in range(20):
            if "Authorization" not in self._client.headers:
                login = {"username": USER, "password": self.password}
                token = self._client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
                self._client.headers["Authorization"] = f"Bearer {token}"
            answer = self._client.request(method, f"/api/v2{path}", json=body, params=query)
            locked = answer.status_code == 500 and method != "POST" and "Database error" in answer.text
            if answer.status_code != 503 and not locked:
                break
            time.sleep(0.2 * (attempt + 1))
        if answer.is_error:
            raise AirflowError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def pause(self, dag_id: str, paused: bool) -> None:
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": paused})

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The DAG's runs, the newest first."""
        runs = self.call("GET", f"/dags/{dag_id}/dagRuns", limit=100, order_by="-id")["dag_runs"]
        return list(runs)

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """The run's task instances by task id."""
        tasks = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in tasks}

    def task_log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """What one attempt of a task has logged."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        return json.dumps(self.call("GET", path, full_content="true")["content"], ensure_ascii=False)

    def task_log_file(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> Path:
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return folder / f"attempt={attempt}.log"

    def log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def last_lines(self, name: str, count: int = 15) -> str:
        log = self.log(name)
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:]) if log.exists() else ""

    def stop(self) -> None:
        """Stop every process, and wait until none is left."""
        end(list(self._processes.values()))
        self._processes.clear()


def end(processes: Sequence["subprocess.Popen[Any]"]) -> None:
    """Ask processes that lead sessions to end, end what is left of the sessions, and wait until nothing is."""
    with signals_held():
        for process in processes:
            process.terminate()
        late = time.monotonic() + SECONDS_TO_STOP
        while any(process.poll() is None for process in processes) and time.monotonic() < late:
            time.sleep(0.1)
        while left := [pid for process in processes for pid in members(process.pid)]:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in processes:
                process.poll()
            time.sleep(0.05)


def members(session: int) -> list[int]:
    """The ids of the living processes of a session."""
    found = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


@contextmanager
def signals_held() -> Iterator[None]:
    """Signals that come inside the block take effect after it. (They are not masked: a child would inherit the mask.)"""
    came: list[int] = []
    handlers = {}
    for number in SIGNALS:
        with suppress(ValueError):  # only the main thread gets signals
            handlers[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)


def end_on_signals() -> None:
    """Make SIGTERM and SIGHUP unwind the program as Ctrl-C does, so that it stops what it started.

    And Ctrl-C too: a program that a shell starts in the background begins with it ignored.
    """

    def end(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(preferred: int = 0) -> int:
    """The preferred port if it is free, else any free one."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Airflow on the demo's store until Ctrl-C."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", nargs="?", choices=CONFIGS, default="complete_journey")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    port, config = arguments.port, CONFIGS[arguments.data]
    if not is_free(port):
        sys.exit(f"Port {port} is taken. Stop what listens there, or choose another: {sys.argv[0]} --port 8081")
    end_on_signals()
    if not config.exists():
        sys.exit(f"There is no shop yet: `make demo DATA={arguments.data}` makes one.")
    try:
        with LocalAirflow(DEMO / "airflow", config, port) as airflow:
            print("Airflow is starting ...", file=sys.stderr)
            airflow.wait_until_ready()
            if not (DEMO / "store").exists() and not (config.parent / "store").exists():
                print("There is no history yet: `make demo` makes one, or trigger the DAG with a date.")
            print(f"Airflow: {airflow.url}\nuser {USER}, password {airflow.password}\nCtrl-C stops it.", flush=True)
            while True:
                airflow.keep_running()
                time.sleep(1)
    except AirflowError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Airflow has stopped.", file=sys.stderr)


if __name__ == "__main__":
    main()
