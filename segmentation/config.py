"""The configuration file, and the part of it that can change a result: the recipe."""

import hashlib
import json
import os
import re
import tomllib
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from segmentation.action_rules import ActionRule, Actions, read_rules
from segmentation.errors import ConfigError
from segmentation.rules_settings import Rules
from segmentation.source_settings import Complete, Expectation, Options, Source, Sources, rising
from segmentation.tables import TABLES, Columns, Section
from segmentation.wrong_settings import explain

ENVIRONMENT_PREFIX = "SEGMENTATION__"


class Project(Section):
    name: str | None = Field(
        None,
        description="Whose store it is: two projects cannot share one. Without it: the name of this file, without .toml.",
    )
    timezone: str = Field("UTC", description="Whose midnight ends a day, and what times without an offset mean.")
    start: date | None = Field(None, description="First day that is published; earlier days only feed windows.")
    end: date | None = Field(None, description="Last day that is published.")
    data_folders: tuple[str, ...] = Field(
        (), description="If given: sources may only name files in these folders, or in this file's own."
    )
    settle_seconds: int = Field(
        120, ge=0, description="How long the log must have been quiet before Airflow reconciles stale days."
    )
    approval_days: int = Field(
        7,
        ge=1,
        le=365,
        description="How long Airflow waits for an answer to proposed segments; then they are rejected.",
    )

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"unknown time zone {value!r}; use a name such as 'UTC' or 'Europe/London'") from None
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"end ({self.end}) is before start ({self.start})")
        return self


class StoreSection(Section):
    url: str = Field("file:store", description="Where the history is kept: file:PATH, relative to this file.")


class Validation(Section):
    empty_days: Literal["refuse", "allow"] = Field("refuse", description="Whether a day without rows is published.")
    max_quarantined_share: float = Field(
        0.9, ge=0, le=1, description="A day with a larger share of quarantined rows is refused (critical)."
    )
    max_unknown_event_share: float = Field(
        0.5, ge=0, le=1, description="A day with a larger share of events of types that are not known is refused."
    )
    volume_ratio: tuple[float, float] = Field(
        (0.2, 5.0), description="Rows of a day over the mean of the four same weekdays before; outside it: a warning."
    )

    @field_validator("volume_ratio")
    @classmethod
    def _range(cls, value: tuple[float, float]) -> tuple[float, float]:
        return rising(value)


class Features(Section):
    window_days: int = Field(365, ge=1, le=3660, description="How many days back a feature looks, the day included.")
    returns: Literal["net", "exclude"] = Field(
        "net", description="Whether returns reduce the amounts (net) or are left out (exclude)."
    )


OR_AUTO = {  # what to give where it is a value of one kind or 'auto'
    "segments": "a whole number from 2 to 50, or 'auto'",
    "features": "a list of 1 to 8 features, or 'auto'",
    "eps": "a number above 0, or 'auto'",
    "min_samples": "a whole number above 1, or 'auto'",
}


