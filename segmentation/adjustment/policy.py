"""Which decision a day takes about its model, with its evidence in numbers and one sentence in words."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation.clustering.model import Fit, Model
from segmentation.config import Clustering


def baseline(
    day: date, features: pa.Table, model_features: tuple[str, ...], clustering: Clustering
) -> tuple[Fit, dict[str, Any]]:
    """The first day of a history: fit a model. Returns the fit and the decision."""
    fit = Fit.of(features, model_features, clustering)
    nearest = np.argmin(fit.distances(features), axis=1) if features.num_rows else np.array([], dtype=np.int64)
    counts = np.bincount(nearest, minlength=len(fit.centres))
    evidence = {
        "users": features.num_rows,
        "fitted_on": min(features.num_rows, clustering.sample_users),
        "segments_asked": clustering.segments,
        "segments": len(fit.centres),
        "users_per_centre": [int(count) for count in counts],
    }
    names = ", ".join(name.replace("_", " ") for name in model_features)
    sentence = f"First day of the history: {len(fit.centres)} segments were founded on {features.num_rows:,} users, by {names}."
    if not features.num_rows:
        sentence = "No user had a row in the window: there is nobody yet to found segments on."
    elif len(fit.centres) != clustering.segments:
        sentence += f" {clustering.segments} were asked for, but there are no more users who differ."
    return fit, {"date": day.isoformat(), "decision": "baseline", "evidence": evidence, "sentence": sentence}


def hold(day: date, parent: date, users: int, model: Model) -> dict[str, Any]:
    """Any other day: the parent's model scores the users again."""
    born = min(segment.born for segment in model.segments)
    evidence = {
        "users": users,
        "parent": parent.isoformat(),
        "model_born": born.isoformat(),
        "segments": len(model.segments),
    }
    gap = (day - parent).days
    after = "the day before" if gap == 1 else f"{parent} ({gap} days before)"
    sentence = (
        f"The model of {after} was kept: {users:,} users were scored with the {len(model.segments)} segments of {born}."
    )
    return {"date": day.isoformat(), "decision": "hold", "evidence": evidence, "sentence": sentence}
