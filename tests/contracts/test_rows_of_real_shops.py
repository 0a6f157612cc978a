"""Real shops' rows are accepted and add up to the sums that were published for them."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from segmentation.config import Config
from segmentation.contracts.gate import Verdict
from segmentation.contracts.rows import counts, split
from segmentation.sources.slices import index, read_day
from segmentation.store.objects import Objects

CONFIG = Config(sources={"orders": {"sample": "complete_journey"}})
NO_VERDICT = Verdict((), ())


def test_complete_journey_is_accepted_whole_and_adds_up_to_the_published_sales(tmp_path: Path) -> None:
    """All 1,469,307 lines, 4,596,039.58 in sales, nothing in quarantine; 8,869 lines of quantity 0 with 12.52 in sales.

    Of the 49 such lines whose sales are not 0 in the file, 20 are floating-point dust (below 1e-14), which is 0 here.
    """
    objects = Objects(tmp_path)
    (file,) = index(objects, CONFIG, "orders", CONFIG.recipe())
    table = pa.concat_tables(read_day(objects, [file], day) for day in file.days)
    found = split(table, CONFIG.recipe())
    accepted = found.accepted
    assert (accepted.num_rows, found.quarantined.num_rows) == (1_469_307, 0)
    assert pc.sum(accepted["amount"]).as_py() == 45_960_395_800
    is_nothing = pc.equal(accepted["quantity"], 0)
    sales = table["amount"].filter(is_nothing).cast(pa.float64())
    units = accepted["amount"].filter(is_nothing)
    assert (len(units), pc.sum(units).as_py()) == (8_869, 125_200)
    carrying = [pc.sum(pc.not_equal(column, 0)).as_py() for column in (sales, units)]
    assert (carrying, pc.sum(pc.and_(pc.greater(sales, 0), pc.less(sales, 1e-14))).as_py()) == ([49, 29], 20)
    counted = counts(found, NO_VERDICT)
    assert (counted["zero_quantity"], counted["zero_amount"], counted["returns"]) == (8_869, 11_226 + 20, 0)


def test_online_retail_adds_up_to_the_published_sum(tmp_path: Path) -> None:
    """Quantity × price of all 541,909 lines is 9,747,747.934; 135,080 of them have no customer."""
    data = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "online_retail"
    if not (data / "online_retail.parquet").exists():
        pytest.skip(f"the Online Retail data set is not there ({data})")
    columns = {"user_id": "CustomerID", "ordered_at": "InvoiceDate", "quantity": "Quantity", "unit_price": "UnitPrice"}
    config = Config(sources={"orders": {"path": "online_retail.parquet", "columns": columns}}, root=data)
    objects = Objects(tmp_path)
    (file,) = index(objects, config, "orders", config.recipe())
    table = pa.concat_tables(read_day(objects, [file], day) for day in file.days)
    found = split(table, config.recipe())
    assert found.reasons == {"user_id is missing": 135_080}
    everyone = split(
        table.set_column(table.column_names.index("user_id"), "user_id", pa.repeat("u", len(table))), config.recipe()
    )
    assert pc.sum(everyone.accepted["amount"]).as_py() == 97_477_479_340
    assert date(2011, 12, 9) in file.days
