"""A fit (what clustering learned, named by its content) and a model (a fit with the segment ids of its centres)."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import numpy as np
import pyarrow as pa

from segmentation.clustering import kmeans
from segmentation.clustering.transform import Matrix, Transform
from segmentation.config import Clustering
from segmentation.store.content import hash_json

ID_CHARACTERS = 8


@dataclass(frozen=True)
class Fit:
    """A frozen transform and the centres in its space, (segments, features), in canonical order."""

    algorithm: str
    transform: Transform
    centres: Matrix

    @classmethod
    def of(cls, table: pa.Table, features: tuple[str, ...], clustering: Clustering) -> Self:
        """Fit on a table (user_id and a float64 column per feature) that is sorted by user_id.

        Without any user there are no centres.
        """
        users = table.column("user_id").to_pylist()
        if not users:
            return cls(clustering.algorithm, Transform(()), np.empty((0, 0)))
        sample = table.take(kmeans.sample_positions(users, clustering.sample_users))
        transform = Transform.fit(sample, features)
        assert isinstance(clustering.segments, int)
        centres = kmeans.fit(transform.apply(sample), clustering.segments, clustering.seed)
        return cls(clustering.algorithm, transform, centres)

    def distances(self, table: pa.Table) -> Matrix:
        """Each user's distance to each centre, (users, segments), in frozen standard deviations."""
        if table.num_rows == 0:  # such a table may lack the features' columns
            return np.empty((0, len(self.centres)))
        return kmeans.distances(self.transform.apply(table), self.centres)

    def document(self) -> dict[str, Any]:
        return {
            "algorithm": self.algorithm,
            "transform": self.transform.document(),
            "centres": [[float(value) for value in centre] for centre in self.centres],
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        transform = Transform.from_document(document["transform"])
        return cls(document["algorithm"], transform, np.array(document["centres"], dtype=np.float64))


@dataclass(frozen=True)
class Segment:
    """One segment's identity: permanent, never used again."""

    segment_id: str
    born: date
    parents: tuple[str, ...]
    centre: tuple[float, ...]


@dataclass(frozen=True)
class Model:
    fit: str  # the fit's name in fits/
    features: tuple[str, ...]
    segments: tuple[Segment, ...]  # in the order of the fit's centres

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(segment.segment_id for segment in self.segments)

    @classmethod
    def founded(cls, fit: Fit, name: str, born: date) -> Self:
        """The first model of a history: every centre gets a new id, a hash of its birth date and the centre itself."""
        features = fit.transform.features
        segments = []
        for row in fit.centres:
            centre = tuple(float(value) for value in row)
            identity = {"born": born.isoformat(), "centre": centre, "features": features}
            segments.append(Segment(hash_json(identity)[:ID_CHARACTERS], born, (), centre))
        return cls(name, features, tuple(segments))

    def document(self) -> dict[str, Any]:
        return {
            "fit": self.fit,
            "features": list(self.features),
            "segments": [
                {
                    "segment_id": segment.segment_id,
                    "born": segment.born.isoformat(),
                    "parents": list(segment.parents),
                    "centre": list(segment.centre),
                }
                for segment in self.segments
            ],
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        segments = tuple(
            Segment(s["segment_id"], date.fromisoformat(s["born"]), tuple(s["parents"]), tuple(s["centre"]))
            for s in document["segments"]
        )
        return cls(document["fit"], tuple(document["features"]), segments)
