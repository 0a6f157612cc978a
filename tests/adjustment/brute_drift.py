"""A second implementation of the rules of drift, plain and slow, from their words in docs and docstrings.

Works on users' cells, imports nothing of `segmentation`, and keeps every day.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from scipy.stats import chi2, wasserstein_distance

Day = Sequence[int]  # the users' cells


def psi(one: Day, other: Day, bins: Sequence[int]) -> float:
    shares = []
    for cells in (one, other):
        ends = [*bins[1:], math.inf]
        counts = [sum(start <= cell < end for cell in cells) for start, end in zip(bins, ends, strict=True)]
        filled = [count or 0.5 for count in counts]
        shares.append([value / sum(filled) for value in filled])
    return sum((p - q) * math.log(p / q) for p, q in zip(*shares, strict=True))


def quantile(values: Sequence[float], share: float) -> float:
    """With linear interpolation between the two nearest."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


class Feature:
    def __init__(self, width: float, bins: Sequence[int], reference: date, cells: Day, distance: float) -> None:
        self.width, self.bins, self.reference, self.distance = width, bins, reference, distance
        self.first = cells
        self.days: dict[date, Day] = {}
        self.quiet: dict[date, bool] = {}

    def known(self, today: date) -> list[date]:
        found = []
        for day in self.days:
            away = (day - self.reference).days
            if not self.days[day] or day.weekday() != today.weekday() or day.weekday() == self.reference.weekday():
                continue
            if -7 < away < 0 and self.quiet[day]:
                found.append(day)
            later = [
                other
                for other in self.days
                if other > max(day, self.reference)
                and other.weekday() == self.reference.weekday()
                and self.quiet[other]
                and self.days[other]
            ]
            if 0 < away < 14 and later:
                found.append(day)
        return found

    def measure(
        self, today: date, cells: Day, remembered: Mapping[date, bool]
    ) -> tuple[float, float, float, bool, date] | None:
        """psi, floor, wasserstein, alarm, compared_with. `remembered`: whether a day is still in the history."""
        row = None
        if cells and self.first:
            known = self.known(today)
            candidates = {day: self.days[day] for day in known} | {self.reference: self.first}
            far = {day: round(wasserstein_distance(other, cells) * self.width, 6) for day, other in candidates.items()}
            near = min(candidates, key=lambda day: (far[day], day))
            floor = chi2.ppf(0.999, len(self.bins) - 1) if len(self.bins) > 1 else 0.0
            floor *= 1 / len(cells) + 1 / len(candidates[near])
            pairs = [
                psi(self._at(day), self._at(day - timedelta(days=7)), self.bins)
                for day in self.days
                if self._calm(day, remembered) and self._calm(day - timedelta(days=7), remembered)
            ]
            floor = max([floor, *([quantile(pairs, 0.95)] if pairs else [])])
            needed = self.distance
            if not known and today.weekday() != self.reference.weekday():
                needed *= 2
            value = psi(candidates[near], cells, self.bins)
            row = (value, floor, far[near], value > floor and far[near] >= needed, near)
        self.days[today], self.quiet[today] = cells, not (row and row[3])
        return row

    def _at(self, day: date) -> Day:
        return self.first if day == self.reference else self.days[day]

    def _calm(self, day: date, remembered: Mapping[date, bool]) -> bool:
        return bool(self.quiet.get(day) and self.days[day] and remembered[day])
