"""What is read at run time beside the code is installed with it."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_file_beside_the_code_is_in_the_package() -> None:
    kept = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    missing = []
    for path in (ROOT / "segmentation").rglob("*"):
        if path.is_dir() or path.suffix in (".py", ".pyc"):
            continue
        inside = path.relative_to(ROOT)
        patterns = [
            f"{package.replace('.', '/')}/{pattern}" for package, patterns in kept.items() for pattern in patterns
        ]
        if not any(fnmatch(inside.as_posix(), pattern) for pattern in patterns):
            missing.append(inside.as_posix())
    assert missing == []
