"""The report file: whole, honest about its date, safe."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from synthetic import FIRST, synthetic_history

from segmentation.config import Config
from segmentation.errors import SegmentationError
from segmentation.monitor.report import write_report
from segmentation.store.store import open_store

LAST = FIRST + timedelta(days=11)
MEGABYTE = 1_000_000


def written(config: Config, path: Path, offset: int = 11, lang: str = "en") -> str:
    write_report(open_store(config), FIRST + timedelta(days=offset), path, lang)
    return path.read_text(encoding="utf-8")


def own(text: str) -> str:
    """The page without Plotly's script."""
    return re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)


def figures(text: str) -> dict[str, dict[str, object]]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_the_report_is_one_file_of_at_most_six_megabytes(made_up: Config, tmp_path: Path) -> None:
    text = written(made_up, tmp_path / "report.html")
    assert len(text.encode()) <= 6 * MEGABYTE
    assert not re.search(r"""(src|href)=["'](?!#)""", own(text))
    assert "url(" not in own(text)
    assert list(figures(text)) == ["chart-sizes", "chart-flows", "chart-moved", "chart-came-left", "chart-rows"]


def test_the_report_names_its_date_snapshot_and_digest(made_up: Config, tmp_path: Path) -> None:
    state = open_store(made_up).state()
    text = own(written(made_up, tmp_path / "report.html"))
    for value in (str(LAST), state.published[LAST].snapshot_id, state.digest()):
        assert value in text


def test_the_report_of_a_day_shows_no_later_day(made_up: Config, tmp_path: Path) -> None:
    text = written(made_up, tmp_path / "report.html", offset=5)
    assert re.findall(r"2024-\d\d-\d\d", own(text))
    assert max(re.findall(r"2024-\d\d-\d\d", own(text))) == str(FIRST + timedelta(days=5))


def test_the_first_day_has_nothing_to_compare_with_and_says_so(made_up: Config, tmp_path: Path) -> None:
    text = written(made_up, tmp_path / "report.html", offset=0)
    assert list(figures(text)) == ["chart-sizes", "chart-rows"]
    assert own(text).count('class="empty"') == 4  # no scripts, no moves, no days, no rules


def test_the_same_history_gives_the_same_report(made_up: Config, tmp_path: Path) -> None:
    assert written(made_up, tmp_path / "one.html") == written(made_up, tmp_path / "two.html")


def test_a_report_in_chinese_has_no_english_of_ours(made_up: Config, tmp_path: Path) -> None:
    text = own(written(made_up, tmp_path / "report.html", lang="zh"))
    assert '<html lang="zh-Hans">' in text
    body = re.sub(r"<style>.*?</style>|<title>.*?</title>|<[^>]+>", " ", text[text.index("<body>") :], flags=re.DOTALL)
    body = body[: body.index('{"chart-sizes"')]
    # What is left in Latin letters comes from the data: ids, hashes, the contract's reasons.
    reasons = "user_id|ordered_at|amount|is|missing|not|readable|few|rows|for|weekday|volume|ratio|orders"
    words = set(re.findall(r"\b[a-z_]{2,}\b", body))
    assert {word for word in words if not re.fullmatch(f"{reasons}|[0-9a-f]+", word)} == set()


def test_a_shop_without_amounts_has_a_report_without_revenue(tmp_path: Path) -> None:
    config = synthetic_history(tmp_path, days=[FIRST, FIRST + timedelta(days=1)], users=60, amounts=False)
    text = own(written(config, tmp_path / "report.html", offset=1))
    assert "Revenue" not in text
    assert "revenue" not in text.replace("Share of revenue", "")


@pytest.mark.parametrize("hostile", ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$body"])
def test_no_name_in_the_data_becomes_part_of_the_page(tmp_path: Path, hostile: str) -> None:
    days = [FIRST, FIRST + timedelta(days=1)]
    config = synthetic_history(tmp_path, days=days, users=60, segment_ids=(hostile, "91e4a0f3"))
    text = written(config, tmp_path / "report.html", offset=1)
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert hostile in str(figures(text)) or hostile[:8] in str(figures(text))


def test_a_place_that_cannot_be_written_is_named(made_up: Config, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SegmentationError, match=r"cannot write the report .*file/report\.html"):
        write_report(open_store(made_up), LAST, tmp_path / "file" / "report.html")
