"""A shop with items, attributes and consents, for tests of profiles, rules and actions."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from segmentation.config import Config

FIRST = date(2024, 3, 1)
LENGTH = 40
EVERY = 5
RULES = {"min_support": 0.02, "min_count": 3, "rules_every_days": EVERY}


def write_shop(root: Path) -> None:
    """Two kinds of users: some buy bread and butter often, some a sofa seldom; with their states and consents."""
    draw = np.random.default_rng(4)
    lines = ["order_id,user_id,ordered_at,item_id,quantity,amount"]
    for offset in range(LENGTH):
        day = FIRST + timedelta(days=offset)
        for number in range(60):
            often = number % 3 > 0
            if draw.random() > (0.4 if often else 0.06):
                continue
            items = {"bread", "butter"} if often and draw.random() < 0.7 else {"sofa"} if not often else {"milk"}
            items |= {str(item) for item in draw.choice(["milk", "tea", "salt", "jam"], 2) if draw.random() < 0.5}
            price = 3 if often else 400
            for item in sorted(items):
                lines.append(f"o{offset}-{number},u{number:02},{day} 10:00:00,{item},1,{price + draw.integers(0, 9)}")
    (root / "orders.csv").write_text("\n".join(lines) + "\n")
    users = [f"u{number:02},{'SP' if number % 3 else 'RJ'},{'yes' if number % 2 else 'no'}" for number in range(60)]
    (root / "users.csv").write_text("\n".join(["user_id,state,marketing_consent", *users]) + "\n")


def shop(root: Path, store: str = "store", **sections: Any) -> Config:
    document: dict[str, Any] = {
        "sources": {
            "orders": {"path": "orders.csv"},
            "users": {"path": "users.csv", "columns": {"state": "state"}},
        },
        "features": {"window_days": 10},
        "clustering": {"segments": 2},
        "validation": {"empty_days": "allow"},
        "rules": RULES,
        **sections,
    }
    return Config(**document, store={"url": f"file:{store}"}, root=root)
