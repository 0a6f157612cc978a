"""What a scenario can say: the shop, the kinds of its users, and what happens on which day. One TOML file each.

`reference` prints all of it (examples/simulated/SCENARIOS.md).
"""

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self, get_args

import numpy as np
from pydantic import BaseModel, Field, ValidationError, model_validator

from segmentation.errors import ConfigError, did_you_mean
from segmentation.simulation.happenings import (
    GONE,
    LEVELS,
    AnyHappening,
    Levels,
    Mean,
    Numbers,
    PriceRise,
    Section,
    Share,
)

WEEK = 7
FromOne = Annotated[float, Field(ge=1, le=1000)]
SHARES = ("searches", "carts", "discounted", "returned", "reviewed")  # of the levels, those that are at most 1
TYPES = {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(AnyHappening)}
REFERENCE = "examples/simulated/SCENARIOS.md"


class Shop(Section):
    """What is sold, and how."""

    items_per_category: int = Field(100, ge=2, le=100_000, multiple_of=2, description="Items of a category (even).")
    zipf: float = Field(1.0, ge=0, le=3, description="Popularity of a category's n-th item: 1 / n to this power.")
    together: Share = Field(
        0.3, description="Chance that an item is followed by its companion (1st and 2nd, 3rd and 4th …)."
    )
    taste: Share = Field(0.5, description="Chance that an item is of the user's favourite category.")
    discount: Share = Field(
        0.2, description="Share of the price that a discount takes off, in the mean (half to 1.5 times)."
    )
    currency: str = Field("EUR", min_length=3, max_length=3, description="The currency of all amounts.")


class Category(Section):
    """Items of one category."""

    price: float = Field(gt=0, le=100_000, description="The typical (median) price of its items.")


class Kind(Section):
    """Users of one kind. Rates are per user and day, in the mean over users and weekdays."""

    share: Share = Field(0.0, description="Share of the users that are there on the first day; together 1.")
    arrivals: Share = Field(0.0, description="Users who sign up per day, as a share of the users of the first day.")
    orders: Mean = Field(description="Orders; each ends a session.")
    sessions: Mean = Field(description="Sessions without an order.")
    spread: float = Field(0.4, gt=0, le=3, description="Coefficient of variation of personal rates (gamma).")
    weekdays: tuple[float, ...] = Field(
        (1,) * WEEK, min_length=WEEK, max_length=WEEK, description="Weights of Monday … Sunday; only ratios count."
    )
    lines: FromOne = Field(3, description="Lines of an order.")
    quantity: FromOne = Field(1.2, description="Quantity of a line.")
    views: Mean = Field(
        3, description="Items looked at in a session beyond those bought (without an order: beyond one)."
    )
    searches: Share = Field(0.3, description="Share of sessions that begin with a search.")
    carts: Share = Field(0.1, description="In sessions without an order: share of the viewed items put into the cart.")
    dwell: Mean = Field(40, description="Seconds that an item is looked at.")
    discounted: Share = Field(0.1, description="Share of lines bought at a discount.")
    returned: Share = Field(0.02, description="Share of lines that are returned, 3 to 14 days later.")
    reviewed: Share = Field(0.05, description="Share of lines that are reviewed, 1 to 10 days later.")
    rating: float = Field(4.2, ge=1, le=5, description="Rating of a review, before rounding and ± 1 of chance.")
    categories: dict[str, float] = Field({}, description="Category → weight; none given: all alike.")
    moves: dict[str, Share] = Field({}, description="Kind → chance per day of becoming it (`gone`: never comes again).")
    after_order: dict[str, Share] = Field({}, description="Kind → chance of becoming it the day after an order.")
    consent: Share = Field(0.6, description="Share with marketing consent.")
    excluded: bool = Field(False, description="Whether the team named these users (staff, bots) as excluded.")

    @model_validator(mode="after")
    def _sane(self) -> Self:
        for key in ("moves", "after_order"):
            if sum(getattr(self, key).values()) > 1:
                raise ValueError(f"{key} adds up to {sum(getattr(self, key).values()):g}; a chance is at most 1")
        for key, weights in (("weekdays", self.weekdays), ("categories", tuple(self.categories.values()) or (1,))):
            if min(weights) < 0 or sum(weights) == 0:
                raise ValueError(f"{key}: weights must be 0 or more, and not all 0")
        return self


