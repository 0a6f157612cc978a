"""Ctrl-C: one sentence, exit code 130, nothing lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from shop import FIRST, Shop, random_shop

from segmentation import history
from segmentation.config import Config, load
from segmentation.contracts import acceptance
from segmentation.contracts.gate import Verdict
from segmentation.store.store import open_store
from segmentation.store.verify import verify

SENTENCE = "segmentation: interrupted: what is published and accepted is kept; run the same command again to go on\n"
SPAN = ["--from", str(FIRST + timedelta(days=5)), "--to", str(FIRST + timedelta(days=14))]
CONFIG = """
[sources.orders]
path = "orders/*.csv"
[features]
window_days = 5
[clustering]
segments = 2
[validation]
empty_days = "allow"
"""


# The gate takes most of a small day's time.
COMMAND = """
from segmentation.contracts import acceptance, gate
acceptance.gate = lambda *_: gate.Verdict((), ())
from segmentation.cli import main
main()
"""


@pytest.fixture(autouse=True)
def _open_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "gate", lambda *_: Verdict((), ()))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    (tmp_path / "segmentation.toml").write_text(CONFIG)
    return random_shop(tmp_path, seed=3, days=15)


def config_of(shop: Shop) -> Config:
    return load(shop.root / "segmentation.toml", {})


def start(shop: Shop, *arguments: str) -> subprocess.Popen[str]:
    """The command as a terminal starts it: Ctrl-C reaches the whole group, and is not ignored as in a background job."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--config", str(shop.root / "segmentation.toml"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def interrupted(process: subprocess.Popen[str], when: Callable[[], object]) -> tuple[int, str, str]:
    """Press Ctrl-C as soon as it is time: exit code, stdout, stderr."""
    until = time.monotonic() + 60
    while not when():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def workers(process: subprocess.Popen[str]) -> int:
    children = psutil.Process(process.pid).children()
    return sum("spawn_main" in " ".join(child.cmdline()) for child in children if child.is_running())


def test_an_interrupted_backfill_goes_on_when_it_is_run_again(shop: Shop) -> None:
    log = shop.root / "store" / "log"
    found = interrupted(start(shop, "backfill", *SPAN), lambda: log.exists() and len(list(log.iterdir())) > 12)
    assert found == (130, "", SENTENCE)
    config = config_of(shop)
    assert verify(open_store(config)) == []
    assert start(shop, "backfill", *SPAN).wait() == 0
    assert verify(open_store(config)) == []
    other = random_shop(shop.root / "other", seed=3, days=15)
    first, last = FIRST + timedelta(days=5), FIRST + timedelta(days=14)
    whole = other.config()
    history.backfill(whole, first, last)
    assert open_store(config).state().digest() == open_store(whole).state().digest()


@pytest.mark.parametrize("later", [0, 0.2, 0.5])
def test_workers_that_are_just_starting_say_nothing(shop: Shop, later: float) -> None:
    process = start(shop, "backfill", *SPAN, "--workers", "2")

    def begun() -> bool:
        found = workers(process) > 0
        if found:
            time.sleep(later)
        return found

    assert interrupted(process, begun) == (130, "", SENTENCE)


@pytest.mark.parametrize("command", [["run", "--date", SPAN[1]], ["reconcile"]])
def test_the_other_commands_say_the_same(shop: Shop, command: list[str]) -> None:
    config = config_of(shop)
    if command == ["reconcile"]:
        history.backfill(config, FIRST + timedelta(days=6), FIRST + timedelta(days=12))
        history.run(config, FIRST + timedelta(days=5))  # all days after it are stale
    records = open_store(config).state().number
    log = shop.root / "store" / "log"
    found = interrupted(start(shop, *command), lambda: log.exists() and len(list(log.iterdir())) > records)
    assert found == (130, "", SENTENCE)
    assert verify(open_store(config)) == []


def test_where_ctrl_c_is_ignored_it_stays_so(shop: Shop) -> None:
    """As in a script's background."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + COMMAND
    arguments = ["--config", str(shop.root / "segmentation.toml"), "run", "--date", SPAN[1]]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    log = shop.root / "store" / "log"
    assert interrupted(process, lambda: log.exists())[0] == 0


def test_an_interruption_while_the_program_loads_has_no_traceback() -> None:
    code = (
        "import os, signal, sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Slow())\n"
        "from segmentation.cli import main; main(['history'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", SENTENCE)
