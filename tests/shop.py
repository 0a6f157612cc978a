"""A small made-up shop for tests: one CSV file per day, written, corrected and added to at will."""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from segmentation.config import Config

FIRST = date(2024, 3, 1)
HEADER = "order_id,user_id,ordered_at,quantity,amount"


@dataclass
class Shop:
    """`rows[day]` are the lines of that day's file; a day without any has no file."""

    root: Path
    rows: dict[date, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "orders").mkdir(parents=True, exist_ok=True)
        (self.root / "orders" / "none.csv").write_text(HEADER + "\n")  # so that the glob always finds a file

    def buy(self, day: date, user: str, amount: float, quantity: int = 1, time: str = "10:00:00") -> None:
        lines = self.rows.setdefault(day, [])
        lines.append(f"o{user}{len(lines)},{user},{day} {time},{quantity},{amount}")

    def write(self, *days: date) -> None:
        for day in days or self.rows:
            file = self.root / "orders" / f"{day}.csv"
            if self.rows.get(day):
                file.write_text("\n".join([HEADER, *self.rows[day]]) + "\n")
            else:
                file.unlink(missing_ok=True)

    def config(self, **sections: Any) -> Config:
        return shop_config(self.root, **sections)


def shop_config(root: Path, store: str = "store", **sections: Any) -> Config:
    document: dict[str, Any] = {
        "sources": {"orders": {"path": "orders/*.csv", "options": {"lookback_days": 2}}},
        "features": {"window_days": 5},
        "clustering": {"segments": 2},
        "validation": {"empty_days": "allow"},
        **sections,
    }
    return Config(**document, store={"url": f"file:{store}"}, root=root)


def random_shop(root: Path, seed: int, days: int = 14, users: int = 8) -> Shop:
    """Users with rates of their own, some of whom stay away for a while; some days have no rows at all."""
    draw = random.Random(seed)
    shop = Shop(root)
    quiet = {offset for offset in range(days) if draw.random() < 0.15}
    rates = {f"u{number}": draw.uniform(0.1, 0.9) for number in range(users)}
    away = {user: (draw.randrange(days), draw.randrange(3, 9)) for user in rates if draw.random() < 0.4}
    for offset in sorted(set(range(days)) - quiet):
        day = FIRST + timedelta(days=offset)
        for user, rate in rates.items():
            start, length = away.get(user, (days, 0))
            if not start <= offset < start + length and draw.random() < rate:
                shop.buy(day, user, round(draw.lognormvariate(2 + 2 * rate, 0.5), 2), draw.randrange(1, 4))
    shop.write()
    return shop