class Scenario(Section):
    """A whole scenario. `extends` names another whose settings hold where this one gives none."""

    description: str = Field(description="What it is, in a sentence.")
    shop: Shop = Shop()
    categories: dict[str, Category] = Field(min_length=1, description="What is sold: at least one category.")
    kinds: dict[str, Kind] = Field(min_length=1, max_length=100, description="The kinds of users: at least one.")
    happenings: tuple[Annotated[AnyHappening, Field(discriminator="type")], ...] = Field(
        (), description="What happens, and when."
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if GONE in self.kinds:
            raise ValueError(f"[kinds.{GONE}] is taken: it is the kind of those who never come again")
        for name, kind in self.kinds.items():
            _all_known(f"[kinds.{name}] categories", kind.categories, self.categories)
            for key in ("moves", "after_order"):
                _all_known(f"[kinds.{name}] {key}", getattr(kind, key), self.names)
        for number, happening in enumerate(self.happenings, 1):
            _all_known(f"[[happenings]] {number}", happening.named(), self.names)
            if isinstance(happening, PriceRise):
                _all_known(f"[[happenings]] {number} categories", happening.categories, self.categories)
        total = sum(kind.share for kind in self.kinds.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"[kinds.*] share adds up to {total:g}; the kinds of the first day must add up to 1")
        return self

    @property
    def names(self) -> list[str]:
        """The kinds, `gone` first: a kind's place in it is its number."""
        return [GONE, *self.kinds]

    def numbers(self, key: str) -> Numbers:
        """A setting of all kinds, in the order of `names`; 0 for `gone`."""
        return np.array([0.0, *(getattr(kind, key) for kind in self.kinds.values())])

    def levels(self, day: int, weekday: int) -> Levels:
        """Level → its value on a day for each kind, and `due`: the share of due returns and reviews that come."""
        levels = {name: self.numbers(name) for name in LEVELS} | {"due": np.ones(len(self.names))}
        weekdays = [1.0, *(WEEK * kind.weekdays[weekday] / sum(kind.weekdays) for kind in self.kinds.values())]
        for name in ("orders", "sessions"):
            levels[name] *= weekdays
        for happening in self.happenings:
            happening.change(day, levels, self.names)
        for name in SHARES:
            np.minimum(levels[name], 1, out=levels[name])
        for name in ("lines", "quantity"):
            np.maximum(levels[name], 1, out=levels[name])
        return levels

    def prices(self, day: int) -> Numbers:
        """What the prices of each category are multiplied by on a day."""
        factors = [[happening.price(day, name) for happening in self.happenings] for name in self.categories]
        return np.array([np.prod(row) for row in factors])


def _all_known(where: str, names: Any, known: Any) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{where}: there is no {name!r}{_near(name, known)}")


def _near(name: str, known: Any) -> str:
    return "; " + (did_you_mean(name, known) or f"there are: {', '.join(known)}")


def shipped() -> list[str]:
    """The names of the scenarios that come with the package."""
    folder = files("segmentation.simulation").joinpath("scenarios")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load(name: str) -> Scenario:
    """A scenario by its name, or from a file (a name with .toml).

    Raises ConfigError naming the file, the setting, what was found and what to do.
    """
    document = _document(name, Path(), ())
    try:
        return Scenario(**document)
    except ValidationError as error:
        raise ConfigError("\n".join(f"scenario {name}: {_explain(dict(one))}" for one in error.errors())) from None


def _document(name: str, folder: Path, path: tuple[str, ...]) -> dict[str, Any]:
    if name.endswith(".toml"):
        file: Any = folder / name
        if not file.is_file():
            raise ConfigError(f"there is no scenario file {file}; the scenarios that need none: {', '.join(shipped())}")
    elif name in shipped():
        file = files("segmentation.simulation").joinpath("scenarios", f"{name}.toml")
    else:
        raise ConfigError(f"there is no scenario {name!r}{_near(name, shipped())} (a file's name ends with .toml)")
    if str(file) in path:
        raise ConfigError(f"scenario {name} extends itself: {' → '.join([*path, str(file)])}")
    try:
        document: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"scenario {name} is not valid TOML: {error}") from None
    base = document.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise ConfigError(f"scenario {name}: extends = {base!r} is not the name of a scenario")
    return _merged(_document(base, Path(str(file)).parent, (*path, str(file))), document)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in own.items():
        there = both.get(key)
        both[key] = _merged(there, value) if isinstance(there, dict) and isinstance(value, dict) else value
    return both


def _explain(problem: dict[str, Any]) -> str:
    where = [str(part) for part in problem["loc"]]
    if where[:1] == ["happenings"] and len(where) > 1:
        # Behind the number is the type, which the file says itself.
        setting = " ".join([f"[[happenings]] {int(where[1]) + 1}", *where[3:]])
    elif len(where) > 1 and isinstance(problem["input"], dict) and problem["type"] == "value_error":
        setting = f"[{'.'.join(where)}]"  # about the whole section
    elif len(where) > 1:
        setting = f"[{'.'.join(where[:-1])}] {where[-1]}"
    else:
        setting = "".join(where)
    if problem["type"] == "extra_forbidden":
        return f"{setting} is not a known setting; {REFERENCE} has them all"
    if problem["type"] == "missing":
        return f"{setting} is missing"
    if problem["type"].startswith("union_tag"):
        tag = str(problem.get("ctx", {}).get("tag", ""))
        return f"{setting} type = {tag!r} is nothing that can happen{_near(tag, TYPES)}"
    message = problem["msg"].removeprefix("Value error, ")
    plain = setting and not isinstance(problem["input"], dict | list | tuple)
    return f"{setting} = {problem['input']!r}: {message}" if plain else f"{setting}: {message}" if setting else message


def reference() -> str:
    """Everything that a scenario can say, as Markdown (examples/simulated/SCENARIOS.md)."""
    lines = [
        "# Scenarios",
        "",
        "A scenario is a TOML file: `segmentation simulate --scenario mine.toml`. An unknown setting is an error.",
        '`extends = "stationary"` takes from another scenario (a name, or a file beside this one) what is not given here; up',
        "to the first happening the data of the two are then the same.",
        "",
        f"Those that come with the package: {', '.join(shipped())}.",
    ]
    places: dict[str, type[BaseModel]] = {"The top": Scenario, "[shop]": Shop, "[categories.NAME]": Category}
    places["[kinds.NAME]"] = Kind
    for place, model in (places | {f'[[happenings]] type = "{name}"': kind for name, kind in TYPES.items()}).items():
        lines += ["", f"## {place}", "", str(model.__doc__), "", "| setting | default | meaning |", "|---|---|---|"]
        for key, field in model.model_fields.items():
            if field.description:
                default = "needed" if field.is_required() else f"`{json.dumps(field.default)}`"
                lines.append(f"| `{key}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"
