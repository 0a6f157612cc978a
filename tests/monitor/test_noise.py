"""Users who are in no segment (DBSCAN) are counted wherever everyone is."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console
from shop import FIRST, Shop

from segmentation import history
from segmentation.cli import tables
from segmentation.monitor import names, read_models
from segmentation.monitor.report import render
from segmentation.store.store import open_store
from segmentation.texts import LANGUAGES, Texts

DAY = FIRST + timedelta(days=5)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two kinds of users, each like the others of its kind, and three like nobody."""
    shop = Shop(tmp_path_factory.mktemp("noise"))
    for offset in range(6):
        day = FIRST + timedelta(days=offset)
        for number in range(40):
            if number % 2 or offset == number % 6:
                shop.buy(day, f"u{number}", 10 if number % 2 else 90)
        for number in range(3):
            if offset < 2 + number:
                shop.buy(day, f"odd{number}", 400 * (number + 1) ** 2)
    shop.write()
    clustering = {"algorithm": "dbscan", "eps": 0.3, "min_samples": 4, "min_users": 5, "min_days": 2}
    config = shop.config(clustering={**clustering, "features": ["frequency", "monetary"]}, features={"window_days": 6})
    history.backfill(config, DAY, DAY + timedelta(days=1))
    return open_store(config)


def test_noise_is_counted(store):
    everyone = store.state().published[DAY].summary["users"]
    rows = names.segments(store, DAY)
    noise = everyone - sum(row["users"] for row in rows)
    assert noise > 0
    sizes = {row["segment_id"]: row for row in read_models.sizes(store, DAY)}
    assert sizes["NOISE"]["users"] == noise
    assert sum(row["share"] for row in sizes.values()) == pytest.approx(1, abs=1e-5)
    out = StringIO()
    tables.segments(Console(file=out, width=200), rows, ["recency"], Texts("en"))
    assert f"{noise:,} more in none (NOISE)." in out.getvalue()


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("later", [0, 1])
def test_the_report_says_so(store, lang, later):
    day = DAY + timedelta(days=later)
    page, everyone = render(store, day, Texts(lang)), store.state().published[day].summary["users"]
    assert f"<b>{everyone:,}</b>" in page
    assert Texts(lang)("states.NOISE") in page
