"""Which recipe is in force: a changed configuration becomes a record of the log and restates nothing by itself."""

from datetime import date
from typing import Any

from segmentation.config import Config, Recipe
from segmentation.dates import ONE_DAY
from segmentation.errors import ConfigError
from segmentation.store.content import seal, unseal
from segmentation.store.state import State
from segmentation.store.store import Store

OWNER = "project/owner.json"


def record_recipe(config: Config, store: Store, restate_from: date | None = None) -> State:
    """Make the configuration's recipe the one in force from the day after the latest published day, or, to restate the
    history, from `restate_from` on.

    Does nothing when it is in force already. Raises ConfigError for a recipe whose time zone cuts the days of the history
    differently.
    """
    _claim(config, store)
    recipe = config.recipe()
    store.put_named("recipes", recipe.document())

    def decide(state: State) -> dict[str, Any] | None:
        from_date = max(state.published) + ONE_DAY if state.published else None
        if from_date and restate_from:
            # From the first day on is from the beginning: the days that only feed its window, too.
            from_date = restate_from if restate_from > min(state.published) else None
        if state.in_force_from(from_date) == {recipe.hash}:
            return None
        in_force = state.recipe_on(from_date) if from_date else None
        if in_force:
            refuse_other_midnights(recipe, store.recipe(in_force))
        return {"kind": "recipe", "hash": recipe.hash, "from_date": from_date.isoformat() if from_date else None}

    return store.log.append(decide)


def _claim(config: Config, store: Store) -> None:
    """Make the store this project's, unless it has one. Raises ConfigError when it is another project's."""
    if config.name is not None and store.objects.find(OWNER) is None:
        store.objects.put(OWNER, seal(_claimed(config)))
    check_owner(config, store)


def _claimed(config: Config) -> dict[str, Any]:
    return {"project": config.name, "sources": config.places()}


def check_owner(config: Config, store: Store) -> None:
    """Two shops in one store would take each other's rows for corrections.

    Raises ConfigError when the store is another project's: one of another name that reads other sources. (A project may be
    renamed, and its sources may move, one at a time.)
    """
    known = store.objects.find(OWNER)
    if config.name is None or known is None:
        return
    owner, claim = unseal(known, OWNER), _claimed(config)
    if all(owner[key] != claim[key] for key in claim):
        raise ConfigError(
            f"[store] url = {config.store.url!r}: the store is of the project {owner['project']!r}, and this is "
            f"{config.name!r}, which reads other sources; two in one would mix their rows. Give this one a store of its own; "
            f"if it is the same project, set [project] name = {owner['project']!r}"
        )


def refuse_other_midnights(recipe: Recipe, in_force: Recipe) -> None:
    if recipe.timezone != in_force.timezone:
        raise ConfigError(
            f"[project] timezone = {recipe.timezone!r}: the history was cut into days in {in_force.timezone!r}, and a day "
            "cannot end at two midnights; keep the time zone, restate the history from its first day on (`segmentation "
            "reconcile --recipe current --from DAY`), or start a new store"
        )