class Clustering(Section):
    algorithm: Literal["kmeans", "dbscan", "hdbscan"] = Field("kmeans", description="How users are grouped.")
    segments: Annotated[int, Field(ge=2, le=50)] | Literal["auto"] = Field(
        "auto", description="How many segments; auto: as many as the data shows again and again (K-means only)."
    )
    features: Literal["auto"] | tuple[str, ...] = Field(
        "auto", description="The features that the segments are made of, at most 8; auto: see `segmentation features`."
    )
    min_segments: int = Field(2, ge=1, le=50, description="The fewest segments that segments = auto takes.")
    max_segments: int = Field(10, ge=2, le=50, description="The most that it tries.")
    min_users: int = Field(
        100, ge=1, description="With fewer users than this no number of segments is chosen, and no model is replaced."
    )
    min_days: int = Field(
        7,
        ge=1,
        description="Likewise with fewer days that have rows in the window (all of its days, if it is shorter).",
    )
    eps: Literal["auto"] | Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        "auto", description="DBSCAN: how near users of one segment are, in standard deviations; auto: from the data."
    )
    min_samples: Literal["auto"] | Annotated[int, Field(ge=2)] = Field(
        "auto", description="DBSCAN, HDBSCAN: how many users within reach make one a core; auto: from the data."
    )
    sample_users: int = Field(30_000, ge=100, description="The model is fitted on at most this many users.")
    seed: int = Field(0, ge=0, le=2**31, description="Seed of the fit.")

    @field_validator(*OR_AUTO, mode="wrap")
    @classmethod
    def _either(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        # One sentence: of such a value pydantic says for each kind what it is not.
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"give {OR_AUTO[str(info.field_name)]}") from None

    @field_validator("features")
    @classmethod
    def _few(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(value, tuple) and not 1 <= len(set(value)) == len(value) <= 8:
            raise ValueError(f"name 1 to 8 different features, not {len(value)}: {', '.join(value)}")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.min_segments > self.max_segments:
            raise ValueError(f"min_segments ({self.min_segments}) is above max_segments ({self.max_segments})")
        if self.algorithm != "kmeans" and self.segments != "auto":
            raise ValueError(
                f"segments = {self.segments}: {self.algorithm} finds their number itself; leave it out, or set it to 'auto'"
            )
        return self

    def check_written(self) -> None:
        """Raise ValueError for a setting that would have no effect beside another one; a bound only if it was written."""
        if self.algorithm != "dbscan" and self.eps != "auto":
            raise ValueError(
                f"eps = {self.eps} is for DBSCAN, and algorithm = {self.algorithm!r}: "
                "set algorithm = 'dbscan', or leave eps out"
            )
        if self.algorithm == "kmeans" and self.min_samples != "auto":
            raise ValueError(
                f"min_samples = {self.min_samples} is for DBSCAN and HDBSCAN, and algorithm = 'kmeans': "
                "set algorithm = 'dbscan' or 'hdbscan', or leave min_samples out"
            )
        if self.segments == "auto":
            return
        for name, beyond, outside in (
            ("min_segments", "below", self.segments < self.min_segments),
            ("max_segments", "above", self.segments > self.max_segments),
        ):
            if outside and name in self.model_fields_set:
                raise ValueError(
                    f"segments = {self.segments} is {beyond} {name} ({getattr(self, name)}), which bounds 'auto' alone: "
                    f"leave {name} out, or set segments = 'auto'"
                )


class Adjustment(Section):
    move_points: int = Field(11_500, ge=1, description="Thousandths of a point at which a user moves.")
    return_points: int = Field(18_000, ge=1, description="The same, back to the segment left lately.")
    return_days: int = Field(28, ge=0, description="How many days 'lately' is.")
    margin_weight: int = Field(
        4, ge=0, description="Points a date earns beyond 1 when the challenger is at distance 0."
    )

    evaluate_every_days: int = Field(7, ge=1, description="How often the model is held against the data.")
    challenge_every_days: int = Field(91, ge=1, description="How often another model is fitted without any alarm.")
    far_share: float = Field(
        0.02,
        ge=0.01,
        le=1,
        description="Share of users far from all segments at which a challenge is due; 1 % always are.",
    )
    drift_distance: float = Field(
        0.1, gt=0, description="Wasserstein distance, in reference standard deviations, below which nothing drifts."
    )
    smoothing: float = Field(
        0.5, ge=0, lt=1, description="Weight of the old centres in an update; 0: the centres of today's data."
    )
    max_centre_shift: float = Field(
        0.25,
        gt=0,
        description="How far updates may take a centre from where it was founded, in standard deviations; "
        "beyond, a segment that came within the last window is founded anew.",
    )
    ask_above: float = Field(
        0.25,
        ge=0,
        le=1,
        description="A restructure that reassigns a larger share of users or of revenue is proposed, not adopted.",
    )
    ask_again_days: int = Field(28, ge=1, description="How long the same proposal is not made again.")

    def check_written(self) -> None:
        """Raise ValueError for settings that contradict each other."""
        if self.move_points > self.return_points:
            raise ValueError(
                f"move_points ({self.move_points}) is above return_points ({self.return_points}): users would come back to a "
                f"segment sooner than leave it; set return_points to {self.move_points} or more, or lower move_points"
            )
        if self.challenge_every_days < self.evaluate_every_days:
            raise ValueError(
                f"challenge_every_days ({self.challenge_every_days}) is below "
                f"evaluate_every_days ({self.evaluate_every_days}): "
                "another model is fitted on evaluation days only; raise the one, or lower the other"
            )


class Recipe(Section):
    """The part of the configuration that can change a result. Its hash names it for ever."""

    timezone: str
    columns: dict[str, dict[str, str]]
    options: dict[str, dict[str, Any]]
    queries: dict[str, str]
    expectations: dict[str, list[dict[str, Any]]]
    features: Features
    clustering: Clustering
    adjustment: Adjustment
    rules: Rules = Rules()
    actions: tuple[ActionRule, ...] = ()

    def document(self) -> dict[str, Any]:
        """The recipe as plain values, for JSON."""
        return self.model_dump(mode="json")

    @property
    def hash(self) -> str:
        return _hash(self.document())

    @cached_property  # asked for by every accepted day
    def reading(self) -> str:
        """Hash of the sections that a day's rows are read and split by."""
        document = self.model_dump(mode="json", exclude={"features", "clustering", "adjustment", "rules", "actions"})
        return _hash(document)


class Config(Section):
    """One project: what to read, where to keep it, how to segment. `root` is the folder that paths are relative to."""

    root: Path = Field(Path("."), exclude=True)
    file_name: str | None = Field(None, exclude=True)
    project: Project = Project()
    store: StoreSection = StoreSection()
    sources: Sources
    validation: Validation = Validation()
    features: Features = Features()
    clustering: Clustering = Clustering()
    adjustment: Adjustment = Adjustment()
    rules: Rules = Rules()
    actions: Actions = Actions()

    # Of what is written only: a recipe or model that a history keeps holds every value, and an earlier version took these.
    @field_validator("clustering", "adjustment")
    @classmethod
    def _agreeing(cls, value: Clustering | Adjustment) -> Clustering | Adjustment:
        value.check_written()
        return value

    def recipe(self) -> Recipe:
        """What of this can change a result. Not in it is what decides when a day is read or whether it is let pass.

        Raises ConfigError for a file of actions that is wrong.
        """
        sources = self.sources.tables()
        return Recipe(
            timezone=self.project.timezone,
            columns={table: source.columns.named() for table, source in sources.items()},
            options={
                table: source.options.model_dump(mode="json", exclude={"lookback_days"})
                for table, source in sources.items()
            },
            queries={table: source.sql for table, source in sources.items() if source.sql},
            expectations={
                table: [expectation.model_dump(mode="json") for expectation in source.expectations]
                for table, source in sources.items()
                if source.expectations
            },
            features=self.features,
            clustering=self.clustering,
            adjustment=self.adjustment,
            rules=self.rules,
            actions=read_rules(self.root / self.actions.file if self.actions.file else None),
        )

    def deadline(self, day: date) -> datetime:
        """Until when a day that is not complete is asked for again: the latest of its sources' deadlines."""
        ends = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(self.project.timezone))
        return ends + timedelta(
            hours=max(
                source.complete.deadline_hours for source in self.sources.activity().values() if source.complete.asked
            )
        )

    @property
    def name(self) -> str | None:
        """Whose store it is; None where there is no file to be called after."""
        return self.project.name or self.file_name

    def places(self) -> dict[str, list[str]]:
        """Where each table's rows are: what its source names."""
        found = {}
        for table, source in self.sources.tables().items():
            paths = (str(self.root.resolve() / path) for path in source.paths)
            named = [source.sql, source.connection, source.sample, *paths]
            found[table] = [place for place in named if place]
        return found

    def store_path(self) -> Path:
        """The folder of the store.

        Raises ConfigError when the URL is of a kind that this version does not write to.
        """
        scheme, _, rest = self.store.url.partition(":")
        if scheme != "file" or not rest:
            raise ConfigError(
                f"[store] url = {self.store.url!r}: this version keeps its store on local disk; write file:PATH"
            )
        return (self.root / rest.removeprefix("//")).resolve()


