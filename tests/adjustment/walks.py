"""A shop in which nothing changes: the same users day after day, who buy by the day of the week and whose values walk.

Nobody's habits change, a few users are replaced every day, and everybody is moved by the weather of the day. Whatever
differs between two days is the week or noise.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

FIRST = date(2024, 1, 1)  # a Monday
GROCER = (0.9, 0.8, 0.8, 0.9, 1.1, 1.4, 1.2)
WHOLESALER = (1.2, 1.2, 1.1, 1.1, 1.0, 0.02, 0.1)
FEATURES = ("recency", "spend", "share")
WARM_UP = 120


def stationary(
    users: int, days: int, seed: int, week: Sequence[float] = GROCER, weather: float = 0.1, first: date = FIRST
) -> Iterator[tuple[date, pa.Table]]:
    """Days in order, each with its users' features: recency in days (skewed), spend (log-normal), share (0 to 1).

    `week`: how much is bought on Monday, …, Sunday; `weather`: by how much (standard deviation of the logarithm) all users
    together buy more or less on a day.
    """
    dice = np.random.default_rng(seed)
    ids = pa.array([f"u{number:05d}" for number in range(users)])
    rate = dice.gamma(0.8, 0.15, users) + 0.01
    habit, walk = dice.normal(3, 0.8, users), np.zeros(users)
    share = dice.beta(1, 4, users)
    last = np.full(users, -1)
    for number in range(-WARM_UP, days):
        new = dice.random(users) < 0.003
        rate[new] = dice.gamma(0.8, 0.15, new.sum()) + 0.01
        habit[new], share[new] = dice.normal(3, 0.8, new.sum()), dice.beta(1, 4, new.sum())
        day = first + timedelta(days=number)
        mood = week[day.weekday()] * np.exp(dice.normal(0, weather))
        buys = dice.random(users) < -np.expm1(-rate * mood)
        last[buys | new] = number
        walk = 0.95 * walk + dice.normal(0, 0.1, users)
        if number >= 0:
            features = {
                "recency": np.minimum(number - last, 90).astype(float),
                "spend": np.exp(habit + walk),
                "share": share,
            }
            yield day, pa.table({"user_id": ids, **features})
