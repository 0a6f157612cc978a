"""The sections of the report: read models → HTML, and the figures that the page's script draws into it."""

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

from segmentation.adjustment.wording import sentence
from segmentation.monitor import charts, decisions, read_models
from segmentation.monitor.markup import Content, Markup, join, tag
from segmentation.monitor.page import Page, bar, card, cause_bar, empty, keys, lead, scrolled, swatch, total
from segmentation.monitor.read_models import Record
from segmentation.store.snapshots import LAPSED, NEW, NOISE
from segmentation.tables import ACTIVITY
from segmentation.texts import NOTHING, Texts, compact, observed, share, signed, whole
from segmentation.tracking.migrations import CAUSES

ROWS_DAYS = 28
STRONGEST = 2.0  # a mean this many times the shop's, or one this-th of it, has the full shade
FAINTEST = 0.15  # of the full shade; below it the ratio is not written out


def decision(page: Page) -> str:
    """The day's decision in the page's language."""
    return sentence(decisions.decision(page.store, page.day), page.texts)


def headline(page: Page) -> Markup:
    texts = page.texts
    if page.before:
        days = (page.day - page.before).days
        since = texts("headline.since_yesterday") if days == 1 else texts("headline.since", days=whole(days))
        causes = cause_bar({cause: total(page.moves, cause) for cause in CAUSES})
        tiles = [
            _tile(texts("headline.users"), whole(page.users), f"{signed(page.came - page.left)} {since}"),
            _tile(texts("headline.moved"), whole(total(page.moves)), f"{page.share_moved} {since}", causes),
            _tile(texts("headline.came"), whole(page.came), texts("headline.left", left=whole(page.left), since=since)),
        ]
    else:
        none = texts("headline.none_yet")
        tiles = [
            _tile(texts("headline.users"), whole(page.users), texts("headline.first_day")),
            _tile(texts("headline.moved"), NOTHING, none),
            _tile(texts("headline.came"), NOTHING, none),
        ]
    largest = texts("headline.largest", share=share(page.segments[0]["share"]))
    tiles.append(_tile(texts("headline.segments"), whole(len(page.segments)), largest))
    revenues = [row["revenue"] for row in page.segments]
    if None not in revenues:
        per_user = texts("headline.per_user", value=compact(sum(revenues) / page.users if page.users else None))
        tiles.append(_tile(texts("headline.revenue"), compact(sum(revenues)), per_user))
    counted = read_models.quality(page.store, page.day)["tables"]
    tables = [counts for name, counts in counted.items() if name in ACTIVITY]  # the table of users is of no day
    read, quarantined = total(tables, "rows"), total(tables, "quarantined")
    part = share(quarantined / read) if read else NOTHING
    below = texts("headline.quarantined", count=whole(quarantined), share=part)
    tiles.append(_tile(texts("headline.rows"), whole(read), below))
    return tag("dl", tiles, class_="tiles")


def _tile(label: str, value: str, below: str, between: Content = None) -> Markup:
    return tag("div", tag("dt", label), tag("dd", tag("b", value), between, tag("small", below)), class_="tile")


def sizes(page: Page) -> Markup:
    texts = page.texts
    records = read_models.sizes(page.store, page.day)
    days = sorted({record["date"] for record in records})
    first, last = (texts.day(date.fromisoformat(day)) for day in (days[0], days[-1]))
    height = 340 if len(days) > 1 else 60 + 34 * len(page.segments)
    figure = charts.sizes(records, page.colours, texts)
    legend = [
        tag("li", page.named(row["segment_id"]), tag("span", whole(row["users"])), tag("small", share(row["share"])))
        for row in page.segments
    ]
    if page.noise:
        part = share(page.noise / page.users)
        legend.append(tag("li", page.named(NOISE), tag("span", whole(page.noise)), tag("small", part)))
    return join(
        [
            lead(texts("sizes.lead" if len(days) > 1 else "sizes.lead_first")),
            tag(
                "div",
                page.figure("chart-sizes", figure, texts("sizes.chart", first=first, last=last), height),
                tag("ul", legend, class_="legend"),
                class_="card",
            ),
        ]
    )


def migrations(page: Page) -> Markup:
    texts = page.texts
    if page.before is None:
        return join([empty(texts("migrations.first_day")), _meaning(texts)])
    if not charts.changed(page.cells):
        return join([lead(texts("migrations.nobody", **page.span)), _matrix_card(page), _meaning(texts)])
    summary = texts(
        "migrations.lead",
        moved=whole(total(page.moves)),
        stayers=whole(page.stayers),
        share=page.share_moved,
        causes=_causes_of(page),
        came=whole(page.came),
        left=whole(page.left),
        **page.span,
    )
    figure = charts.flows(page.cells, page.colours, texts)
    flows = card(
        texts("migrations.flows"),
        texts("migrations.flows_note"),
        keys(texts, "causes", CAUSES),
        tag("div", tag("span", page.span["first"]), tag("span", page.span["last"]), class_="ends"),
        page.figure("chart-flows", figure, summary, charts.flows_height(page.cells)),
    )
    return join([lead(summary), flows, _matrix_card(page), _meaning(texts)])


