"""The real shops, read once for all tests of the features."""

from collections.abc import Callable

import pytest
from real_shops import RealShop, complete_journey, online_retail, write_cells, write_days


@pytest.fixture(scope="session")
def real_shop(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RealShop]:
    """The shop by name, "Complete Journey" or "Online Retail"; the test is skipped where its data is not there."""
    made: dict[str, RealShop] = {}

    def load(name: str) -> RealShop:
        if name not in made:
            rows = complete_journey() if name == "Complete Journey" else online_retail()
            folder = tmp_path_factory.mktemp("shop")
            accepted = write_days(rows, folder / "accepted")
            known = {"user": "user_id", "at": "ordered_at", "order": "order_id"}
            columns = frozenset(f"orders.{known.get(column, column)}" for column in rows.columns if column != "day")
            made[name] = RealShop(rows, accepted, write_cells(accepted, folder / "cells"), columns)
        return made[name]

    return load
