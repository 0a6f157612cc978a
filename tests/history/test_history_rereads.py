"""What a second look at a day may do to rows that were accepted before, and what it must not."""

import gzip
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from shop import FIRST, Shop, shop_config

from segmentation import history, reads, stages
from segmentation.config import Config
from segmentation.contracts import acceptance
from segmentation.contracts.gate import gate
from segmentation.errors import ConfigError, DataContractError, NoRowsError, NotYetError
from segmentation.monitor import read_models
from segmentation.store.store import open_store

DAYS = [FIRST + timedelta(days=offset) for offset in range(12)]
REFUSE = {"empty_days": "refuse"}


def shop_of(root: Path, days: int = 12) -> Shop:
    shop = Shop(root)
    for day in DAYS[:days]:
        for user in range(6):
            shop.buy(day, f"u{user}", 5.0 * (user + 1))
    shop.write()
    return shop


def test_an_older_read_never_replaces_a_newer_one(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    config = shop_config(tmp_path)
    read = stages.extract(config, DAYS[5])["read"]
    shop.buy(DAYS[5], "u7", 70.0)
    shop.write()
    history.run(config, DAYS[5])
    before = open_store(config).state()
    stages.validate(config, read)  # late, or cleared by hand
    assert open_store(config).state().accepted == before.accepted
    assert before.accepted[DAYS[5]].tables["orders"].rows == 7


def test_a_day_whose_file_vanished_keeps_its_rows_and_says_so(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    config = shop_config(tmp_path, validation=REFUSE)
    history.run(config, DAYS[5])
    shop.rows.pop(DAYS[5])
    shop.write(DAYS[5])
    result = history.run(config, DAYS[6])
    assert result["warnings"] == [f"{DAYS[5]} kept its earlier rows: its rows of orders are not in the source any more"]
    assert open_store(config).state().accepted[DAYS[5]].tables["orders"].rows == 6
    assert history.stale(config) == []


def test_a_day_that_lost_a_column_keeps_its_rows_and_says_so(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    config = shop_config(tmp_path)
    history.run(config, DAYS[5])
    file = tmp_path / "orders" / f"{DAYS[5]}.csv"
    file.write_text(file.read_text().replace("amount", "value"))
    warnings = history.run(config, DAYS[6])["warnings"]
    assert warnings == [f"{DAYS[5]} kept its earlier rows: the column amount of orders is not in the source any more"]
    assert shop.rows[DAYS[5]]
    assert "amount" in open_store(config).state().accepted[DAYS[5]].tables["orders"].columns


def test_a_day_that_was_empty_has_no_rows_to_keep_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "gate", gate)
    shop = shop_of(tmp_path)
    config = shop_config(tmp_path)
    rows = shop.rows.pop(DAYS[5])
    shop.write(DAYS[5])
    history.run(config, DAYS[6])
    shop.rows[DAYS[5]] = [
        row.replace(",u", ",,")[: row.index(",") + 1] + row[row.index(",", row.index(",") + 1) :] for row in rows
    ]
    shop.write(DAYS[5])
    with pytest.raises(DataContractError, match=f"{DAYS[5]}"):
        history.run(config, DAYS[5])
    assert DAYS[5] not in open_store(config).state().published


def test_rows_that_come_after_the_look_back_are_told(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    config = shop_config(tmp_path)
    history.backfill(config, DAYS[5], DAYS[8])
    shop.buy(DAYS[4], "u9", 3.0)
    shop.write(DAYS[4])
    [warning] = history.run(config, DAYS[9])["warnings"]
    assert "the source of orders has +1 rows for 1 days before the look-back" in warning
    assert str(DAYS[4]) in warning
    stages.validate(config, reads.read_days(config, [DAYS[4]], set())[0]["read"])
    assert history.run(config, DAYS[10])["warnings"] == []


def test_rows_that_come_for_days_before_the_first_one_count_as_they_are_told_to(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    config = shop_config(tmp_path, project={"start": DAYS[5]})
    history.backfill(config, DAYS[5], DAYS[8])
    for day in (DAYS[4], DAYS[5]):
        shop.buy(day, "u9", 3.0)
        shop.write(day)
    early, late = sorted(history.run(config, DAYS[9])["warnings"], key=lambda warning: str(DAYS[5]) in warning)
    assert f"+1 rows for 1 days before the look-back (the first is {DAYS[4]}): that is before [project] start" in early
    assert "they only feed windows, and count once lookback_days of a day that is run reaches them" in early
    assert f"(the first is {DAYS[5]}): they count once their day is run by date" in late
    with pytest.raises(ConfigError, match="is before \\[project\\] start"):
        history.run(config, DAYS[4])
    source = {"orders": {"path": "orders/*.csv", "options": {"lookback_days": 5}}}
    longer = shop_config(tmp_path, project={"start": DAYS[5]}, sources=source)
    assert history.run(longer, DAYS[9])["warnings"] == []
    assert open_store(config).state().accepted[DAYS[4]].tables["orders"].rows == 7
    assert history.stale(longer) == DAYS[5:9]


def test_a_day_that_is_skipped_asks_for_no_window(tmp_path: Path) -> None:
    """Else a user of long ago would be known to a backfill and unknown to single runs of the same days."""
    shop = shop_of(tmp_path)
    shop.rows.pop(DAYS[5])
    shop.write(DAYS[5])
    config = shop_config(tmp_path, validation=REFUSE)
    result = history.backfill(config, DAYS[5], DAYS[7])
    assert result["skipped"] == [str(DAYS[5])]
    assert min(open_store(config).state().accepted) == DAYS[2]


def test_quality_is_that_of_the_rows_as_they_are_now(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    config = shop_config(tmp_path)
    history.run(config, DAYS[5])
    shop.rows[DAYS[5]].append(f"o,,{DAYS[5]} 10:00:00,1,5.0")
    shop.write(DAYS[5])
    history.run(config, DAYS[5])
    counts = read_models.quality(open_store(config), DAYS[5])["tables"]["orders"]
    assert (counts["rows"], counts["quarantined"]) == (7, 1)


def test_a_killed_validation_does_not_do_its_days_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop_of(tmp_path)
    config = shop_config(tmp_path)
    read = stages.extract(config, DAYS[5])["read"]
    assert stages.validate(config, read)["records"] == 5
    monkeypatch.setattr(stages, "check_rows", None)  # nothing is left to be checked
    assert stages.validate(config, read)["records"] == 0


def test_files_that_look_odd_are_told(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    config = shop_config(tmp_path)
    folder = tmp_path / "orders"
    (folder / "copy.csv").write_text((folder / f"{DAYS[5]}.csv").read_text())
    shop.rows[DAYS[4]].append("o1,u1,yesterday,1,5.0")
    shop.write(DAYS[4])
    assert history.run(config, DAYS[5])["warnings"] == [
        f"1 rows belong to no day and are in quarantine (1 files; orders/{DAYS[4]}.csv: ordered_at is not a time "
        "(YYYY-MM-DD, with HH:MM, :SS and an offset if it has them): 1); `segmentation quality` counts them by file",
        f"orders/copy.csv has the same bytes as orders/{DAYS[5]}.csv and counts once: is it a copy?",
    ]
    assert open_store(config).state().accepted[DAYS[5]].tables["orders"].rows == 6


def test_a_day_after_the_newest_row_is_published_with_a_warning(tmp_path: Path) -> None:
    shop_of(tmp_path)
    config = shop_config(tmp_path)
    said = f"2 has no rows and neither has any later day; is the day over? The newest row is of {DAYS[11]}"
    after = DAYS[11] + timedelta(days=1)
    assert history.run(config, after)["warnings"] == [said.replace("2 has", f"{after} has", 1)]
    assert history.run(config, DAYS[11])["warnings"] == []
    [warning] = history.backfill(config, DAYS[10], DAYS[11] + timedelta(days=3))["warnings"]
    assert warning.startswith(f"{after} and 2 days after it have no rows")


def test_a_day_that_is_refused_as_empty_tells_of_rows_without_a_day(tmp_path: Path) -> None:
    shop_of(tmp_path)
    options = {"lookback_days": 2, "time_unit": "ms"}
    config = shop_config(tmp_path, sources={"orders": {"path": "orders/*.csv", "options": options}}, validation=REFUSE)
    with pytest.raises(
        NoRowsError, match=rf"72 rows there belong to no day; the first file is orders/{DAYS[0]}.csv: ordered_at"
    ):
        history.run(config, DAYS[5])


def test_a_name_that_is_no_feature_is_told_before_anything_is_read(tmp_path: Path) -> None:
    shop_of(tmp_path)
    config = shop_config(tmp_path, clustering={"segments": 2, "features": ["recencey"]})
    with pytest.raises(ConfigError, match="'recencey' is not a feature; did you mean 'recency'"):
        history.run(config, DAYS[5])
    assert open_store(config).state().number == 0


# Days that are not complete


def marked(root: Path, **sections: Any) -> Config:
    source = {"path": "orders/*.csv", "options": {"lookback_days": 4}, "complete": {"marker": "done/{date}"}}
    return shop_config(root, sources={"orders": source}, **sections)


def mark(root: Path, *days: date) -> None:
    (root / "done").mkdir(exist_ok=True)
    for day in days:
        (root / "done" / day.isoformat()).touch()


def test_a_half_loaded_day_is_not_taken_by_the_days_after_it(tmp_path: Path) -> None:
    """It is in their windows: they wait for it, and its rows so far are nowhere."""
    shop = Shop(tmp_path)
    for day in DAYS:
        shop.buy(day, "u1", 10)
    shop.write()
    mark(tmp_path, DAYS[2], DAYS[4])
    config = marked(tmp_path, project={"start": DAYS[2]})  # the days before only feed its window, and are not asked
    history.run(config, DAYS[2])
    with pytest.raises(NotYetError, match=f"{DAYS[4]} needs {DAYS[3]}, which is not complete yet: .*the marker"):
        history.run(config, DAYS[4])
    assert DAYS[3] not in open_store(config).state().accepted
    done = history.backfill(config, DAYS[2], DAYS[4])
    assert [day["date"] for day in done["published"]] == [DAYS[2].isoformat()]
    mark(tmp_path, DAYS[3])
    assert history.run(config, DAYS[4])["outcome"] == "published"


def test_a_corrected_file_within_the_look_back_is_noticed_where_the_window_is_shorter(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for day in DAYS[:5]:
        shop.buy(day, "u1", 10)
    shop.write()
    config = marked(tmp_path, features={"window_days": 1})
    mark(tmp_path, *DAYS)
    for day in DAYS[:4]:
        history.run(config, day)
    shop.buy(DAYS[1], "u2", 99)
    shop.write()
    history.run(config, DAYS[4])
    assert history.stale(config)[0] == DAYS[1]


def test_a_marker_is_waited_for_before_anything_is_read_and_a_file_that_is_still_written_too(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.buy(DAYS[0], "u1", 10)
    shop.write()
    (tmp_path / "orders" / "none.csv").unlink()
    file = tmp_path / "orders" / f"{DAYS[0]}.csv"
    whole = gzip.compress(file.read_bytes())
    file.unlink()
    source = {"path": "orders/{date}.csv.gz", "complete": {"marker": "done/{date}"}}
    config = shop_config(tmp_path, sources={"orders": source}, features={"window_days": 1})
    cut = tmp_path / "orders" / f"{DAYS[0]}.csv.gz"
    cut.write_bytes(whole[:-12])
    assert "the marker" in stages.waiting_for(config, DAYS[0])
    with pytest.raises(NotYetError, match="the marker"):
        stages.extract(config, DAYS[0])
    mark(tmp_path, DAYS[0])
    assert cut.name in stages.waiting_for(config, DAYS[0])
    cut.write_bytes(whole)
    assert stages.waiting_for(config, DAYS[0]) == ""
