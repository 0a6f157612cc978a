"""The whole pipeline on small random CSV shops against brute force: from the files' lines to every published table.

Of the real history only the fit is read (frozen transform and centres, that K-means found) and the ids of its centres;
rows, population, features, places, memberships, segments and migrations are worked out here, in loops, from the rules
(docs/architecture.md, docs/tables.md, `segmentation features`).
"""

import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import brute_force
import pytest
from brute_force import Member

from segmentation import history
from segmentation.config import Config
from segmentation.store.store import Store, open_store
from segmentation.store.verify import verify
from segmentation.tracking.memberships import Parent
from segmentation.tracking.migrations import span

FIRST = date(2024, 2, 10)
DAYS = 34
WINDOW = 7
FEATURES = ("recency", "frequency", "monetary", "order_gap")
SEEDS = (3,)


@dataclass(frozen=True)
class Line:
    user: str
    at: datetime
    order: str
    quantity: int
    amount: int  # hundredths


@dataclass
class Made:
    config: Config
    lines: list[Line]  # those that keep the contract
    published: list[date]


def made(root: Path, seed: int) -> Made:
    """Users who come and stay away for longer than the window, quiet days, returns, lines of no quantity, bad lines."""
    dice = random.Random(seed)
    users = ["007", "7", "ann", "Ann", "élan", *(f"u{number}" for number in range(7))]
    away: dict[str, set[int]] = {}
    for user in users:
        start = dice.randint(-12, DAYS)
        away[user] = set(range(start, start + dice.randint(4, 22))) if dice.random() < 0.8 else set()
    quiet = {15, 16}
    lines = []
    bad = 0
    (root / "orders").mkdir()
    for offset in range(DAYS):
        day = FIRST + timedelta(days=offset)
        texts = []
        for user in users:
            if offset in away[user] or offset in quiet or dice.random() < 0.55:
                continue
            for number in range(dice.randint(1, 2)):
                order = f"{user}-{offset}-{number}"
                at = datetime(day.year, day.month, day.day, dice.randint(0, 23), dice.randint(0, 59))  # noqa: DTZ001
                for _ in range(dice.randint(1, 3)):
                    quantity = dice.choice([1, 1, 1, 2, 5, 0, -1])
                    amount = dice.randint(0, 900) * (1 + users.index(user)) * (-1 if quantity < 0 else 1)
                    lines.append(Line(user, at, order, quantity, amount))
                    texts.append(f" {user} ,{at},{order},{quantity},{amount / 100:.2f}")
        if texts and dice.random() < 0.4:
            bad += 2
            texts += [f",{day} 01:00:00,x,1,5.00", f"u1,{day} 01:00:00,x,1,five"]
        dice.shuffle(texts)
        if texts:
            (root / "orders" / f"{day}.csv").write_text(
                "\n".join(["user_id,ordered_at,order_id,quantity,amount", *texts])
            )
    published = [FIRST + timedelta(days=WINDOW - 1)]
    while published[-1] < FIRST + timedelta(days=DAYS - 1):
        published.append(published[-1] + timedelta(days=9 if len(published) == 8 else dice.choice([1, 1, 1, 1, 2, 3])))
    config = Config(
        sources={"orders": {"path": "orders/*.csv"}},
        features={"window_days": WINDOW},
        clustering={"segments": 3, "features": FEATURES},
        validation={"empty_days": "allow"},
        adjustment={"move_points": 4000, "return_points": 6000, "return_days": 9},  # days are few here
        root=root,
    )
    assert bad
    return Made(config, lines, [day for day in published if day < FIRST + timedelta(days=DAYS)])


def features(lines: list[Line], as_of: date, known_until: date) -> dict[str, dict[str, Fraction | None]]:
    """Each user of the window, and the features, exact; None where undefined."""
    of: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if as_of - timedelta(days=WINDOW) < line.at.date() <= min(as_of, known_until):
            of[line.user].append(line)
    result = {}
    for user, mine in of.items():
        bought = [line for line in mine if line.quantity > 0 and line.amount >= 0]
        days = sorted({line.at.date() for line in bought})
        result[user] = {
            "recency": Fraction((as_of - days[-1]).days) if days else None,
            "frequency": Fraction(len({line.order for line in bought})),
            "monetary": Fraction(sum(line.amount for line in mine), 100),
            "order_gap": Fraction((days[-1] - days[0]).days, len(days) - 1) if len(days) > 1 else None,
        }
    return result


