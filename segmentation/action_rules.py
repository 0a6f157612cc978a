"""What to do for whom: the file of `[actions]`, a list of rules. The first rule that a user meets gives his action."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from segmentation.errors import ConfigError, nearest
from segmentation.tables import Section

SHIPPED = "actions.toml"
NAME = r"^[^\W\d_]\w*$"  # in any script
Level = Literal["high", "low"]
Status = Literal["entered", "stayed", "moved", "reassigned", "reactivated"]
Cause = Literal["behaviour", "ageing", "model"]


class Actions(Section):
    file: str | None = Field(
        None, description="The rules, a TOML file relative to this one; without it those that come with the program."
    )


class Range(Section):
    """Of a feature: at least `min`, at most `max`. A user of whom it is not known is outside."""

    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give min, max, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"nothing is at least {self.min:g} and at most {self.max:g}: the rule can never fire")
        return self

    def holds(self, other: "Range") -> bool:
        """Whether all that is in the other range is in this one."""
        low = self.min is None or (other.min is not None and other.min >= self.min)
        return low and (self.max is None or (other.max is not None and other.max <= self.max))


class ActionRule(Section):
    name: str = Field(pattern=NAME, description="What the action is called.")
    offer: str = Field(pattern=NAME, description="What the user gets, such as coupon, loyalty_points or free_trial.")
    segment: dict[str, Level] = Field(
        {}, description="Features in which the user's segment is high or low beside all others (see `profiles`)."
    )
    segments: tuple[str, ...] = Field((), description="Or the ids of segments.")
    user: dict[str, Range] = Field({}, description="The user's own features, such as recency = { min = 30 }.")
    status: tuple[Status, ...] = Field((), description="What happened to him on the day.")
    moved: Literal["up", "down"] | None = Field(
        None, description="His last move was to a segment that is worth more, or less, per user."
    )
    cause: tuple[Cause, ...] = Field((), description="Why he moved.")
    within_days: int | None = Field(None, ge=1, description="In the segment since at most so many days.")
    needs_consent: bool = Field(True, description="Only users whose `marketing_consent` is true, where it is known.")
    cooldown_days: int = Field(0, ge=0, le=3660, description="Given again after so many days; 0: once while it holds.")
    not_after: dict[str, int] = Field({}, description="Not for so many days after another action was given.")
    max_users: int | None = Field(None, ge=1, description="At most so many users have it, those who spend most first.")

    @field_validator("not_after")
    @classmethod
    def _positive(cls, value: dict[str, int]) -> dict[str, int]:
        for name, days in value.items():
            if not 1 <= days <= 3660:
                raise ValueError(f"{name} = {days}: give 1 to 3660 days")
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.status == ("entered",) and (self.moved or self.cause):
            raise ValueError('status = ["entered"] and a move contradict each other: who entered has not moved')
        if self.status == ("stayed",) and self.within_days == 1:
            raise ValueError(
                'status = ["stayed"] and within_days = 1 contradict each other: who is there since today has not stayed'
            )
        by = {"moved": {"behaviour", "ageing"}, "reassigned": {"model"}}  # a move of the day
        causes = set[str]().union(*(by.get(one, set(get_args(Cause))) for one in self.status))
        if self.status and self.cause and not causes & set(self.cause):
            raise ValueError(
                f"status = {list(self.status)} and cause = {list(self.cause)} contradict each other: reassigned is whom the "
                "model moved, moved whom it did not"
            )
        return self

    def covers(self, other: "ActionRule") -> bool:
        """Whether whoever meets the other rule gets this one's action, on every day."""
        if self.max_users or self.cooldown_days or self.not_after or (self.needs_consent and not other.needs_consent):
            return False
        return (
            all(other.segment.get(name) == level for name, level in self.segment.items())
            and (not self.segments or _within(other.segments, self.segments))
            and all(name in other.user and kept.holds(other.user[name]) for name, kept in self.user.items())
            and (set(self.status) in (set(), set(get_args(Status))) or _within(other.status, self.status))
            and self.moved in (None, other.moved)
            and (not self.cause or _within(other.cause, self.cause))
            and (self.within_days is None or (other.within_days or 10_000_000) <= self.within_days)
        )