def _causes_of(page: Page) -> str:
    """The causes of the moves between segments, as a clause; nothing if there were none."""
    texts = page.texts
    moved = total(page.moves)
    parts = [
        texts("migrations.cause_share", cause=texts(f"causes.{cause}"), share=share(total(page.moves, cause) / moved))
        for cause in CAUSES
        if total(page.moves, cause)
    ]
    return texts("migrations.causes", causes=texts("page.comma").join(parts)) if parts else ""


def _meaning(texts: Texts) -> Markup:
    terms = [
        tag(
            "div",
            tag("dt", swatch(cause), texts(f"causes.{cause}")),
            tag("dd", texts(f"causes.{cause}_text")),
        )
        for cause in CAUSES
    ]
    return tag("div", tag("h3", texts("causes.title")), tag("dl", terms), class_="meaning")


def _matrix_card(page: Page) -> Markup:
    texts = page.texts
    return card(texts("migrations.matrix"), texts("migrations.matrix_note", **page.span), _matrix(page))


def _matrix(page: Page) -> Markup:
    """Users by segment on both days: shaded by share of the row, causes as a bar below the number, sums at the edges."""
    texts = page.texts
    table: dict[str, dict[str, Record]] = defaultdict(dict)
    for cell in page.cells:
        table[cell["from_segment_id"]][cell["to_segment_id"]] = cell
    size = {row["segment_id"]: position for position, row in enumerate(page.segments)}
    outside = {NEW: 1, LAPSED: 1}  # last

    def place(name: str) -> tuple[int, int, str]:
        return outside.get(name, 0), size.get(name, len(size)), name

    rows = sorted(table, key=place)
    columns = sorted({cell["to_segment_id"] for cell in page.cells}, key=place)
    body = [
        tag(
            "tr",
            tag("th", page.named(row), scope="row"),
            [_matrix_cell(texts, table[row].get(column), row, column) for column in columns],
            tag("td", whole(total(table[row].values())), class_="total"),
        )
        for row in rows
    ]
    sums = [total(table[row][column] for row in rows if column in table[row]) for column in columns]
    return scrolled(
        "matrix",
        texts("migrations.matrix"),
        len(columns),
        [
            tag("th", texts("migrations.from_to"), scope="col"),
            [tag("th", page.named(column), scope="col") for column in columns],
            tag("th", texts("migrations.total"), scope="col", class_="total"),
        ],
        body,
        tag(
            "tr",
            tag("th", texts("migrations.total"), scope="row"),
            [tag("td", whole(users)) for users in sums],
            tag("td", whole(total(page.cells)), class_="total"),
        ),
    )


def _matrix_cell(texts: Texts, cell: Record | None, row: str, column: str) -> Markup:
    if cell is None:
        return tag("td", "·", class_="none")
    users = whole(cell["users"])
    ends = {name: texts.known("states", state) for name, state in (("origin", row), ("target", column))}
    places = {"users": users, **ends, "share": share(cell["share_of_from"])}
    if row == column:
        return tag("td", users, class_="stayed", title=texts("migrations.cell_stayed", **places))
    causes = [
        texts("migrations.cause_count", count=whole(cell[cause]), cause=texts(f"causes.{cause}"))
        for cause in CAUSES
        if cell[cause]
    ]
    # The square root, so that a small share is seen beside a large one. Of those who came, shares say nothing.
    heat = 0 if row == NEW else math.sqrt(cell["share_of_from"])
    return tag(
        "td",
        users,
        cause_bar({cause: cell[cause] for cause in CAUSES}),
        style=f"--heat: {heat:.2f}",
        title=texts("migrations.cell", causes=texts("page.comma").join(causes), **places),
    )


def moves(page: Page) -> Markup:
    texts = page.texts
    records = read_models.moves(page.store, page.day)
    if not records:
        return empty(texts("moves.empty"))
    moved = page.figure("chart-moved", charts.moved(records, texts), texts("moves.moved_chart"), 240)
    came_left = page.figure(
        "chart-came-left", charts.came_and_left(records, texts), texts("moves.came_left_chart"), 240
    )
    return tag(
        "div",
        card(texts("moves.moved"), None, keys(texts, "causes", CAUSES), moved),
        card(texts("moves.came_left"), None, keys(texts, "moves", ("came", "left")), came_left),
        class_="pair",
    )


def profile(page: Page) -> Markup:
    texts = page.texts
    records = read_models.profile(page.store, page.day)
    order = [row["segment_id"] for row in page.segments]
    revenues = [row["revenue"] for row in page.segments]
    body = [
        _profile_row(texts("profile.users"), whole(page.users), [whole(row["users"]) for row in page.segments]),
        _profile_row(texts("profile.share"), share(1.0), [bar(row["share"]) for row in page.segments]),
    ]
    if None not in revenues and sum(revenues) > 0:
        parts = [bar(revenue / sum(revenues)) for revenue in revenues]
        body.append(_profile_row(texts("profile.revenue"), share(1.0), parts))
    body += [_feature_row(texts, record, order) for record in records]
    told = texts("profile.lead", more=texts("profile.more"), less=texts("profile.less"))
    in_model = texts("profile.in_model_note") if any(record["in_model"] for record in records) else None
    table = scrolled(
        "profile",
        texts("profile.caption", date=texts.day(page.day)),
        len(order),
        [
            tag("th", texts("profile.feature"), scope="col"),
            tag("th", texts("profile.shop"), scope="col", class_="shop"),
            [tag("th", page.named(segment_id), scope="col") for segment_id in order],
        ],
        body,
    )
    note = tag("p", tag("i", "●", class_="in-model"), " ", in_model, class_="note") if in_model else None
    whole_table = tag("details", tag("summary", texts("profile.summary")), lead(told), table, note)
    return tag("div", whole_table, class_="card")


