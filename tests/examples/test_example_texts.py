"""What the examples' texts say fits their configurations."""

import re
from datetime import date

import pytest
from examples.conftest import EXAMPLES

from segmentation.config import load
from segmentation.source_settings import Source

NAMES = ("online_retail", "olist", "taobao", "retailrocket", "grocery_elog")


def file_names(source: Source) -> list[str]:
    if isinstance(source.path, str):
        return [source.path.replace("{date}", "2010-12-01")]
    return re.findall(r"'data/([^']+)'", str(source.sql))


@pytest.mark.parametrize("name", NAMES)
def test_a_text_names_the_files_and_days_of_its_configuration(name: str) -> None:
    config = load(EXAMPLES / name / "segmentation.toml", {})
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    for source in config.sources.tables().values():
        for file in file_names(source):
            assert file.removeprefix("data/") in text
    ((first, last),) = re.findall(r"\$ segmentation backfill --from (\S+) --to (\S+)", text)
    assert config.project.start is not None
    assert config.project.end is not None
    assert config.project.start <= date.fromisoformat(first) <= date.fromisoformat(last) <= config.project.end
    assert f"{config.clustering.segments} segments" in text
