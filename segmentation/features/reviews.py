"""Reviews: from ratings to features. A rating is *low* in the lower 40 % of the scale: 1 and 2 of 1 to 5."""

from datetime import date

import numpy as np

from segmentation.config import Features
from segmentation.features.parts import UNITS, Feature, Frame, Part, Scale, one, span, totals
from segmentation.features.rows import Rows, Whole

LOW_SHARE = 0.4

# Ratings are in 1/10,000.
MEASURES = (
    "reviews",
    "rating",  # the sum
    "low_ratings",
)
INPUTS = ("rating",)


def low_rating(scale: Scale) -> int:
    """The highest rating that is low, in 1/10,000."""
    lowest, highest = scale
    return round(UNITS * ((1 - LOW_SHARE) * lowest + LOW_SHARE * highest))


def day_cells(rows: Rows, scale: Scale) -> dict[str, Whole]:
    rating = rows.number("rating")
    low = rows.given("rating") & (rating <= low_rating(scale))
    return {
        "reviews": np.bincount(rows.user, minlength=len(rows.ids)),
        "rating": rows.by_user(rating),
        "low_ratings": rows.by_user(low),
    }


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
REVIEWS = Part(INPUTS, MEASURES, MEASURES, day_cells, user_sums, FEATURES)