def _within(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether a condition that asks for some of these asks for some of the others."""
    return bool(some) and set(some) <= set(others)


class ActionFile(Section):
    actions: tuple[ActionRule, ...] = ()


def read_rules(path: Path | None) -> tuple[ActionRule, ...]:
    """The rules in the file, or those that come with the program, in their order.

    Raises ConfigError naming the file, the rule and the setting for what cannot be read, is not known, contradicts itself, can
    never fire, or waits for itself.
    """
    name = str(path) if path else SHIPPED
    try:
        text = path.read_text("utf-8") if path else files("segmentation").joinpath(SHIPPED).read_text("utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"[actions] there is no file {name}") from None
    except OSError as error:
        raise ConfigError(f"[actions] {name} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"[actions] {name} is not valid TOML: {error}") from None
    try:
        rules = ActionFile(**document).actions
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(name, document, dict(problem)) for problem in error.errors())) from None
    except TypeError as error:
        raise ConfigError(f"[actions] {name}: {error}") from None
    for place, rule in enumerate(rules):
        _check(f"{name}: action {rule.name!r}", rule, rules[:place], rules)
    _check_cycles(name, rules)
    return rules


def check_names(rules: Sequence[ActionRule], features: Sequence[str], segments: Sequence[str]) -> None:
    """Raise ConfigError for a rule that names a feature or a segment that there never was, with the nearest."""
    for rule in rules:
        for feature in [*rule.segment, *rule.user]:
            if feature not in features:
                raise ConfigError(
                    f"[actions] action {rule.name!r}: {feature!r} is not a feature; {nearest(feature, features)}"
                )
        for segment in rule.segments:
            if segment not in segments:
                known = nearest(segment, segments) if segments else "there is none yet: add the rule when there are"
                raise ConfigError(f"[actions] action {rule.name!r}: {segment!r} is not a segment; {known}")


def _check(where: str, rule: ActionRule, before: Sequence[ActionRule], rules: Sequence[ActionRule]) -> None:
    names = [other.name for other in rules]
    for other in rule.not_after:
        if other not in names:
            raise ConfigError(f"{where}: not_after names {other!r}, which is no action; {nearest(other, names)}")
    for earlier in before:
        if earlier.name == rule.name:
            raise ConfigError(f"{where} is there twice: give each a name of its own")
        if earlier.covers(rule):
            raise ConfigError(
                f"{where} can never fire: everyone who meets it gets {earlier.name!r}, which stands before it and asks for "
                "less; put it before that one, or take one of them out"
            )


def _check_cycles(name: str, rules: Sequence[ActionRule]) -> None:
    waits = {rule.name: set(rule.not_after) for rule in rules}
    for start in waits:
        ahead, seen = set(waits[start]), set[str]()
        while ahead:
            other = ahead.pop()
            if other == start:
                told = f" (through {', '.join(sorted(seen))})" if seen else ""
                raise ConfigError(
                    f"{name}: action {start!r} waits for itself by not_after{told}: whichever comes first would stop the "
                    "other for ever; let only one of them wait (for the same action again: cooldown_days)"
                )
            if other not in seen:
                seen.add(other)
                ahead |= waits[other]


def _explain(name: str, document: dict[str, Any], problem: dict[str, Any]) -> str:
    where = list(problem["loc"])
    rule = ""
    if len(where) > 1 and isinstance(where[1], int):
        found = document["actions"][where[1]]
        called = found.get("name") if isinstance(found, dict) else None
        rule = f"action {called!r}: " if called else f"action {where[1] + 1}: "
    setting = ".".join(str(part) for part in where[2:]) or str(where[0] if where else "")
    if problem["type"] == "extra_forbidden":
        known = list(ActionRule.model_fields) if rule and len(where) == 3 else ["min", "max"] if rule else ["actions"]
        return f"{name}: {rule}{setting} is not a known setting; {nearest(str(where[-1]), known)}"
    if problem["type"] == "missing":
        return f"{name}: {rule}{setting} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and isinstance(problem["input"], dict):
        told = setting if len(where) > 2 else ""
        return f"{name}: {rule}{told + ': ' if told else ''}{message}"
    return f"{name}: {rule}{setting} = {problem['input']!r}: {message}"
