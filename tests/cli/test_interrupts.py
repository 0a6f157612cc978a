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
from shop import FIRST, Shop, random_shop, shop_config

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


# The gate takes most of a small day's time. The publishing of the day STOP_AT begins and goes on until it is interrupted.
COMMAND = """
import os, pathlib, time
from segmentation import stages
from segmentation.contracts import acceptance, gate
acceptance.gate = lambda *_: gate.Verdict((), ())
publish = stages.publish
def stopping(config, day, derivation):
    while str(day) == os.environ.get("STOP_AT"):
        (config.root / "begun").touch()
        time.sleep(0.01)
    return publish(config, day, derivation)
stages.publish = stopping
from segmentation.cli import main
main()
"""
MIDDLE = str(FIRST + timedelta(days=9))


@pytest.fixture(autouse=True)
def _open_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "gate", lambda *_: Verdict((), ()))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    (tmp_path / "segmentation.toml").write_text(CONFIG)
    return random_shop(tmp_path, seed=3, days=15)


def config_of(shop: Shop) -> Config:
    return load(shop.root / "segmentation.toml", {})


def start(shop: Shop, *arguments: str, stop_at: str = "", ignoring: bool = False) -> subprocess.Popen[str]:
    """The command as a terminal starts it: Ctrl-C reaches the whole group, and is not ignored as in a background job."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--config", str(shop.root / "segmentation.toml"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "STOP_AT": stop_at},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN if ignoring else signal.default_int_handler),
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


@pytest.mark.parametrize("command", [["backfill", *SPAN], ["run", "--date", MIDDLE], ["reconcile"]])
def test_an_interrupted_command_says_so_and_goes_on_when_it_is_run_again(shop: Shop, command: list[str]) -> None:
    config = config_of(shop)
    if command == ["reconcile"]:
        history.backfill(config, FIRST + timedelta(days=6), FIRST + timedelta(days=14))
        history.run(config, FIRST + timedelta(days=5))  # all days after it are stale
    begun = shop.root / "begun"
    assert interrupted(start(shop, *command, stop_at=MIDDLE), begun.exists) == (130, "", SENTENCE)
    assert verify(open_store(config)) == []
    process = start(shop, *command)
    assert (process.communicate()[1], process.returncode) == ("", 0)
    if command[0] != "run":
        whole = shop_config(shop.root, "whole")
        history.backfill(whole, FIRST + timedelta(days=5), FIRST + timedelta(days=14))
        assert open_store(config).state().digest() == open_store(whole).state().digest()


def test_workers_that_are_just_starting_say_nothing(shop: Shop) -> None:
    process = start(shop, "backfill", *SPAN, "--workers", "2")
    assert interrupted(process, lambda: workers(process) > 0) == (130, "", SENTENCE)


def test_where_ctrl_c_is_ignored_it_stays_so(shop: Shop) -> None:
    """As in a script's background."""
    process = start(shop, "run", "--date", SPAN[1], ignoring=True)
    log = shop.root / "store" / "log"
    assert interrupted(process, log.exists)[0] == 0
