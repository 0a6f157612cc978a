"""Evaluation days: cheap figures that say whether the model still fits its users, and when it must be challenged."""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from segmentation.clustering.density import SMALLEST_SHARE
from segmentation.clustering.transform import Matrix
from segmentation.config import Adjustment
from segmentation.dates import block

FAR = 0.99  # the quantile of the distances to the nearest segment beyond which a user is far
LOST = ("far", "halved", "parted")  # the alarms that say that there are segments too few or too many
LAST, OFTEN = 3, 2  # so often among the last evaluations
CERTAIN = 3.09  # standard deviations: by chance once in a thousand times
# Of what a segment was worth; and of what one more saved, when the model was made. docs/architecture.md has what was measured.
HALVED, PARTED = 1 / 2, 3
PARTING = 1.3  # the same, if a model that is fitted anew has more segments
NOTHING = 0.01  # squared standard deviations per user that are next to nothing, whatever one more saved before


class Saved(NamedTuple):
    """What one segment more would save, beyond what moving the one that it halves would: squared distance per user, its
    standard error, and which one it halves."""

    mean: float
    error: float
    segment: int


def evaluation_day(day: date, parent: date | None, every: int) -> bool:
    """Whether a day is the first published one of its block of `every` days.

    parent: the latest earlier published day; None on the first day of a history, which has nothing to evaluate. A gap that is
    filled later changes nothing beyond its own block.
    """
    return parent is not None and block(day, every) != block(parent, every)


def fitted(
    distances: Matrix, ids: Sequence[str], reach: Matrix, limit: float | None, saved: Saved | None
) -> dict[str, Any]:
    """What later days are held against, for model.json: the figures of the day on which the model was made.

    distances: (users, states), as `Fit.distances` gives them; ids: of the segments, in the order of the columns. A column
    beyond them is that of NOISE. reach: as `Fit.reach` gives it; limit: beyond which of it a user is far, None: beyond its
    99 % quantile. saved: None where segments have no centres.

    Returns `users`; `far`, the limit (None without users); `beyond`, the share of users beyond it, if it was given; `shares`,
    of all users, by segment. Where they have centres, also `worth`, by segment: [what leaving it out would cost in
    squared distance per user, its standard error]; `saved`: [what one more would save, its standard error].
    """
    users = len(distances)
    far = None
    if users and ids:
        far = round(float(np.quantile(reach, FAR)), 6) if limit is None else limit
    figures: dict[str, Any] = {"users": users, "far": far, "shares": _shares(distances, ids)}
    if limit is not None:
        figures["beyond"] = round(float(np.mean(reach > limit)), 6)
    if saved is None:
        return figures
    return {**figures, "worth": _worth(distances, ids), "saved": [max(saved.mean, NOTHING), saved.error]}


def evaluate(
    day: date,
    distances: Matrix,
    ids: Sequence[str],
    reach: Matrix,
    reference: Mapping[str, Any],
    drift: pa.Table,
    saved: Saved | None,
) -> dict[str, Any]:
    """The day's figures, for decision.json. reference: what `fitted` gave, with distances, ids, reach and saved as there;
    drift: the day's table of drift.

    Returns `date`; `users`; `far`, the share of users beyond the reference's distance; `far_noise`, the share that chance
    reaches once in a thousand times where nothing has changed (by density, where some always are, at least as many more than at
    the founding as a segment must have); `shares` by segment; `halved`, the segments that are worth half of what they were at
    the most, and less than the least of them was, if that is more than chance (where they have no centres: that have half of
    their share at the most); `parted`, the segment that would save three times as much as two as the best candidate did, None
    if there is none; `parting`, the one that would save three tenths more than that did; `drift`, the features with an alarm.
    Where segments have centres, `worth` and `saved` as in the reference, without the errors.
    """
    users, before = len(distances), reference["users"]
    shares = _shares(distances, ids)
    worth = _worth(distances, ids) if saved is not None else {}
    parted = parting = None
    if users and before and ids:
        far = round(float(np.mean(reach > reference["far"])), 6)
        chance = CERTAIN * math.sqrt(1 / users + 1 / before)
        beyond = reference.get("beyond", 1 - FAR)
        angle = math.asin(math.sqrt(beyond)) + chance / 2  # where _effect is `chance`
        far_noise = round(math.sin(min(angle, math.pi / 2)) ** 2, 6)
        if "beyond" in reference:  # the longer ago the cores were users, the more are out of their reach
            far_noise = max(far_noise, round(beyond + SMALLEST_SHARE, 6))
        if saved is None or "worth" not in reference:  # which one of an earlier version has not
            halved = [
                segment
                for segment, share in sorted(reference["shares"].items())
                if shares[segment] <= share * HALVED and _effect(share, shares[segment]) > chance
            ]
        else:
            halved = _faded(worth, reference)
            mean, error = reference["saved"]
            if saved.mean - mean > CERTAIN * math.hypot(saved.error, error):
                parted = ids[saved.segment] if saved.mean > PARTED * mean else None
                parting = ids[saved.segment] if saved.mean > PARTING * mean else None
    else:
        far, far_noise, halved = 0.0, 1.0, []
    measured = {}
    if saved is not None:
        measured = {"worth": {segment: mean for segment, (mean, _) in worth.items()}, "saved": saved.mean}
    return {
        "date": day.isoformat(),
        "users": users,
        "far": far,
        "far_noise": far_noise,
        "shares": shares,
        **measured,
        "halved": halved,
        "parted": parted,
        "parting": parting,
        "drift": sorted(drift.filter(drift["alarm"])["feature"].to_pylist()),
    }


