"""What the users do on a day: sessions of searches, views, carts and purchases; their order lines, returns and reviews."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation.simulation.happenings import Levels, Numbers
from segmentation.simulation.population import DAY_S, Ints, Population, texts, user_ids
from segmentation.simulation.scenario import Scenario

TYPES = ("search", "view", "cart", "purchase")
SEARCH, VIEW, CART, PURCHASE = range(4)
SEARCH_S, CART_S = 15, 5  # how long these last, in the mean
HOURS = np.array([0] * 6 + [1, 2, 3, 4, 4, 4, 5, 4, 3, 3, 4, 5, 6, 7, 7, 6, 4, 2])  # when sessions begin; none at night
PRICE_SIGMA = 0.4  # of the logarithm of the prices of a category's items
RETURN_DAYS, REVIEW_DAYS = (3, 15), (1, 11)  # from, and before


class Later:
    """Rows that are due on later days: columns of whole numbers, `due` among them."""

    def __init__(self) -> None:
        self._rows: dict[str, Ints] = {}

    def add(self, rows: dict[str, Ints]) -> None:
        self._rows = {name: np.append(self._rows[name], rows[name]) for name in rows} if self._rows else rows

    def take(self, day: int) -> dict[str, Ints]:
        due = self._rows["due"] == day
        taken = {name: values[due] for name, values in self._rows.items()}
        self._rows = {name: values[~due] for name, values in self._rows.items()}
        return taken


class Activity:
    """Makes the rows of one day after another. Items are numbered category by category, the most popular first."""

    def __init__(self, scenario: Scenario, draw: np.random.Generator) -> None:
        self._scenario = scenario
        shop = scenario.shop
        self._per_category = shop.items_per_category
        self._popularity = _cumulative(1 / np.arange(1, shop.items_per_category + 1) ** shop.zipf)
        weights = [[1.0] * len(scenario.categories)]
        for kind in scenario.kinds.values():
            weights.append([kind.categories.get(name, 0.0) if kind.categories else 1.0 for name in scenario.categories])
        self._categories = np.array([_cumulative(np.array(row)) for row in weights])
        typical = np.repeat([category.price for category in scenario.categories.values()], shop.items_per_category)
        self._cents = np.maximum(100 * typical * np.exp(PRICE_SIGMA * draw.standard_normal(len(typical))), 5)
        self._hours = _cumulative(HOURS)
        self._item_ids = texts("i", np.arange(len(typical)) + 1, 5)
        self._category_names = pa.array(scenario.categories)
        self._returns, self._reviews = Later(), Later()

    def rows(self, day: int, on: date, population: Population, draw: np.random.Generator) -> dict[str, pa.Table]:
        """The tables orders, events and reviews of a day, sorted by time. Tells the population who bought."""
        levels = self._scenario.levels(day, on.weekday())
        sessions = self._sessions(population, levels, draw)
        buys = sessions["lines"] > 0
        population.bought = np.unique(sessions["user"][buys])
        events = self._events(sessions, population, levels, draw)
        sold = {name: values[events["type"] == PURCHASE] for name, values in events.items()}
        orders = self._orders(day, sold["item"], sold["session"], sessions, levels, draw)
        orders |= {"order": (np.cumsum(buys) - 1)[sold["session"]], "time": sold["time"]}
        returns = self._due(self._returns.take(day), levels, draw)
        reviews = self._due(self._reviews.take(day), levels, draw)
        return {
            "orders": self._order_table(orders, returns, int(buys.sum()), on),
            "events": self._event_table(events, sessions["user"], on),
            "reviews": self._review_table(reviews, on),
        }

    def _sessions(self, population: Population, levels: Levels, draw: np.random.Generator) -> dict[str, Ints]:
        """One row per session, sorted by user: user, kind, lines (0: no order), searches, views, carts, size (events).

        All users' sessions are one Poisson process, each session then falls to a user by the user's rate.
        """
        rates = (levels["orders"] + levels["sessions"])[population.kind] * population.rate
        reached = np.cumsum(rates)
        count = int(draw.poisson(reached[-1]))
        user = np.searchsorted(reached, np.sort(draw.random(count)) * reached[-1], side="right")
        kind = population.kind[user].astype(np.int64)
        ordered = levels["orders"] / np.maximum(levels["orders"] + levels["sessions"], 1e-300)
        buys = draw.random(count) < ordered[kind]
        lines = np.where(buys, 1 + draw.poisson(np.maximum(levels["lines"] - 1, 0)[kind]), 0)
        views = np.maximum(lines, 1) + draw.poisson(levels["views"][kind])
        carts = np.where(buys, lines, draw.binomial(views, levels["carts"][kind]))
        searches = (draw.random(count) < levels["searches"][kind]).astype(np.int64)
        columns = {"user": user, "kind": kind, "lines": lines, "searches": searches, "views": views, "carts": carts}
        return columns | {"size": searches + views + carts + lines}

    def _events(
        self, sessions: dict[str, Ints], population: Population, levels: Levels, draw: np.random.Generator
    ) -> dict[str, Ints]:
        """One row per event, session by session: type, item (-1: none), session, dwell (seconds), time (of the day).

        In a session there is perhaps a search, then the views, then the carts and purchases of the items viewed first.
        """
        size, searches, views = sessions["size"], sessions["searches"], sessions["views"]
        session = np.repeat(np.arange(len(size)), size)
        begin = np.cumsum(size) - size
        place = np.arange(len(session)) - (begin + searches)[session]  # among the session's views, from 0
        bought_from = views + sessions["carts"]
        bought, carted = place >= bought_from[session], place >= views[session]
        kind = np.select([bought, carted, place >= 0], [PURCHASE, CART, VIEW], SEARCH)
        place -= np.select([bought, carted], [bought_from[session], views[session]], 0)
        viewed, first = self._viewed(sessions, population, draw)
        item = np.where(kind == SEARCH, -1, viewed[first[session] + np.maximum(place, 0)])
        seconds = np.select(
            [kind == VIEW, kind == CART, kind == SEARCH],
            [levels["dwell"][sessions["kind"]][session], CART_S, SEARCH_S],
            0,
        )
        dwell = np.ceil(draw.standard_exponential(len(session)) * seconds).astype(np.int64)
        passed = np.cumsum(dwell) - dwell
        length = np.bincount(session, dwell, len(size)).astype(np.int64)
        # A session ends on the day that it began on.
        start = np.maximum(np.minimum(self._moments(len(size), draw), DAY_S - 1 - length), 0)
        time = np.minimum(start[session] + passed - passed[begin[session]], DAY_S - 1)
        return {"type": kind, "item": item, "session": session, "dwell": dwell, "time": time}

    def _viewed(
        self, sessions: dict[str, Ints], population: Population, draw: np.random.Generator
    ) -> tuple[Ints, Ints]:
        """The items viewed, session by session (the first ones are those carted and bought), and where each begins."""
        shop, views = self._scenario.shop, sessions["views"]
        owner = np.repeat(np.arange(len(views)), views)
        first = np.cumsum(views) - views
        liked = draw.random(len(owner)) < shop.taste
        luck = np.where(liked, population.taste[sessions["user"]][owner], draw.random(len(owner)))
        reached = self._categories[sessions["kind"]][owner]
        category = (luck[:, None] >= reached).sum(axis=1)
        rank = np.searchsorted(self._popularity, draw.random(len(owner)), side="right")
        item = category * self._per_category + rank
        follows = draw.random(len(owner)) < shop.together
        follows[first] = False
        item[1:] = np.where(follows[1:], item[:-1] ^ 1, item[1:])  # an even number of items: never another category's
        return item, first

    def _orders(
        self,
        day: int,
        item: Ints,
        session: Ints,
        sessions: dict[str, Ints],
        levels: Levels,
        draw: np.random.Generator,
    ) -> dict[str, Ints]:
        """The order lines (cents); those of them that will be returned or reviewed are kept for later."""
        user, kind = sessions["user"][session], sessions["kind"][session]
        count = len(user)
        quantity = 1 + draw.poisson(np.maximum(levels["quantity"] - 1, 0)[kind])
        factor = self._scenario.prices(day)[item // self._per_category]
        price = np.rint(self._cents[item] * factor).astype(np.int64)
        off = (
            self._scenario.shop.discount
            * draw.uniform(0.5, 1.5, count)
            * (draw.random(count) < levels["discounted"][kind])
        )
        discount = np.rint(quantity * price * np.minimum(off, 1)).astype(np.int64)
        amount = quantity * price - discount
        lines = {
            "user": user,
            "item": item,
            "quantity": quantity,
            "price": price,
            "amount": amount,
            "discount": discount,
        }
        back = draw.random(count) < levels["returned"][kind]
        rows = {name: values[back] for name, values in lines.items()}
        self._returns.add(rows | {"due": day + draw.integers(*RETURN_DAYS, int(back.sum()))})
        told = draw.random(count) < levels["reviewed"][kind]
        wanted = levels["rating"][kind[told]] + draw.standard_normal(int(told.sum()))
        rows = {"user": user[told], "item": item[told], "rating": np.clip(np.rint(wanted), 1, 5).astype(np.int64)}
        self._reviews.add(rows | {"due": day + draw.integers(*REVIEW_DAYS, len(wanted))})
        return lines

    def _due(self, rows: dict[str, Ints], levels: Levels, draw: np.random.Generator) -> dict[str, Ints]:
        come = draw.random(len(rows["due"])) < levels["due"][0]
        rows = {name: values[come] for name, values in rows.items()}
        return rows | {"time": self._moments(int(come.sum()), draw)}

    def _moments(self, count: int, draw: np.random.Generator) -> Ints:
        """Seconds of the day."""
        edges = np.arange(len(HOURS) + 1) * 3600
        moments: Ints = np.interp(draw.random(count), np.append(0, self._hours), edges).astype(np.int64)
        return moments

    def _order_table(self, sold: dict[str, Ints], back: dict[str, Ints], orders: int, on: date) -> pa.Table:
        zeros = np.zeros(len(back["due"]), np.int64)
        back = back | {"order": orders + np.arange(len(zeros)), "discount": zeros}
        back |= {"quantity": -back["quantity"], "amount": -back["amount"]}
        rows = _sorted({name: np.append(values, back[name]) for name, values in sold.items()})
        columns = {
            "order_id": texts(f"o{on:%Y%m%d}-", rows["order"] + 1, 6),
            "user_id": user_ids(rows["user"]),
            "ordered_at": _times(on, rows["time"]),
            "item_id": self._items(rows["item"]),
            "category": self._category(rows["item"]),
            "quantity": rows["quantity"],
            "unit_price": rows["price"] / 100,
            "amount": rows["amount"] / 100,
            "discount": rows["discount"] / 100,
            "currency": pa.DictionaryArray.from_arrays(
                np.zeros(len(rows["user"]), np.int32), [self._scenario.shop.currency]
            ),
        }
        return pa.table(columns)

    def _event_table(self, events: dict[str, Ints], user: Ints, on: date) -> pa.Table:
        new = np.diff(user, prepend=-1) > 0  # sessions are sorted by user
        ids = pa.DictionaryArray.from_arrays((np.cumsum(new) - 1).astype(np.int32), user_ids(user[new]))
        rows = _sorted(events)
        session = rows["session"].astype(np.int32)
        sessions = texts(f"s{on:%Y%m%d}-", np.arange(len(user)) + 1, 6)
        columns = {
            "user_id": ids.take(pa.array(session)),
            "event_at": _times(on, rows["time"]),
            "event_type": pa.DictionaryArray.from_arrays(rows["type"].astype(np.int8), list(TYPES)),
            "item_id": self._items(rows["item"]),
            "category": self._category(rows["item"]),
            "session_id": pa.DictionaryArray.from_arrays(session, sessions),
            "duration_s": rows["dwell"],
        }
        return pa.table(columns)

    def _review_table(self, reviews: dict[str, Ints], on: date) -> pa.Table:
        rows = _sorted(reviews)
        columns = {
            "user_id": user_ids(rows["user"]),
            "reviewed_at": _times(on, rows["time"]),
            "rating": rows["rating"],
            "item_id": self._items(rows["item"]),
        }
        return pa.table(columns)

    def _items(self, items: Ints) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(items.astype(np.int32), mask=items < 0), self._item_ids)

    def _category(self, items: Ints) -> pa.Array:
        places = (items // self._per_category).astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(places, mask=items < 0), self._category_names)


def _cumulative(weights: Any) -> Numbers:
    reached: Numbers = np.cumsum(weights, dtype=np.float64)
    reached /= reached[-1]
    return reached


def _sorted(rows: dict[str, Ints]) -> dict[str, Ints]:
    order = np.argsort(rows["time"], kind="stable")
    return {name: values[order] for name, values in rows.items()}


def _times(on: date, seconds: Ints) -> pa.Array:
    return pa.array(np.datetime64(on, "s") + seconds)
