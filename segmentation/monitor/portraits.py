"""The sections of the report about what segments are: their portraits, what goes together, what to do for whom."""

from datetime import date

from segmentation.monitor import associations, offers
from segmentation.monitor.markup import Content, Markup, join, tag
from segmentation.monitor.names import in_unit
from segmentation.monitor.page import Page, empty, lead, scrolled, swatch_of
from segmentation.monitor.profiles import typical
from segmentation.monitor.read_models import Record
from segmentation.texts import NOTHING, share, whole

MOST_RULES, MOST_BUNDLES = 12, 3


def portraits(page: Page) -> Markup:
    """Each segment's name, why it is called so, its size, the five things that set it apart, what to show together in it."""
    bundles: dict[str | None, list[str]] = {}
    for row in associations.bundles(page.store, page.day)["bundles"]:
        bundles.setdefault(row["segment_id"], []).append(" + ".join(row["items"]))
    drawn = [_portrait(page, record, bundles.get(record["segment_id"], [])) for record in page.profiles]
    return tag("div", drawn, class_="portraits")


def _portrait(page: Page, record: Record, bundles: list[str]) -> Markup:
    texts = page.texts
    figures = [(texts("portraits.users"), whole(record["users"])), (texts("portraits.share"), share(record["share"]))]
    if record["revenue_share"] is not None:
        figures.append((texts("portraits.revenue"), share(record["revenue_share"])))
    told = [tag("div", tag("dt", label), tag("dd", value)) for label, value in figures]
    since = texts("portraits.since", date=texts.day(date.fromisoformat(record["since"])))
    if record["before"]:
        since = texts("portraits.renamed", before=record["before"])
    told_by = texts("portraits.given") if record["given"] else since
    return tag(
        "article",
        tag("h3", swatch_of(page, record["segment_id"]), " ", record["name"]),
        tag("p", tag("code", record["segment_id"]), " · ", told_by, class_="note"),
        tag("p", record["explained"]) if record["explained"] else None,
        tag("dl", told, class_="figures"),
        _differences(page, record) if record["differs"] else tag("p", texts("portraits.nothing"), class_="note"),
        tag("h4", texts("portraits.together")) if bundles else None,
        tag("ul", [tag("li", bundle) for bundle in bundles[:MOST_BUNDLES]], class_="bundles") if bundles else None,
        class_="card portrait",
    )


def _differences(page: Page, record: Record) -> Markup:
    texts = page.texts
    heads = [tag("th", texts(f"portraits.{key}"), scope="col") for key in ("feature", "typical", "others", "effect")]
    rows = [
        tag(
            "tr",
            tag("th", texts.known("features", row["name"]), f" = {row['value']}" if row["value"] else "", scope="row"),
            [tag("td", in_unit(value, row["unit"])) for value in typical(row)],
            tag("td", _effect(row["effect"])),
        )
        for row in record["differs"]
    ]
    return tag(
        "table",
        tag("caption", texts("portraits.caption", name=record["name"]), class_="visually-hidden"),
        tag("thead", tag("tr", heads)),
        tag("tbody", rows),
        class_="differences",
    )


def _effect(effect: float) -> Markup:
    """The effect as a number and a bar from the middle to its side."""
    side = "more" if effect > 0 else "less"
    drawn = tag("span", tag("i", class_=side, style=f"--part: {abs(effect):.3f}"), class_="effect", aria_hidden="true")
    return join([f"{effect:+.2f}".replace("-", "−"), drawn])


def rules(page: Page) -> Markup:
    """What is bought together in the whole shop, with the baskets behind it; and what holds in one segment above all."""
    texts = page.texts
    record = associations.rules(page.store, page.day)
    if record["nothing"]:
        return empty(texts(f"rules.{record['nothing']}"))
    figures = record["figures"]
    told = texts(
        "rules.lead",
        date=texts.day(date.fromisoformat(record["date"])),
        baskets=whole(figures["baskets"]),
        users=whole(figures["users"]),
        days=whole(figures.get("days")),
        too_long=whole(figures["too_long"]),
    )
    special = associations.special(record["rules"])
    parts = [tag("h3", texts("rules.shop")), _list(page, _different(associations.strongest(record["rules"])))]
    if special:
        parts += [tag("h3", texts("rules.special")), _list(page, special[:MOST_RULES])]
    return join([lead(told), tag("div", parts, tag("p", texts("rules.caveat"), class_="note"), class_="card")])


def _different(rows: list[Record]) -> list[Record]:
    """The first rule of each set of items: the same things said the other way round are said once."""
    found: dict[frozenset[str], Record] = {}
    for row in rows:
        found.setdefault(frozenset([*row["antecedents"], *row["consequents"]]), row)
    return list(found.values())[:MOST_RULES]


def _list(page: Page, rows: list[Record]) -> Markup:
    texts = page.texts
    items = []
    for row in rows:
        places = {
            "count": whole(row["count"]),
            "of": whole(row["antecedent_count"]),
            "confidence": share(row["confidence"]),
            "lift": f"{row['lift']:.1f}",
        }
        if row["segment_id"]:
            behind = texts("rules.behind_special", **places, outside=share(row["confidence_outside"]))
        else:
            behind = texts("rules.behind", **places)
        plus = " + "
        items.append(
            tag(
                "li",
                page.named(row["segment_id"]) if row["segment_id"] else None,
                tag("b", plus.join(row["antecedents"]), " → ", plus.join(row["consequents"])),
                " ",
                tag("small", behind),
            )
        )
    return tag("ul", items, class_="rules") if items else tag("p", texts("rules.none"), class_="note")


def actions(page: Page) -> Markup:
    """Each action, to how many users it is given, and by which rule."""
    texts = page.texts
    records = offers.actions(page.store, page.day, texts.lang)
    if not records:
        return empty(texts("actions.no_rules"))
    heads = [tag("th", texts(f"actions.head_{key}"), scope="col") for key in ("action", "users", "due", "who", "where")]
    rows = [
        tag(
            "tr",
            tag(
                "th",
                texts.known("actions", record["action"], "action_"),
                tag("small", texts.known("actions", record["offer"], "offer_")),
                scope="row",
            ),
            tag("td", whole(record["users"])),
            tag("td", whole(record["due"])),
            tag("td", texts("actions.and").join(record["when"]), class_="text"),
            tag("td", _where(page, record), class_="text"),
        )
        for record in records
    ]
    table = scrolled("actions", texts("actions.caption", date=texts.day(page.day)), len(heads), heads, rows)
    users = sum(record["users"] for record in records)
    part = share(users / page.users) if page.users else NOTHING
    return join([lead(texts("actions.lead", users=whole(users), share=part)), tag("div", table, class_="card")])


def _where(page: Page, record: Record) -> Content:
    found: list[Content] = [page.named(segment_id) for segment_id in list(record["segments"])[:3]]
    return found or NOTHING
