"""Rows read = accepted + quarantined + waiting: for every file, and without the waiting ones for every day."""

from datetime import timedelta
from pathlib import Path

from shop import FIRST, Shop

from segmentation import history
from segmentation.monitor import read_models
from segmentation.store.store import open_store


def test_every_row_of_a_file_is_accounted_for(tmp_path: Path) -> None:
    """One file with three days: a line that is broken, a user who is missing, a day that nobody asks for."""
    shop = Shop(tmp_path)
    for offset in (0, 1, 9):
        for user in range(4 + offset):
            shop.buy(FIRST + timedelta(days=offset), f"u{user}", 10.0 + user)
    whole = [line for lines in shop.rows.values() for line in lines]
    whole += ["o,u1,not a date,1,5.0", "too,few", f"o9,,{FIRST} 12:00:00,1,7.5"]
    (tmp_path / "orders" / "whole.csv").write_text("order_id,user_id,ordered_at,quantity,amount\n" + "\n".join(whole))
    config = shop.config()
    history.backfill(config, FIRST, FIRST + timedelta(days=1))
    store = open_store(config)
    [file] = read_models.files(store, FIRST)
    assert file["rows"] == len(whole) == 4 + 5 + 13 + 3
    assert (file["of_accepted_days"], file["waiting"], file["undated"]) == (4 + 5 + 1, 13, 2)
    assert sum(file["undated_reasons"].values()) == 2
    counts = read_models.quality(store, FIRST)["tables"]["orders"]
    assert (counts["rows"], counts["accepted"], counts["quarantined"]) == (5, 4, 1)
    assert sum(counts["reasons"].values()) == 1
