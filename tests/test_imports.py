"""What importing the package costs: a DAG file and every command begin with it."""

import subprocess
import sys

HEAVY = {"airflow", "great_expectations", "sklearn", "pandas", "plotly", "pyarrow", "duckdb"}


def test_importing_the_package_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import segmentation\n"
        "print(time.perf_counter() - start, *{name.partition('.')[0] for name in sys.modules})"
    )
    seconds, *loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert HEAVY.isdisjoint(loaded)
    assert float(seconds) < 0.3


def test_the_modules_that_a_dag_file_imports_load_nothing_heavy() -> None:
    code = (
        "import sys, segmentation.config, segmentation.dates; print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)