def distances(values: Mapping[str, Fraction | None], fit: dict[str, Any], ids: list[str]) -> dict[str, float]:
    point = []
    for axis in fit["transform"]:
        value = values[axis["feature"]]
        x = axis["fill"] if value is None else float(round(value, 6))
        if axis["log"]:
            x = math.copysign(math.log1p(abs(x)), x)
        point.append(round((min(max(x, axis["low"]), axis["high"]) - axis["mean"]) / axis["sd"], 6))
    result = {}
    for name, centre in zip(ids, fit["centres"], strict=True):
        total = 0.0
        for a, b in zip(point, centre, strict=True):
            total += (a - b) ** 2
        result[name] = math.sqrt(total)
    return result


@dataclass
class Compared:
    made: Made
    store: Store
    expected: list[tuple[date, dict[str, Member]]]

    def table(self, day: date, name: str) -> Any:
        return self.store.objects.table(f"{self.store.state().published[day].folder}/{name}.parquet")

    def json(self, day: date, name: str) -> Any:
        return json.loads(self.store.objects.get(f"{self.store.state().published[day].folder}/{name}.json"))

    def revenue(self, day: date) -> dict[str, int]:
        """Hundredths in the window."""
        return {user: int(100 * value["monetary"]) for user, value in features(self.made.lines, day, day).items()}


@pytest.fixture(scope="module", params=SEEDS)
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    shop = made(tmp_path_factory.mktemp(f"shop{request.param}"), request.param)
    for day in shop.published:
        history.run(shop.config, day)
    store = open_store(shop.config)
    assert sorted(store.state().published) == shop.published
    return Compared(shop, store, _expected(shop, store))


def _expected(shop: Made, store: Store) -> list[tuple[date, dict[str, Member]]]:
    model = json.loads(store.objects.get(f"{store.state().published[shop.published[0]].folder}/model.json"))
    fit = json.loads(store.objects.get(f"fits/{model['fit']}.json"))
    ids = [segment["segment_id"] for segment in model["segments"]]
    # Accepted are the days of the published days' windows; who bought only on other days was never seen.
    accepted = {day - timedelta(days=back) for day in shop.published for back in range(WINDOW)}
    first_seen: dict[str, date] = {}
    for line in shop.lines:
        if line.at.date() in accepted:
            first_seen[line.user] = min(first_seen.get(line.user, line.at.date()), line.at.date())
    adjustment = shop.config.adjustment
    rule = brute_force.Rule(adjustment.move_points, adjustment.return_points, adjustment.return_days)
    result: list[tuple[date, dict[str, Member]]] = []
    parent = None
    before: dict[str, Member] = {}
    for day in shop.published:
        today = {user: distances(value, fit, ids) for user, value in features(shop.lines, day, day).items()}
        idle = {user: distances(value, fit, ids) for user, value in features(shop.lines, day, parent or day).items()}
        before = brute_force.follow(day, parent, today, before, idle, first_seen, rule)
        result.append((day, before))
        parent = day
    return result


def test_memberships(compared: Compared) -> None:
    names = [field.name for field in fields(Member)]
    for day, rows in compared.expected:
        table = compared.table(day, "memberships").to_pylist()
        assert {row["user_id"]: Member(**{name: row[name] for name in names}) for row in table} == rows, day
        assert [row["user_id"] for row in table] == sorted(rows)


def test_every_kind_of_row_was_compared(compared: Compared) -> None:
    rows = [member for _, members in compared.expected for member in members.values()]
    seen = Counter((member.status, member.cause) for member in rows if member.status not in ("stayed", "reassigned"))
    wanted = [("entered", "behaviour"), ("reactivated", "behaviour"), ("lapsed", "ageing")]
    assert min(seen[kind] for kind in [*wanted, ("moved", "behaviour"), ("moved", "ageing")]) >= 2, seen
    assert any(member.points for member in rows)


def test_features(compared: Compared) -> None:
    for day in compared.made.published:
        table = compared.table(day, "features").to_pylist()
        exact = features(compared.made.lines, day, day)
        rounded = {
            user: {name: None if value is None else float(round(value, 6)) for name, value in values.items()}
            for user, values in exact.items()
        }
        assert {row["user_id"]: {name: row[name] for name in FEATURES} for row in table} == rounded, day


