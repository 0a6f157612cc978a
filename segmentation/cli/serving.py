"""The commands about what segments are and what to do for them: profiles, rules, bundles, actions, name."""

from typing import Annotated

import typer

from segmentation.cli.app import BUILD, READ, Day, Json, app, open_config, open_history, show
from segmentation.cli.reading import Language
from segmentation.texts import Texts

Segment = Annotated[str | None, typer.Option("--segment", metavar="ID", help="Only this segment.")]
Lang = Annotated[Language, typer.Option(help="The language.")]


@app.command(rich_help_panel=READ)
def profiles(
    context: typer.Context, day: Day = None, segment: Segment = None, lang: Lang = Language.en, as_json: Json = False
) -> None:
    """What each segment is: its name, a sentence that is true of it alone, and the five things that set it apart.

    With --json every feature and attribute: users, mean, median, the mean of all others, and the effect (Cliff's delta: how
    much likelier a user of the segment is above one of the others than below, from -1 to 1).
    """
    from segmentation.cli import serving_tables
    from segmentation.monitor import profiles, read_models

    store = open_history(context)
    day = day or read_models.latest(store.state())
    show(profiles.profiles(store, day, lang.value, segment), as_json, serving_tables.profiles, texts=Texts(lang.value))


@app.command(rich_help_panel=READ)
def rules(
    context: typer.Context,
    day: Day = None,
    segment: Segment = None,
    special: Annotated[
        bool, typer.Option("--special", help="Those that hold in one segment more than in the rest of the shop.")
    ] = False,
    lang: Lang = Language.en,
    as_json: Json = False,
) -> None:
    """What is bought together: the association rules that hold on a day, with the baskets behind each figure.

    They are computed anew every rules_every_days days. With --json all of them, with every figure.
    """
    from segmentation.cli import serving_tables
    from segmentation.monitor import associations, read_models

    store = open_history(context)
    day = day or read_models.latest(store.state())
    record = associations.rules(store, day, segment)
    show(record, as_json, serving_tables.rules, special=special, texts=Texts(lang.value))


@app.command(rich_help_panel=READ)
def bundles(
    context: typer.Context, day: Day = None, segment: Segment = None, lang: Lang = Language.en, as_json: Json = False
) -> None:
    """Which products to show together, in the whole shop and in each segment."""
    from segmentation.cli import serving_tables
    from segmentation.monitor import associations, read_models

    store = open_history(context)
    day = day or read_models.latest(store.state())
    show(associations.bundles(store, day, segment), as_json, serving_tables.bundles, texts=Texts(lang.value))


@app.command(rich_help_panel=READ)
def actions(
    context: typer.Context,
    day: Day = None,
    user_id: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="What to do for this user, and why.")
    ] = None,
    lang: Lang = Language.en,
    as_json: Json = False,
) -> None:
    """What to do for whom: of each action how many users have it, how many are due today, and by which rule.

    With --user one user's action with its reason, and the items that his last baskets lead to. The table of all users is
    actions.parquet in the day's folder (`segmentation history --json`).
    """
    from segmentation.cli import serving_tables
    from segmentation.monitor import offers, read_models

    store = open_history(context)
    day = day or read_models.latest(store.state())
    if user_id is None:
        show(offers.actions(store, day, lang.value), as_json, serving_tables.actions, texts=Texts(lang.value))
    else:
        show(offers.of_user(store, day, user_id, lang.value), as_json, serving_tables.of_user, texts=Texts(lang.value))


@app.command(rich_help_panel=READ)
def effect(context: typer.Context, day: Day = None, lang: Lang = Language.en, as_json: Json = False) -> None:
    """What the users of each segment did in the 28 days after a day: conversion, retention, spend, ratings, with 95 % bounds.

    Without --date: the latest day whose 28 days are over.
    """
    from segmentation.cli import serving_tables
    from segmentation.errors import SegmentationError
    from segmentation.monitor import effect as record
    from segmentation.monitor import read_models

    store = open_history(context)
    last = read_models.latest(store.state())
    day = day or record.latest(store, last)
    if day is None:
        raise SegmentationError(f"no day's {record.DAYS} days are over yet: the history ends with {last}")
    found = {"date": day.isoformat(), "days": record.DAYS, "segments": record.effect(store, day, lang.value)}
    show(found, as_json, serving_tables.effect, texts=Texts(lang.value))


@app.command(rich_help_panel=BUILD)
def name(
    context: typer.Context,
    segment_id: Annotated[str, typer.Argument(metavar="ID", help="The segment's id.")],
    text: Annotated[str, typer.Argument(metavar="NAME", help='Its name, in any script; "" takes it away again.')],
    who: Annotated[str, typer.Option(help="Who names it, for the log.")] = "command line",
    as_json: Json = False,
) -> None:
    """Call a segment by a name of your own, in place of what its profile says. The history stays as it is."""
    from segmentation.cli import serving_tables
    from segmentation.store.names import name_segment

    open_config(context)
    called = name_segment(open_history(context), segment_id, text, who)
    show({"segment_id": segment_id, "name": called}, as_json, serving_tables.named)
