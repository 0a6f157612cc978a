"""Online Retail, Olist and groceryElog: segments of purchases, checked against plain pandas."""

import re
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from examples.conftest import Ran, RunExample, data

SPAN = (date(2011, 3, 4), date(2011, 3, 7))  # Friday to Monday; on Saturdays there is no file


@pytest.fixture(scope="session")
def by_day(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The 305 files of Online Retail, by their names beside the configuration."""
    packed = data("online_retail/by-day.tar.zst")
    folder = tmp_path_factory.mktemp("online-retail")
    try:
        subprocess.run(["tar", "--zstd", "-xf", packed, "-C", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"{packed} cannot be unpacked: tar and zstd are needed ({error})")
    files = {f"data/{path.name}": path for path in folder.rglob("*.csv")}
    assert len(files) == 305
    return files


def invoices(by_day: dict[str, Path], ran: Ran) -> pd.DataFrame:
    """The lines of all accepted days as they are in the files."""
    days = [f"data/{day}.csv" for day in sorted(ran.store.state().accepted)]
    files = [pd.read_csv(by_day[day], dtype=str).assign(file=day) for day in days if day in by_day]
    rows = pd.concat(files, ignore_index=True)
    rows["at"] = pd.to_datetime(rows.InvoiceDate)
    rows["quantity"] = rows.Quantity.astype(int)
    rows["amount"] = (rows.quantity * rows.UnitPrice.astype(float)).round(4)
    return rows


def check_purchases(ran: Ran, rows: pd.DataFrame) -> pd.DataFrame:
    """rows: user, at, order, amount, bought (false of a returned line): the accepted ones of the window. Each user's orders
    and amounts. Returns the features."""
    features = ran.features()
    users = rows.groupby("user")
    orders = rows[rows.bought].groupby("user").order.nunique().reindex(features.index, fill_value=0)
    assert features.frequency.astype(int).to_dict() == orders.to_dict()
    amounts = users.amount.sum().reindex(features.index, fill_value=0)
    pd.testing.assert_series_equal(features.monetary, amounts, check_names=False, rtol=0, atol=1e-6, check_dtype=False)
    assert ran.store.state().published[ran.last].summary["users"] == len(features)
    return features


def test_online_retail_nets_cancellations_and_keeps_rows_without_a_customer_apart(
    run_example: RunExample, by_day: dict[str, Path]
) -> None:
    ran = run_example("online_retail", by_day, *SPAN, window=7)
    rows = invoices(by_day, ran)
    nobody = rows.CustomerID.isna()
    assert ran.counts("orders") == {
        "rows": len(rows),
        "accepted": int((~nobody).sum()),
        "user_id is missing": int(nobody.sum()),
    }
    saturday = ran.store.state().accepted[date(2011, 3, 5)].tables["orders"]
    assert (saturday.rows, saturday.files) == (0, {})
    known = rows[~nobody & ran.in_window(rows["at"])]
    users = known.assign(user=known.CustomerID, order=known.InvoiceNo, bought=known.quantity > 0)
    assert (users.quantity < 0).any()
    features = check_purchases(ran, users)
    assert list(features.index) == sorted(users.user.unique())
    assert all(re.fullmatch(r"\d{5}\.0", user) for user in features.index)
    assert ran.files()["data/2011-03-07.csv"]["rows"] == (rows.file == "data/2011-03-07.csv").sum()


def test_online_retail_without_postage_as_its_text_says(
    run_example: RunExample, by_day: dict[str, Path], snippet: Callable[[str], str]
) -> None:
    more = "\n" + snippet("online_retail")
    ran = run_example("online_retail", by_day, *SPAN[:1], SPAN[0], window=4, more=more)
    rows = invoices(by_day, ran)
    nobody = rows.CustomerID.isna()
    product = rows.StockCode.str.match(r"\d{5}")
    no_product = ~nobody & ~product
    assert set(rows.StockCode[no_product]) >= {"POST", "M"}
    assert ran.counts("orders") == {
        "rows": len(rows),
        "accepted": int((~nobody & product).sum()),
        "user_id is missing": int(nobody.sum()),
        "item_id is no product (postage, discount, bank charges, …)": int(no_product.sum()),
    }
    known = rows[~nobody & product & ran.in_window(rows["at"])]
    check_purchases(ran, known.assign(user=known.CustomerID, order=known.InvoiceNo, bought=known.quantity > 0))


def test_olist_joins_its_tables_and_reads_words_over_several_lines(run_example: RunExample) -> None:
    tables = ("orders", "customers", "order_items", "products", "order_reviews")
    paths = {table: data(f"olist/olist_{table}_dataset.csv") for table in tables}
    files = {f"data/{path.name}": path for path in paths.values()}
    ran = run_example("olist", files, date(2017, 12, 1), date(2017, 12, 3), window=7)

    orders = pd.read_csv(paths["orders"], parse_dates=["order_purchase_timestamp"])
    orders = orders.merge(pd.read_csv(paths["customers"])[["customer_id", "customer_unique_id"]], on="customer_id")
    reviews = pd.read_csv(paths["order_reviews"], parse_dates=["review_answer_timestamp"]).merge(orders, on="order_id")
    rows = orders[orders.order_status != "canceled"].merge(pd.read_csv(paths["order_items"]), "left", on="order_id")
    rows = rows.assign(at=rows.order_purchase_timestamp, order=rows.order_id, user=rows.customer_unique_id, bought=True)
    rows["amount"] = rows.price
    first, end = pd.Timestamp(min(ran.store.state().accepted)), pd.Timestamp(ran.last) + pd.Timedelta(days=1)
    read = rows[(rows["at"] >= first) & (rows["at"] < end)]
    priced = read.amount.notna()
    assert ran.counts("orders") == {
        "rows": len(read),
        "accepted": int(priced.sum()),
        "amount (or unit_price) is missing": int((~priced).sum()),
    }
    found = ran.files()
    assert found["[sources.orders] sql"]["rows"] == len(rows)
    assert found["[sources.reviews] sql"]["rows"] == len(reviews) == 14_944

    bought = read[priced & ran.in_window(read["at"])]
    features = check_purchases(ran, bought)
    rated = reviews[ran.in_window(reviews.review_answer_timestamp)].groupby("customer_unique_id").review_score
    assert list(features.index) == sorted({*bought.user, *rated.groups})
    assert (
        features.reviews.fillna(0).astype(int).to_dict() == rated.size().reindex(features.index, fill_value=0).to_dict()
    )
    means = rated.mean().reindex(features.index)
    pd.testing.assert_series_equal(features.mean_rating, means, check_names=False, rtol=0, atol=1e-6)
    # Words as they were written, but for spaces at the ends.
    there = (reviews.review_answer_timestamp >= first) & (reviews.review_answer_timestamp < end)
    words = reviews.review_comment_message[there].str.strip().dropna()
    texts = ran.accepted("reviews").text.dropna()
    assert sorted(texts) == sorted(words[words != ""])
    assert texts.str.contains("\n").any()


def test_grocery_elog_needs_no_more_than_user_and_date(run_example: RunExample) -> None:
    path = data("grocery_elog/groceryElog.parquet")
    files = {"data/groceryElog.parquet": path}
    ran = run_example("grocery_elog", files, date(2006, 4, 15), date(2006, 4, 17), window=10)
    rows = pd.read_parquet(path)
    rows["at"] = pd.to_datetime(rows.date)
    inside = rows[ran.in_window(rows["at"])]
    features = ran.features()
    assert features.frequency.astype(int).to_dict() == inside.groupby("cust")["at"].nunique().to_dict()
    recency = (pd.Timestamp(ran.last) - inside.groupby("cust")["at"].max()).dt.days
    assert features.recency.astype(int).to_dict() == recency.to_dict()
    assert "monetary" not in features
    (found,) = ran.files().values()
    assert (found["rows"], found["undated"]) == (10_483, 0)