def test_segments(compared: Compared) -> None:
    for day, rows in compared.expected:
        exact = features(compared.made.lines, day, day)
        revenue = compared.revenue(day)
        inside: dict[str, list[str]] = defaultdict(list)
        for user, member in rows.items():
            if member.segment_id:
                inside[member.segment_id].append(user)
        population = sum(map(len, inside.values()))
        table = compared.table(day, "segments").to_pylist()
        model = compared.json(day, "model")
        assert [row["segment_id"] for row in table] == sorted(s["segment_id"] for s in model["segments"])
        for row in table:
            users = inside[row["segment_id"]]
            assert row["event"] == ("born" if day == compared.made.published[0] else "continued")
            assert row["users"] == len(users)
            assert row["share"] == pytest.approx(len(users) / population, abs=5.1e-7)
            assert row["revenue"] * 100 == sum(revenue[user] for user in users)
            for name in FEATURES:
                known = [value for user in users if (value := exact[user][name]) is not None]
                mean = float(sum(known) / len(known)) if known else None
                assert row[f"mean_{name}"] == (mean if mean is None else pytest.approx(mean, abs=2e-6))


def test_migrations(compared: Compared) -> None:
    before: dict[str, Member] = {}
    for day, rows in compared.expected:
        cells = brute_force.migrations(rows, before, compared.revenue(day))
        totals = Counter()
        for (start, _), cell in cells.items():
            totals[start] += cell["users"]
        table = compared.table(day, "migrations").to_pylist()
        assert [(row["from_segment_id"], row["to_segment_id"]) for row in table] == sorted(cells)
        for row in table:
            cell = cells[row["from_segment_id"], row["to_segment_id"]]
            share = row.pop("share_of_from")
            assert share == pytest.approx(cell["users"] / totals[row["from_segment_id"]], abs=5.1e-7)
            assert {**{name: row[name] for name in cell}, "revenue": row["revenue"] * 100} == cell, day
        before = rows


def test_spans(compared: Compared) -> None:
    days = compared.made.published
    for first, last in [(days[0], days[-1]), (days[2], days[-2]), (days[5], days[6]), (days[1], days[-3])]:
        tables = [Parent.of(day, compared.table(day, "memberships")).memberships for day in (first, last)]
        cells = brute_force.span(compared.expected, first, last, {})
        found = {(row["from_segment_id"], row["to_segment_id"]): row for row in span(*tables, first, None).to_pylist()}
        assert found.keys() == cells.keys()
        for key, cell in cells.items():
            assert {name: found[key][name] for name in cell if name != "revenue"} == {
                name: count for name, count in cell.items() if name != "revenue"
            }


def test_decisions_and_counts(compared: Compared) -> None:
    read = Counter(line.at.date() for line in compared.made.lines)
    for day in compared.made.published:
        decision = compared.json(day, "decision")
        assert decision["decision"] == ("baseline" if day == compared.made.published[0] else "hold")
        assert decision["evidence"]["users"] == len(features(compared.made.lines, day, day))
        assert compared.json(day, "quality")["tables"]["orders"]["accepted"] == read[day]


def test_the_store_is_whole(compared: Compared) -> None:
    assert verify(compared.store) == []
    assert history.stale(compared.made.config) == []


def test_the_random_shops_hold_what_they_are_meant_to_hold(tmp_path_factory: pytest.TempPathFactory) -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        shop = made(tmp_path_factory.mktemp("look"), seed)
        days = shop.published
        seen["gap"] += sum((b - a).days > 1 for a, b in pairwise(days))
        seen["gap longer than the window"] += sum((b - a).days > WINDOW for a, b in pairwise(days))
        active: dict[str, list[date]] = defaultdict(list)
        for line in shop.lines:
            active[line.user].append(line.at.date())
            seen["return"] += line.quantity < 0
            seen["line without quantity"] += line.quantity == 0
        for dates in active.values():
            dates.sort()
            seen["away for more than a window"] += any((b - a).days > WINDOW for a, b in pairwise(dates))
    assert min(seen.values()) >= 1, seen
    assert len(seen) == 5
