"""The demo's shops. (That it runs through Airflow is shown by `make demo` itself.)"""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import demo
import pytest
from airflow_local import CONFIGS
from examples.conftest import EXAMPLES

from segmentation.config import load


def test_the_simulated_shop_has_eight_weeks_after_its_window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGMENTATION__PROJECT__SETTLE_SECONDS", "10")  # as the demo sets it, and taken back here
    few = [value if before != "--users" else "60" for before, value in zip(("", *demo.SHOP), demo.SHOP, strict=False)]
    monkeypatch.setattr(demo, "SHOP", few)
    demo.simulate(tmp_path / "shop" / "segmentation.toml")
    config = load(tmp_path / "shop" / "segmentation.toml")
    start, end = config.project.start, config.project.end
    assert start is not None
    assert end is not None
    assert (end - start).days + 1 >= 56
    first_file = min(path.stem for path in (tmp_path / "shop" / "events").iterdir())
    assert str(start - timedelta(days=config.features.window_days - 1)) == first_file
    assert config.project.settle_seconds == 10
    assert config.store_path() == tmp_path / "shop" / "store"


def test_the_real_shop_is_what_the_demo_is_about_by_itself() -> None:
    assert CONFIGS[demo.REAL] == EXAMPLES / "complete_journey" / "segmentation.toml"
    makefile = (EXAMPLES.parent / "Makefile").read_text()
    assert f"DATA ?= {demo.REAL}\n" in makefile
    assert load(CONFIGS[demo.REAL], {}).project.end is not None


@pytest.mark.parametrize("script", ["demo.py", "airflow_local.py"])
def test_a_shop_that_is_not_there_is_said(script: str) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / script, "simulate"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invalid choice: 'simulate'" in done.stderr
    assert "simulated" in done.stderr
