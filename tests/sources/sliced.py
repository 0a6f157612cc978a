"""What the tests of slices share: files read into slices, and what was made of them."""

from datetime import datetime
from pathlib import Path
from typing import Any

from segmentation.config import Config
from segmentation.sources import reading, slices
from segmentation.sources.slices import FileIndex, read_day
from segmentation.store import quarantine
from segmentation.store.objects import Objects
from segmentation.times import ISO

# Naive times are what the tests are about.

MISSING = reading.MISSING.format("ordered_at")
NOT_A_TIME = reading.NOT_A_TIME.format("ordered_at", ISO)
OUT_OF_RANGE = reading.OUT_OF_RANGE.format("ordered_at")
SKIPPED = reading.SKIPPED.format("ordered_at")
ROOT = Path(__file__).resolve().parents[2]


def index(objects: Objects, root: Path, zone: str = "UTC", **source: Any) -> tuple[FileIndex, ...]:
    source = {"path": "*.csv"} | source
    config = Config(root=root, project={"timezone": zone}, sources={"orders": source})
    return slices.index(objects, config, "orders", config.recipe())


def times(objects: Objects, root: Path, texts: list[str], zone: str = "UTC") -> tuple[FileIndex, list[datetime]]:
    """The index of a file with these times, and what they were read as, in their order in the days' order."""
    (root / "times.csv").write_text("user_id,ordered_at\n" + "".join(f"u,{text}\n" for text in texts))
    (found,) = index(objects, root, zone)
    return found, [at for day in sorted(found.days) for at in read_day(objects, [found], day)["at"].to_pylist()]


def undated(objects: Objects, file: FileIndex) -> list[dict[str, Any]]:
    return list(quarantine.read_csv(objects.get(str(file.quarantine))).to_pylist())
