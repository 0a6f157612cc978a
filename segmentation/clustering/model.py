"""A fit (what clustering learned, named by its content) and a model (a fit with the segment ids of its centres)."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Self

import numpy as np
import pyarrow as pa

from segmentation.clustering import density, kmeans
from segmentation.clustering.sample import sample_positions
from segmentation.clustering.transform import Matrix, Transform
from segmentation.config import Clustering, Features
from segmentation.store.content import hash_json
from segmentation.store.snapshots import NOISE

ID_CHARACTERS = 8


@dataclass(frozen=True)
class Fit:
    """A frozen transform and the segments in its space: centres, (segments, features), in canonical order; and, where they
    are grouped by density, the cores."""

    algorithm: str
    transform: Transform
    centres: Matrix
    cores: density.Cores | None = None

    @classmethod
    def of(cls, table: pa.Table, features: tuple[str, ...], settings: Clustering, segments: int | None) -> Self:
        """Fit on a table (user_id and a float64 column per feature) that is sorted by user_id.

        segments: how many; None where the algorithm finds that itself. Without any user there are no centres.
        """
        if not table.num_rows:
            return cls(settings.algorithm, Transform(()), np.empty((0, 0)))
        sample = cls.sampled(table, settings.sample_users)
        transform = Transform.fit(sample, features)
        if segments is None:
            found = density.fit(transform.apply(cls.sampled(sample, density.SAMPLE_USERS)), settings)
            if found:
                return cls(settings.algorithm, transform, found[1], found[0])
        return cls(settings.algorithm, transform, kmeans.fit(transform.apply(sample), segments or 1, settings.seed))

    @staticmethod
    def sampled(table: pa.Table, users: int) -> pa.Table:
        """At most so many users of the table, drawn by the hash of their id."""
        return table.take(sample_positions(table["user_id"].combine_chunks(), users))

    @property
    def has_noise(self) -> bool:
        """Whether `distances` has a last column for those who are in no segment."""
        return self.cores is not None

    def points(self, table: pa.Table) -> Matrix:
        """The users' places, (users, features), in frozen standard deviations."""
        if table.num_rows == 0:  # such a table may lack the features' columns
            return np.empty((0, len(self.transform.axes)))
        return self.transform.apply(table)

    def distances(self, table: pa.Table) -> Matrix:
        """Each user's distance to each segment in frozen standard deviations, (users, segments), and to NOISE if there is."""
        if self.cores:
            return self.cores.distances(self.points(table))
        return kmeans.distances(self.points(table), self.centres)

    def reach(self, table: pa.Table) -> Matrix:
        """How far each user is from the nearest segment, (users,): from its centre in the space whose ends are not cut off, or
        as `Cores.apart` has it, of those in the sample that cores are made of.

        Whoever is at the end of the scale may be anywhere beyond it: those who settle there are near nobody.
        """
        if not len(self.centres) or not table.num_rows:
            return np.full(table.num_rows, np.inf)
        if self.cores:
            return self.cores.apart(self.points(self.sampled(table, density.SAMPLE_USERS)))
        return np.asarray(kmeans.distances(self.transform.uncut().apply(table), self.centres).min(axis=1))

    def document(self) -> dict[str, Any]:
        document = {
            "algorithm": self.algorithm,
            "transform": self.transform.document(),
            "centres": self.centres.tolist(),
        }
        if self.cores:
            document["cores"] = [cores.tolist() for cores in self.cores.points]
            document["reach"] = self.cores.reach
            document["samples"] = self.cores.samples
        return document

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        transform = Transform.from_document(document["transform"])
        cores = None
        if "cores" in document:
            samples = document.get("samples", density.MIN_SAMPLES)  # a fit of an earlier version does not say
            cores = density.Cores(tuple(np.array(cores) for cores in document["cores"]), document["reach"], samples)
        return cls(document["algorithm"], transform, np.array(document["centres"], dtype=np.float64), cores)


@dataclass(frozen=True)
class Segment:
    """One segment's identity: permanent, never used again."""

    segment_id: str
    born: date
    parents: tuple[str, ...]
    centre: tuple[float, ...]


@dataclass(frozen=True)
class MadeBy:
    """The settings that a model was made by; with others it is replaced."""

    features: Features
    clustering: Clustering

    def document(self) -> dict[str, Any]:
        return {
            "features": self.features.model_dump(mode="json"),
            "clustering": self.clustering.model_dump(mode="json"),
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        return cls(Features(**document["features"]), Clustering(**document["clustering"]))


@dataclass(frozen=True)
class Model:
    """reference: name in references/ of what the model is held against, from the day on which it took force."""

    fit: str  # the fit's name in fits/
    features: tuple[str, ...]
    segments: tuple[Segment, ...]  # in the order of the fit's centres
    made_by: MadeBy
    reference: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(segment.segment_id for segment in self.segments)

    def states(self, fit: Fit) -> tuple[str, ...]:
        """The names of the columns of the fit's distances: the segments' ids, and NOISE if it has that."""
        return (*self.ids, NOISE) if fit.has_noise else self.ids

    def settling(self, day: date, window_days: int) -> tuple[int, ...]:
        """The places of the segments that came later than others, and less than a window ago: what their users do fills the
        window still, and takes them further than a segment that has settled goes."""
        first = min((segment.born for segment in self.segments), default=day)
        filled = day - timedelta(days=window_days)
        return tuple(number for number, one in enumerate(self.segments) if one.born > max(first, filled))

    def with_parents(self, places: Collection[int]) -> tuple[int, ...]:
        """These, and the segments that they split off from."""
        parents = {parent for number in places for parent in self.segments[number].parents}
        return tuple(
            number for number, one in enumerate(self.segments) if number in places or one.segment_id in parents
        )

    def moved(self, fit: Fit, settled: Collection[int]) -> Self:
        """With centres that have moved along, to those of the fit; the settled ones are as if founded there."""
        segments = tuple(
            replace(one, centre=tuple(fit.centres[number].tolist())) if number in settled else one
            for number, one in enumerate(self.segments)
        )
        return replace(self, fit=hash_json(fit.document()), segments=segments)

    @classmethod
    def founded(cls, fit: Fit, name: str, born: date, made_by: MadeBy) -> Self:
        """The first model of a history: every centre gets a new id, a hash of its birth date and the centre itself."""
        features = fit.transform.features
        segments = []
        for row in fit.centres:
            centre = tuple(float(value) for value in row)
            identity = {"born": born.isoformat(), "centre": centre, "features": features}
            segments.append(Segment(hash_json(identity)[:ID_CHARACTERS], born, (), centre))
        return cls(name, features, tuple(segments), made_by)

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
            "made_by": self.made_by.document(),
            "reference": self.reference,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        segments = tuple(
            Segment(s["segment_id"], date.fromisoformat(s["born"]), tuple(s["parents"]), tuple(s["centre"]))
            for s in document["segments"]
        )
        made_by = MadeBy.from_document(document["made_by"])
        return cls(document["fit"], tuple(document["features"]), segments, made_by, document["reference"])
