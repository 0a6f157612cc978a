"""What is to be read for some days: the recipe in force, the days that lack something, and the list of their slices."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from segmentation import action_rules
from segmentation.config import Config, Recipe
from segmentation.contracts import expectations
from segmentation.errors import ConfigError, NoRowsError, NotYetError, SegmentationError
from segmentation.features.catalogue import CATALOGUE, check_names
from segmentation.features.limits import reachable
from segmentation.sources.listing import Listing, Looked
from segmentation.store.derivations import Derivations
from segmentation.store.names import segments_ever
from segmentation.store.recipes import record_recipe
from segmentation.store.state import State
from segmentation.store.store import Store, open_store
from segmentation.tables import ACTIVITY


def recorded(config: Config, store: Store) -> State:
    """The state, with the configuration's recipe in force from the day after the latest published one.

    Raises ConfigError for a recipe that is wrong, or that the history cannot go on with.
    """
    recipe = config.recipe()
    expectations.check(recipe)
    check_names(config.clustering)
    check_actions(config, recipe, known_segments(config))
    return record_recipe(config, store)


def check_actions(config: Config, recipe: Recipe, segments: Sequence[str]) -> None:
    """Raise ConfigError for a rule of actions that names what there never was; and for one in a file of the team's own that no
    user of this shop can meet. Those that come with the program are for any shop."""
    action_rules.check_names(recipe.actions, list(CATALOGUE), segments)
    if config.actions.file is None:
        return
    tables, days = config.sources.tables(), recipe.features.window_days
    for rule in recipe.actions:
        where = f"[actions] action {rule.name!r} can never fire:"
        for name in [*rule.segment, *rule.user]:
            for table in sorted({need.partition(".")[0] for need in CATALOGUE[name].needs} - set(tables)):
                raise ConfigError(f"{where} {name} needs [sources.{table}], which there is none of")
        for name, wanted in rule.user.items():
            if not reachable(name, days, wanted.min, wanted.max):
                ends = {key: value for key, value in (("min", wanted.min), ("max", wanted.max)) if value is not None}
                raise ConfigError(
                    f"{where} in a window of {days} days no user's {name} ({CATALOGUE[name].unit}) fits {ends}"
                )


def known_segments(config: Config) -> list[str]:
    """The ids that a rule of actions may name: of any day, so that no rule is wrong because its segment has ended, and those
    that became others."""
    if not config.store_path().is_dir():
        return []
    store = open_store(config)
    state = store.state()
    return sorted({*segments_ever(store, state), *(alias.old for alias in state.aliases)})


def check_day(config: Config, day: date) -> None:
    start, end = config.project.start, config.project.end
    if start and day < start:
        raise ConfigError(
            f"{day} is before [project] start = {start}: the history begins there; earlier days only feed it (to have one "
            "read again, set lookback_days of its source so that a day that you run reaches it)"
        )
    if end and day > end:
        raise ConfigError(f"{day} is after [project] end = {end}: the history ends there")


def days_to_read(config: Config, state: State, days: Iterable[date], first: date) -> list[date]:
    """Those of the days that are not accepted yet, were read by another recipe, or are within the look-back of `first`; and
    the accepted days within it."""
    store = open_store(config)
    lookback = timedelta(days=max(source.options.lookback_days for source in config.sources.activity().values()))
    readings = {name: store.recipe(name).reading for name in {recipe.hash for recipe in state.recipes}}

    def is_read(day: date) -> bool:
        accepted = state.accepted.get(day)
        return accepted is not None and accepted.reading == readings[str(state.recipe_on(day))]

    again = (day for day in state.accepted if first - lookback <= day <= first)
    return [day for day in sorted({*days, *again}) if day >= first - lookback or not is_read(day)]


def read_days(
    config: Config, days: Iterable[date], by_date: set[date], looked: Looked | None = None
) -> tuple[dict[str, Any], dict[date, SegmentationError]]:
    """List the slices of the given days, those left out that are accepted from exactly these slices already.

    Returns the name of the list (kept in raw/reads/) with the raw rows of the days in `by_date` and warnings; and, of these
    days, why one must not be published: it has no rows and must have some, or it or a day of its window is not complete. A
    day that was accepted with rows keeps them; of the days that are not complete nothing is listed. looked: what is known of
    the sources already, which are not looked at again for it.
    """
    store = open_store(config)
    state = store.state()
    days = list(days)
    listing = listing_of(config, store, state, days, looked)
    reads = {}
    rows = 0
    refused: dict[date, SegmentationError] = {}
    half: dict[date, str] = {}  # what is not complete
    start = config.project.start or min(state.published, default=date.max)
    # The latest first: a new file must fit the latest recipe, and not be known already as an older one reads it.
    for day in sorted(days, reverse=True):
        accepted = state.accepted.get(day)
        recipe = str(state.recipe_on(day))
        if day in by_date and (waiting := listing.unmarked(day)):
            half[day] = waiting
            continue
        tables = listing.tables(day, recipe)
        there = sum(sum(files.values()) for files in files_of(tables).values())
        # Days before the first one only feed windows; of a day without rows nothing half can be taken.
        asked = day in by_date or (there and day >= start)
        if asked and (waiting := listing.not_yet(day, recipe, tables)):
            half[day] = waiting
            continue
        if day in by_date:
            rows += there
            if not (there or (accepted and accepted.has_users) or config.validation.empty_days == "allow"):
                refused[day] = NoRowsError(
                    f"{day} has no rows in {listing.places}{listing.undated}; if a day without rows is right for this shop, "
                    'set [validation] empty_days = "allow" and run the day again'
                )
        if accepted and accepted.reading == store.recipe(recipe).reading and accepted.files == files_of(tables):
            continue
        reads[day.isoformat()] = {
            "tables": tables,
            "recipe": recipe,
            "instead_of": accepted.hash if accepted else None,
        }
    warnings = [
        f"{day} kept its earlier rows: it is not complete yet: {waiting}"
        for day, waiting in sorted(half.items())
        if day in state.accepted and state.accepted[day].has_users
    ]
    derivations = Derivations(state, store.recipe)
    for day in sorted(by_date) if half else ():
        lacking = [other for other in derivations.window(day) if other in half and other not in state.accepted]
        if day in half:
            refused[day] = NotYetError(f"{day} is not complete yet: {half[day]}")
        elif lacking:
            refused[day] = NotYetError(
                f"{day} needs {lacking[0]}, which is not complete yet: {half[lacking[0]]} (if it never will be: days before "
                "[project] start are taken as they are)"
            )
    warnings += listing.warnings(by_date - refused.keys())
    return {"read": store.put_named("raw/reads", {"days": reads}), "rows": rows, "warnings": warnings}, refused


def listing_of(
    config: Config, store: Store, state: State, days: Iterable[date], looked: Looked | None = None
) -> Listing:
    recipes = {name: store.recipe(name) for name in state.recipes_in_force()}
    return Listing(config, store.objects, state, recipes, days, looked)


def files_of(tables: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Of a listed day: table → key of the raw file index → its rows of the day; as `AcceptedDay.files`."""
    return {name: listed["files"] for name, listed in tables.items() if name in ACTIVITY}
