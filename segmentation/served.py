"""What a day says of its segments and users beside where they are: read from its inputs, put into its folder."""

import pyarrow as pa

from segmentation.config import Recipe
from segmentation.dates import window
from segmentation.inputs import Inputs
from segmentation.services import actions, baskets, names
from segmentation.services import day as serving
from segmentation.services.baskets import Baskets
from segmentation.store.snapshots import Folder


def serve(folder: Folder, inputs: Inputs, recipe: Recipe, today: serving.Today) -> None:
    """Put profiles, names, actions and next items into the folder; and the rules, or where those are that hold."""
    before = serving.Before.none()
    parent = inputs.parent()
    if parent and parent.is_served:
        carried = actions.Before(parent.table("actions"), parent.table("cooldowns"))
        held = parent.json("rules")
        before = serving.Before(
            names.of_table(parent.table("names")),
            carried,
            held,
            lambda: Folder.at(folder.objects, held["folder"]).table("rules"),
            parent.table("returned") if parent.has("returned") else None,
        )
    level, days = recipe.rules.level, window(today.day, recipe.features.window_days)

    def read(longest: int) -> Baskets:
        return Baskets.read(inputs.orders(days[-recipe.rules.window_days :]), level, longest, inputs.excluded())

    def returned(lately: bool) -> pa.Table:
        return baskets.returned(
            inputs.orders(day for day in days if not (lately and parent and day <= parent.day)), level
        )

    served = serving.serve(today, recipe, before, serving.Bought(read, returned))
    for name, made in served.tables.items():
        folder.put_table(name, made)
    anew = {"hashes": folder.hashes_of_rules(), "folder": folder.path} if served.anew else {}
    folder.put_json("rules", {**served.rules, **anew})