def _profile_row(label: str, shop: str, cells: Sequence[Content]) -> Markup:
    inner = [tag("td", cell) for cell in cells]
    return tag("tr", tag("th", label, scope="row"), tag("td", shop, class_="shop"), inner, class_="size")


def _feature_row(texts: Texts, record: Record, order: Sequence[str]) -> Markup:
    unit = record["unit"]
    mark = tag("i", "●", class_="in-model", title=texts("profile.in_model")) if record["in_model"] else None
    cells = [_compared(texts, unit, record["shop"], record["segments"][segment_id]) for segment_id in order]
    return tag(
        "tr",
        tag(
            "th",
            texts.known("features", record["feature"]),
            " ",
            mark,
            tag("small", texts.known("units", unit)),
            scope="row",
        ),
        tag("td", _in_unit(record["shop"], unit), class_="shop"),
        cells,
    )


def _in_unit(value: float | None, unit: str) -> str:
    return share(value) if unit.startswith("share") else compact(value)


def _compared(texts: Texts, unit: str, shop: float | None, value: float | None) -> Markup:
    """A cell of the profile: the mean, shaded by its ratio to the shop's where both are above 0."""
    shown = _in_unit(value, unit)
    if value is None or shop is None or value <= 0 or shop <= 0:
        return tag("td", shown)
    ratio = value / shop
    strength = min(abs(math.log(ratio)) / math.log(STRONGEST), 1)
    return tag(
        "td",
        shown,
        tag("small", f"×{ratio:.2f}") if strength >= FAINTEST else None,
        class_="more" if ratio > 1 else "less",
        style=f"--heat: {strength:.2f}",
        title=texts("profile.per_shop", ratio=f"{ratio:.2f}"),
    )


def quality(page: Page) -> Markup:
    texts = page.texts
    tables = read_models.quality(page.store, page.day)["tables"]
    cards = [_quality_card(page, name, counts) for name, counts in tables.items()]
    records = read_models.rows_per_day(page.store, page.day, ROWS_DAYS)
    description = texts("quality.chart", days=whole(ROWS_DAYS))
    figure = page.figure("chart-rows", charts.rows(records, texts), description, 240)
    cards.append(card(texts("quality.chart_title"), None, keys(texts, "quality", ("accepted", "quarantined")), figure))
    return join([lead(texts("quality.lead")), tag("div", cards, class_="pair")])


# Of accepted rows; each is of one table.
FACTS = (
    "returns",
    "zero_quantity",
    "zero_amount",
    "before_sign_up",
    "unknown_event_type",
    "excluded",
    "excluded_there",
)


def _quality_card(page: Page, name: str, counts: Record) -> Markup:
    texts = page.texts

    def row(label: str, count: int, kind: str | None = None) -> Markup:
        part = share(count / counts["rows"]) if counts["rows"] else NOTHING
        return tag("tr", tag("th", label, scope="row"), tag("td", whole(count)), tag("td", part), class_=kind)

    reasons = sorted(counts["reasons"].items(), key=lambda pair: (-pair[1], pair[0]))
    facts = [(texts(f"quality.{key}"), counts.get(key, 0)) for key in FACTS]
    body = [
        row(texts("quality.read"), counts["rows"]),
        row(texts("quality.accepted"), counts["accepted"]),
        row(texts("quality.quarantined"), counts["quarantined"]),
        [row(texts.reworded("reasons", reason), count, "detail") for reason, count in reasons if count],
        [row(label, count, "aside") for label, count in facts if count],
    ]
    heads = [tag("th", texts(f"quality.{key}"), scope="col") for key in ("rows", "count", "share")]
    table = tag(
        "table",
        tag("caption", texts("quality.caption", table=texts.known("tables", name), date=texts.day(page.day))),
        tag("thead", tag("tr", heads)),
        tag("tbody", body),
        class_="quality",
    )
    return tag("div", table, _warnings(texts, counts["warnings"]), class_="card")


def _warnings(texts: Texts, warnings: Sequence[dict[str, Any]]) -> Markup:
    if not warnings:
        return tag("p", texts("quality.no_warnings"), class_="note")
    items = [
        tag(
            "li",
            texts(
                "quality.warning",
                reason=texts.reworded("reasons", warning["reason"]),
                observed=observed(warning["observed"], texts),
            ),
        )
        for warning in warnings
    ]
    return tag("div", tag("h3", texts("quality.warnings")), tag("ul", items), class_="warnings")
