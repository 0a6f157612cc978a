"""The console script: a process of its own, that ends with the command's exit code and all of its output."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

SCRIPT = (sys.executable, "-c", "from segmentation.cli import script; script()")


def ended(arguments: Sequence[str], cwd: Path, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SCRIPT, *arguments], cwd=cwd, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["--help"], 0, "Segment a shop's users day by day", ""),
        (["features", "--json"], 0, '"average_order_value"', ""),
        (["nonsense"], 2, "", "No such command 'nonsense'"),
        (["history"], 2, "", "there is no configuration file segmentation.toml"),
    ],
)
def test_it_ends_with_the_code_of_the_command_and_all_of_its_output(
    tmp_path: Path, arguments: list[str], code: int, out: str, err: str
) -> None:
    result = ended(arguments, tmp_path)
    assert result.returncode == code
    assert out in result.stdout
    assert err in result.stderr
    if arguments[-1] == "--json":
        assert result.stdout.endswith("]\n")


def test_whoever_reads_it_may_go_away(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = ended(["features", "--json"], tmp_path, writing)
    os.close(writing)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


def test_what_runs_at_the_end_of_a_process_has_run(tmp_path: Path) -> None:
    """Temporary folders are removed, worker pools closed."""
    code = f"import atexit, os; atexit.register(os.mkdir, {str(tmp_path / 'ran')!r}); {SCRIPT[-1]}"
    result = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, check=False, timeout=120)
    assert result.returncode == 0
    assert (tmp_path / "ran").exists()