def due(evaluations: Sequence[Mapping[str, Any]], settings: Adjustment) -> list[dict[str, Any]]:
    """Why the model must be challenged today; empty if nothing calls for it.

    evaluations: those of the present model so far, today's last. Whatever is found today and was found on at least 2 of the
    last 3 evaluation days counts:

    * `{"reason": "far", "share"}`: more than `far_share` of the users are far, and more than by chance,
    * `{"reason": "halved", "segments"}`: they have lost half of what they were worth,
    * `{"reason": "parted", "segments"}`: it would do much better as two,
    * `{"reason": "parting", "segments"}`: it would do better; no alarm yet,
    * `{"reason": "drift", "features"}`: they have an alarm.
    """
    recent = evaluations[-LAST:]
    reasons: list[dict[str, Any]] = []
    far = [{"far"} if one["far"] > far_limit(one, settings) else set() for one in recent]
    if _often(far):
        reasons.append({"reason": "far", "share": recent[-1]["far"]})
    if segments := _often([one["halved"] for one in recent]):
        reasons.append({"reason": "halved", "segments": segments})
    parted = [{"parted"} if one.get("parted") else set() for one in recent]  # which of the segments may change
    if _often(parted):
        reasons.append({"reason": "parted", "segments": [recent[-1]["parted"]]})
    elif _often([{"parting"} if one.get("parting") else set() for one in recent]):
        reasons.append({"reason": "parting", "segments": [recent[-1]["parting"]]})
    if features := _often([one["drift"] for one in recent]):
        reasons.append({"reason": "drift", "features": features})
    return reasons


def far_limit(figures: Mapping[str, Any], settings: Adjustment) -> float:
    """The share of far users beyond which they are too many. figures: an evaluation's."""
    return float(max(settings.far_share, figures["far_noise"]))


def _often(found: Sequence[Collection[str]]) -> list[str]:
    """What is in the last one and in at least OFTEN of all, sorted."""
    return sorted(name for name in found[-1] if sum(name in one for one in found) >= OFTEN) if found else []


def _shares(distances: Matrix, ids: Sequence[str]) -> dict[str, float]:
    """The share of users to whom each segment is the nearest; those to whom NOISE is are in none."""
    users = len(distances)
    counts = np.bincount(np.argmin(distances, axis=1), minlength=len(ids)) if users and ids else np.zeros(len(ids))
    return {segment: round(int(count) / max(users, 1), 6) for segment, count in zip(ids, counts, strict=False)}


def _worth(distances: Matrix, ids: Sequence[str]) -> dict[str, list[float]]:
    """`worths` by segment: [mean, standard error], rounded."""
    return {
        segment: [round(float(value), 6), round(float(wide), 6)]
        for segment, value, wide in zip(ids, *worths(distances), strict=True)
    }


def worths(distances: Matrix) -> tuple[Matrix, Matrix]:
    """What leaving each segment out would cost, in squared distance per user, if its users went to the next one; and its
    standard error. distances: (users, segments); nothing is worth anything without users, or a next one."""
    users, segments = distances.shape
    if segments < 2 or not users:
        return np.zeros(segments), np.zeros(segments)
    first, second = np.partition(distances, 1, axis=1)[:, :2].T ** 2
    nearest, cost = np.argmin(distances, axis=1), second - first
    mean = np.bincount(nearest, weights=cost, minlength=segments) / users
    square = np.bincount(nearest, weights=cost**2, minlength=segments) / users
    return mean, np.sqrt(np.maximum(square - mean**2, 0) / users)


def limits(reference: Mapping[str, Any]) -> dict[str, float]:
    """By segment: what it is worth at the most if it has faded. reference: what `fitted` gave, with centres."""
    founded = {segment: mean for segment, (mean, _) in reference["worth"].items()}
    least = min((mean for mean in founded.values() if mean > 0), default=0.0)
    return {segment: min(HALVED * mean, least) for segment, mean in sorted(founded.items())}


def faded(distances: Matrix, ids: Sequence[str], reference: Mapping[str, Any]) -> list[str]:
    """The segments that are worth half of what they were, as `evaluate` has it; none without a reference that says so."""
    return _faded(_worth(distances, ids), reference) if "worth" in reference else []


def _faded(worth: Mapping[str, Sequence[float]], reference: Mapping[str, Any]) -> list[str]:
    found = []
    for segment, limit in limits(reference).items():
        (before, error), (now, wide) = reference["worth"][segment], worth[segment]
        if now <= limit and before - now > CERTAIN * math.hypot(error, wide):
            found.append(segment)
    return found


def _effect(one: float, other: float) -> float:
    """How far two shares are apart: Cohen's h (1988), whose variance is 1/N + 1/M whatever the shares."""
    return 2 * abs(math.asin(math.sqrt(one)) - math.asin(math.sqrt(other)))