def connection_variable(connection: str) -> str:
    """The environment variable that holds the URL of a database connection."""
    return "SEGMENTATION_CONNECTION_" + re.sub(r"[^A-Z0-9]", "_", connection.upper())


def _hash(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def load(path: Path | str, environment: dict[str, str] | None = None) -> Config:
    """Read a TOML configuration; `SEGMENTATION__SECTION__KEY` variables override single settings.

    Raises ConfigError naming the file, the setting, what was found and what to do.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration file {path}; name one with --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    _override(document, os.environ if environment is None else environment)
    try:
        return Config(**document, root=path.resolve().parent, file_name=path.stem)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(path, Config, dict(problem)) for problem in error.errors())) from None
    except TypeError as error:
        raise ConfigError(f"{path}: {error}") from None


def _override(document: dict[str, Any], environment: Any) -> None:
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        *sections, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        place = document
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"the environment's {name}: {section} is no section but a setting; name one setting")
        try:
            place[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            place[key] = text


def reference() -> str:
    """Every setting with its type, default and description, as Markdown (docs/configuration.md)."""
    lines = [
        "# Configuration",
        "",
        "One TOML file, `segmentation.toml`. Paths are relative to it. An unknown setting is an error. A setting can be given",
        f"by the environment too: `{ENVIRONMENT_PREFIX}STORE__URL=file:/data/store` overrides `[store] url`.",
        "",
        "`[sources.orders]`, `[features]`, `[clustering]`, `[adjustment]`, `[rules]`, the file of `[actions]` and the time",
        "zone change results. A change of them",
        "is recorded in the history and counts from the day after the latest published one; earlier days that are read again",
        "are read as before. With a change of `[features]` or `[clustering]` comes a new model; the segments keep their ids",
        "where they live on. `segmentation reconcile --recipe current --from DAY` restates days that are published, and",
        "`segmentation plan` shows before what that would change. The time zone can only be changed so, from the first day on.",
        "`[validation]` and `lookback_days` count at once: they decide whether and when rows are taken, not what they become.",
    ]
    sections: list[tuple[str, type[BaseModel]]] = [
        ("project", Project),
        ("store", StoreSection),
        ("sources.TABLE", Source),
        *((f"sources.{table}.columns", columns) for table, columns in TABLES.items()),
        ("sources.TABLE.options", Options),
        ("sources.TABLE.complete", Complete),
        ("sources.TABLE.expectations", Expectation),
        ("validation", Validation),
        ("features", Features),
        ("clustering", Clustering),
        ("adjustment", Adjustment),
        ("rules", Rules),
        ("actions", Actions),
    ]
    for name, model in sections:
        lines += ["", f"## [{name}]", ""]
        if issubclass(model, Columns):
            kinds = (f"`{column}` ({kind})" for column, kind in model.kinds().items())
            lines += [str(model.__doc__), "", ", ".join(kinds), "", f"Needed: {', '.join(model.REQUIRED)}."]
            continue
        lines += ["| setting | default | meaning |", "|---|---|---|"]
        for key, field in model.model_fields.items():
            if field.description:
                default = "" if field.is_required() or field.default is None else json.dumps(field.default, default=str)
                lines.append(f"| `{key}` | {f'`{default}`' if default else ''} | {field.description} |")
    return "\n".join(lines) + "\n"
