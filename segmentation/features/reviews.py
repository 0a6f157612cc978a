"""Reviews: from ratings to features. A rating is *low* in the lower 40 % of the scale: 1 and 2 of 1 to 5."""

from datetime import date
from typing import Any

import narwhals as nw

from segmentation.config import Features
from segmentation.features.parts import KEYS, UNITS, Feature, Frame, Part, Scale, given, one, span, totals

LOW_SHARE = 0.4

# Ratings are in 1/10,000.
MEASURES = (
    "reviews",
    "rating",  # the sum
    "low_ratings",
)

_INPUTS: dict[str, Any] = {"user_id": nw.String, "rating": nw.Int64}


def low_rating(scale: Scale) -> int:
    """The highest rating that is low, in 1/10,000."""
    lowest, highest = scale
    return round(UNITS * ((1 - LOW_SHARE) * lowest + LOW_SHARE * highest))


def day_cells(rows: Frame, scale: Scale) -> Frame:
    low = (nw.col("rating") <= low_rating(scale)).cast(nw.Int64)
    lines = rows.select("day", *given(rows, _INPUTS)).with_columns(reviews=nw.lit(1), low_ratings=low)
    return lines.group_by(*KEYS).agg(*totals(*MEASURES)).sort("day", "user_id")


def user_sums(cells: Frame, _: date, __: Features) -> Frame:
    return cells.group_by("user_id").agg(*span(), *totals(*MEASURES))


_WINDOW = "[features] window_days"
_NEEDS = frozenset({"reviews.user_id", "reviews.reviewed_at", "reviews.rating"})

FEATURES = (
    Feature(
        "reviews",
        "reviews",
        _WINDOW,
        "number of reviews",
        _NEEDS,
        lambda w: (w["reviews"], one(w, "reviews")),
    ),
    Feature(
        "mean_rating",
        "points",
        _WINDOW,
        "mean of the ratings, on the shop's own scale",
        _NEEDS,
        lambda w: (w["rating"], UNITS * w["reviews"]),
    ),
    Feature(
        "low_rating_share",
        "share of reviews",
        _WINDOW,
        "ratings in the lower 40 % of the scale ([sources.reviews.options] rating) / reviews",
        _NEEDS,
        lambda w: (w["low_ratings"], w["reviews"]),
    ),
)
REVIEWS = Part(MEASURES, MEASURES, day_cells, user_sums, FEATURES)
