"""What a model is held against from the day on which it takes force: a document in references/."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from segmentation.adjustment import drift, evaluation, structure
from segmentation.clustering.model import Fit
from segmentation.config import Clustering

Document = dict[str, Any]


def held_against(fit: Fit, ids: Sequence[str], features: pa.Table, settings: Clustering, day: date) -> Document:
    """`drift`: the bins of the day's users (`drift.Reference`); `evaluation`: their figures (`evaluation.fitted`).

    ids: of the fit's segments, in the order of its centres; features: the day's users.
    """
    saved = structure.saved(fit, features, settings)
    limit = fit.cores.reach if fit.cores else None
    return {
        "drift": drift.Reference.of(fit.points(features), fit.transform, day).document(),
        "evaluation": evaluation.fitted(fit.distances(features), ids, fit.reach(features), limit, saved),
    }


def still_far_from(reference: Document, before: Document) -> None:
    """Whoever is far from all segments is not forgotten: neither how far that is, nor what one more saves, is measured with
    them."""
    founded, earlier = reference["evaluation"], before["evaluation"]
    founded["far"] = earlier["far"]
    if "saved" in earlier:
        founded["saved"] = min(founded["saved"], earlier["saved"])
