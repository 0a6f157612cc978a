"""What values a feature can have at all."""

import math

from segmentation.features.catalogue import CATALOGUE

COUNTS = ("orders", "sessions", "views", "carts", "purchases", "reviews")


def reachable(name: str, window_days: int, low: float | None, high: float | None) -> bool:
    """Whether a feature can be at least `low` and at most `high` (None: no limit) in a window of so many days.

    Shares are from 0 to 1; counts, and days that are no mean, are whole and not negative; no day lies before the window.
    """
    unit = CATALOGUE[name].unit
    if unit.startswith("share"):
        least, most, whole = 0.0, 1.0, False
    elif unit in COUNTS:
        least, most, whole = 0.0, math.inf, True
    elif unit == "days":
        # So many days of the window; or so many from one of its days to another.
        least, most, whole = 0.0, window_days - (name not in ("active_days", "browse_days")), name != "order_gap"
    else:
        return True
    low, high = max(least, least if low is None else low), min(most, most if high is None else high)
    return math.ceil(low) <= high if whole else low <= high
