"""What to do for whom, and why."""

from datetime import date
from typing import Any

import pyarrow.compute as pc

from segmentation.action_rules import ActionRule
from segmentation.errors import SegmentationError
from segmentation.monitor.names import named
from segmentation.monitor.read_models import Record, features_of, read_table, served_on, user
from segmentation.store.snapshots import Folder
from segmentation.store.state import Published
from segmentation.store.store import Store
from segmentation.texts import NOTHING, Texts


def actions(store: Store, day: date, lang: str = "en") -> list[Record]:
    """The day's rules in their order: {action, offer, users (who have it), due (of them, to whom it is to be given on the day),
    segments: {segment_id: users}, when (the rule's conditions)}. Raises SegmentationError if the day is not published."""
    published = served_on(store, day)
    table = read_table(store, published, "actions")
    members = read_table(store, published, "memberships", ["user_id", "segment_id"])
    place = pc.index_in(table["user_id"], value_set=members["user_id"].combine_chunks())
    where = members["segment_id"].take(place)
    found = []
    for rule in _rules(store, published):
        has = pc.equal(table["action"], rule.name)
        segments = sorted(
            where.filter(has).value_counts().to_pylist(), key=lambda pair: (-pair["counts"], pair["values"])
        )
        found.append(
            {
                "action": rule.name,
                "offer": rule.offer,
                "users": int(pc.sum(has).as_py() or 0),
                "due": int(pc.sum(pc.and_(has, pc.equal(table["given"], day))).as_py() or 0),
                "segments": {pair["values"]: pair["counts"] for pair in segments},
                "when": conditions(rule, Texts(lang)),
            }
        )
    return found


def of_user(store: Store, day: date, user_id: str, lang: str = "en") -> Record:
    """{user_id, date, segment_id, segment (its name), action, offer, since, given, reason: [{condition, found}], next_items}.

    action is None if the user meets no rule. reason: each condition of the rule with what is true of the user. Raises
    SegmentationError if the day is not published, or the user is nowhere on it.
    """
    published = served_on(store, day)
    members = read_table(store, published, "memberships")
    mine = members.filter(pc.equal(members["user_id"], user_id)).to_pylist()
    if not mine or mine[0]["segment_id"] is None:
        user(store, user_id)  # raises if there never was such a user
        raise SegmentationError(f"{user_id!r} is in no segment on {day}; `segmentation user {user_id}` tells his days")
    (member,), texts = mine, Texts(lang)
    table = read_table(store, published, "actions")
    given = table.filter(pc.equal(table["user_id"], user_id)).to_pylist()
    row: dict[str, Any] = given[0] if given else dict.fromkeys(table.column_names)
    rule = next((rule for rule in _rules(store, published) if rule.name == row["action"]), None)
    following = []
    if Folder.at(store.objects, published.folder).has("next_items"):
        items = read_table(store, published, "next_items")
        following = items.filter(pc.equal(items["user_id"], user_id)).drop_columns(["user_id"]).to_pylist()
    return {
        "user_id": user_id,
        "date": day.isoformat(),
        "segment_id": member["segment_id"],
        "segment": named(store, published, texts).get(member["segment_id"], {}).get("name", member["segment_id"]),
        "action": row["action"],
        "offer": row["offer"],
        **{key: row[key].isoformat() if row[key] else None for key in ("since", "given")},
        "reason": _reason(store, published, rule, member, texts) if rule else [],
        "next_items": following,
    }


def conditions(rule: ActionRule, texts: Texts) -> list[str]:
    """A rule's conditions, one text each."""
    found = [
        texts(f"actions.segment_{level}", feature=texts.known("features", feature))
        for feature, level in rule.segment.items()
    ]
    either = texts("actions.or")
    if rule.segments:
        found.append(texts("actions.segments", segments=either.join(rule.segments)))
    for feature, limits in rule.user.items():
        ends = [f"{sign} {end:g}" for sign, end in (("≥", limits.min), ("≤", limits.max)) if end is not None]
        found.append(f"{texts.known('features', feature)} {texts('page.comma').join(ends)}")
    if rule.status:
        found.append(either.join(texts(f"actions.{status}") for status in rule.status))
    if rule.moved:
        found.append(texts(f"actions.moved_{rule.moved}"))
    if rule.cause:
        found.append(either.join(texts(f"causes.{cause}") for cause in rule.cause))
    if rule.within_days:
        found.append(texts("actions.within", days=str(rule.within_days)))
    return found


def _reason(store: Store, published: Published, rule: ActionRule, member: Record, texts: Texts) -> list[Record]:
    """Each condition, and what is true of the user or his segment: a text."""
    profiles = read_table(store, published, "profiles").to_pylist()
    mine = [row for row in profiles if row["segment_id"] == member["segment_id"] and not row["value"]]
    effect = {row["name"]: row["effect"] or 0.0 for row in mine}
    features = features_of(store, published)
    rows = features.filter(pc.equal(features["user_id"], member["user_id"])).to_pylist() if features else []
    values = rows[0] if rows else {}
    told = [texts("actions.effect", effect=f"{effect.get(feature, 0.0):+.2f}") for feature in rule.segment]
    told += [str(member["segment_id"])] if rule.segments else []
    told += [f"{values[feature]:g}" if values.get(feature) is not None else NOTHING for feature in rule.user]
    told += [texts(f"actions.{member['status']}")] if rule.status else []
    told += [f"{member['previous_segment_id']} → {member['segment_id']}"] if rule.moved else []
    told += [texts(f"causes.{member['cause']}") if member["cause"] else NOTHING] if rule.cause else []
    told += [texts.day(member["since"])] if rule.within_days else []
    return [{"condition": one, "found": found} for one, found in zip(conditions(rule, texts), told, strict=True)]


def _rules(store: Store, published: Published) -> tuple[ActionRule, ...]:
    """Those of the recipe that the day was made by."""
    inputs = store.json(f"{published.folder}/inputs.json")
    return store.recipe(inputs["derivation"]["recipe"]).actions
