"""Rules, names and actions in the history: when they are computed, what holds on other days, what is no part of it."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from item_shop import EVERY, FIRST, LENGTH, RULES, shop, write_shop

from segmentation import history
from segmentation.dates import block
from segmentation.errors import ConfigError, SegmentationError
from segmentation.monitor import associations, names, offers
from segmentation.monitor.effect import DAYS, effect, latest
from segmentation.monitor.profiles import profiles
from segmentation.monitor.report import render
from segmentation.store.log import Log
from segmentation.store.names import name_segment
from segmentation.store.objects import Objects
from segmentation.store.snapshots import Folder
from segmentation.store.state import Alias, State
from segmentation.store.store import Store, open_store
from segmentation.store.verify import verify
from segmentation.texts import LANGUAGES, Texts


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("shop")
    write_shop(root)
    config = shop(root)
    history.backfill(config, FIRST + timedelta(days=9), FIRST + timedelta(days=LENGTH - 1))
    return config


def folders(store: Store) -> dict[date, Folder]:
    return {day: Folder.at(store.objects, one.folder) for day, one in sorted(store.state().published.items())}


def test_rules_are_computed_on_the_first_published_day_of_each_block_and_hold_until_the_next(made):
    store = open_store(made)
    found, held = folders(store), None
    for day, folder in found.items():
        rules = folder.json("rules")
        anew = held is None or block(day, EVERY) != block(date.fromisoformat(held), EVERY)
        held = day.isoformat() if anew else held
        assert rules["date"] == held
        assert store.objects.exists(f"{folder.path}/rules.parquet") == anew
        record = associations.rules(store, day)
        assert record["rules"] == Folder.at(store.objects, rules["folder"]).table("rules").to_pylist()
    assert held is not None
    assert len({folder.json("rules")["date"] for folder in found.values()}) == 7
    (bread,) = [
        row
        for row in associations.rules(store, max(found))["rules"]
        if row["segment_id"] is None and row["antecedents"] == ["bread"] and row["consequents"] == ["butter"]
    ]
    assert bread["confidence"] == 1.0
    assert verify(store) == []


def test_next_items_follow_from_the_last_baskets_of_every_day(tmp_path):
    """Also on the days on which the rules of an earlier one hold; what was returned is no next item, also when the return has
    left the window, or the user had; and of the longest baskets, too, which make no rules."""
    draw = np.random.default_rng(9)
    lines = ["order_id,user_id,ordered_at,item_id,quantity,amount"]
    bought: dict[tuple[str, date, str], set[str]] = {}
    returned: set[tuple[str, date, str]] = set()
    for offset in range(22):
        day = FIRST + timedelta(days=offset)
        for number in np.flatnonzero(draw.random(80) < 0.3):
            user, order = f"u{number:02}", f"o{offset}-{number}"
            items = {"bread", "butter"} if draw.random() < 0.5 else {str(draw.choice(["bread", "tea", "salt"]))}
            items |= {"jam"} if draw.random() < (0.8 if "butter" in items else 0.1) else set()
            if number % 20 == 7:  # more than longest_basket
                items |= {f"item {extra}" for extra in range(9)}
            lines += [f"{order},{user},{day} 10:00:00,{item},1,{number % 3 * 90 + 3}" for item in sorted(items)]
            bought[user, day, order] = items
            if draw.random() < 0.3:
                lines.append(f"r{order},{user},{day} 12:00:00,jam,-1,-3")
                returned.add((user, day, "jam"))
    (tmp_path / "orders.csv").write_text("\n".join(lines) + "\n")
    rules = {"min_support": 0.02, "min_count": 3, "rules_every_days": 5, "longest_basket": 8}
    config = shop(tmp_path, sources={"orders": {"path": "orders.csv"}}, rules=rules)
    history.backfill(config, FIRST + timedelta(days=9), FIRST + timedelta(days=21))
    store, kinds, known = open_store(config), set(), set()
    old, gone, before, came_back = set(), set(), set(), set()
    for day, folder in folders(store).items():
        members = folder.table("memberships").to_pylist()
        record = associations.rules(store, day)
        begins = day - timedelta(days=9)
        there = {row["user_id"] for row in members if row["segment_id"]}
        known |= {(user, item) for user, at, item in returned if begins <= at <= day}
        gone = gone | before - there
        before = there
        old |= {user for user, item in known - {(user, item) for user, at, item in returned if begins <= at <= day}}
        came_back |= gone & old & there
        expected = set()
        for user, segment in ((row["user_id"], row["segment_id"]) for row in members):
            mine = sorted(key for key in bought if key[0] == user and begins <= key[1] <= day)[-3:]
            last = set().union(*(bought[key] for key in mine))
            closed = last | {item for who, item in known if who == user}
            best: dict[str, tuple[float, int]] = {}
            for row in record["rules"]:
                if (
                    row["segment_id"] == segment
                    and row["q"] <= 0.05
                    and row["lift"] > 1
                    and set(row["antecedents"]) <= last
                ):
                    for item in {*row["consequents"]} - closed if len(row["consequents"]) == 1 else ():
                        best[item] = min(best.get(item, (0.0, 0)), (-row["confidence"], row["rule"]))
            ranked = enumerate(sorted((order, item) for item, order in best.items())[:3], 1)
            expected |= {(user, rank, item, rule) for rank, ((_, rule), item) in ranked}
        found = folder.table("next_items").to_pylist()
        assert {(row["user_id"], row["rank"], row["item"], row["rule"]) for row in found} == expected, day
        kinds.add((bool(found), record["date"] == day.isoformat()))
    assert {(True, True), (True, False)} <= kinds
    assert came_back


def test_rules_that_are_not_those_that_were_computed_are_found(made):
    store = open_store(made)
    folder = Folder.at(store.objects, folders(store)[FIRST + timedelta(days=9)].json("rules")["folder"])
    path = store.objects.path(f"{folder.path}/rules.parquet")
    data = Path(path).read_bytes()
    try:
        other = Folder.at(store.objects, folders(store)[FIRST + timedelta(days=20)].json("rules")["folder"])
        Path(path).write_bytes(store.objects.get(f"{other.path}/rules.parquet"))
        assert any("rules.parquet" in problem for problem in verify(store))
        with pytest.raises(SegmentationError, match="see `segmentation verify`"):
            associations.rules(store, FIRST + timedelta(days=9))
    finally:
        Path(path).write_bytes(data)
    assert verify(store) == []


def test_other_settings_of_rules_count_from_the_next_day_and_restate_nothing(made):
    root = made.root
    config = shop(root, "other")
    history.backfill(config, FIRST + timedelta(days=9), FIRST + timedelta(days=12))
    before = open_store(config).state().digest()
    changed = shop(root, "other", rules={**RULES, "min_confidence": 0.9})
    history.run(changed, FIRST + timedelta(days=13))
    store = open_store(config)
    assert folders(store)[FIRST + timedelta(days=13)].json("rules")["date"] == str(FIRST + timedelta(days=13))
    decision = folders(store)[FIRST + timedelta(days=13)].json("decision")
    assert decision["decision"] == "hold"  # no new model
    assert history.stale(changed) == []
    assert before != store.state().digest()
    rules = associations.rules(store, FIRST + timedelta(days=13))["rules"]
    assert min(row["confidence"] for row in rules if row["segment_id"] is None) >= 0.9


@pytest.mark.parametrize(
    ("sections", "nothing", "problem"),
    [
        ({"rules": {**RULES, "max_itemsets": 3}}, "too_many", "min_support = "),
        ({"rules": {**RULES, "min_support": 0.9}}, "not_frequent", None),
        ({"rules": {**RULES, "level": "category"}}, "no_items", None),
        ({"rules": {**RULES, "longest_basket": 2, "min_support": 1.0}}, "not_frequent", None),
    ],
)
def test_a_day_without_rules_says_why_and_is_published(made, sections, nothing, problem):
    config = shop(made.root, f"none-{nothing}-{len(str(sections))}", **sections)
    day = FIRST + timedelta(days=20)
    history.run(config, day)
    record = associations.rules(open_store(config), day)
    assert (record["nothing"], record["rules"]) == (nothing, [])
    assert (problem in record["problem"]) if problem else record["problem"] is None
    assert associations.bundles(open_store(config), day)["bundles"] == []


def test_profiles_names_and_sentences(made):
    store = open_store(made)
    day = max(folders(store))
    often, seldom = sorted(profiles(store, day), key=lambda record: -record["users"])
    assert "oyal" in often["name"]
    assert often["name"] != seldom["name"]
    states = {(row["name"], row["value"]): row["mean"] for row in often["profile"] if row["name"] == "state"}
    assert states["state", "SP"] > 0.9
    assert len(often["differs"]) <= 5
    assert profiles(store, day, "zh")[0]["name"] != often["name"]
    assert [row["name"] for row in names.segments(store, day)] == [often["name"], seldom["name"]]
    with pytest.raises(SegmentationError, match=f"{day} has no segment 'x'"):
        profiles(store, day, segment="x")


def test_consent_is_honoured(made):
    store = open_store(made)
    for folder in folders(store).values():
        assert all(int(user[1:]) % 2 for user in folder.table("actions")["user_id"].to_pylist())


def test_the_actions_of_a_day_and_of_a_user(made):
    store = open_store(made)
    day = max(folders(store))
    table = folders(store)[day].table("actions")
    members = folders(store)[day].table("memberships")["user_id"].to_pylist()
    records = offers.actions(store, day)
    assert sum(record["users"] for record in records) == table.num_rows > 0
    for record in records:
        assert sum(record["segments"].values()) == record["users"]
        assert record["when"]
    row = table.to_pylist()[0]
    mine = offers.of_user(store, day, row["user_id"])
    assert (mine["action"], mine["offer"]) == (row["action"], row["offer"])
    assert [reason["condition"] for reason in mine["reason"]] == next(
        record["when"] for record in records if record["action"] == row["action"]
    )
    nobody = next(user for user in ("u02", "u04", "u08") if user in members)  # no consent
    assert offers.of_user(store, day, nobody)["action"] is None
    ever = {user for one in folders(store).values() for user in one.table("memberships")["user_id"].to_pylist()}
    elsewhere = min(ever - set(members))
    with pytest.raises(SegmentationError, match=f"'{elsewhere}' is in no segment on {day}; `segmentation user"):
        offers.of_user(store, day, elsewhere)
    with pytest.raises(SegmentationError, match="no published day has a user 'u99'"):
        offers.of_user(store, day, "u99")


# Names that people give ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_report_says_what_to_show_together_in_each_segment(made, lang):
    store, texts = open_store(made), Texts(lang)
    day = max(folders(store))
    bundles = associations.bundles(store, day)["bundles"]
    page = render(store, day, texts)
    shown = {" + ".join(row["items"]) for row in bundles if row["segment_id"] and row["rank"] <= 3}
    assert shown
    with_some = {row["segment_id"] for row in bundles if row["segment_id"]}
    assert page.count(f"<h4>{texts('portraits.together')}</h4>") == len(with_some)
    assert all(f"<li>{bundle}</li>" in page for bundle in shown)


def test_a_name_of_ones_own_is_a_record_beside_the_history(made):
    store = open_store(made)
    digest, day = store.state().digest(), max(folders(store))
    segment, other = (row["segment_id"] for row in names.segments(store, day))
    assert name_segment(store, segment, "  Die Treuen 忠实 👑 ", "Ann") == "Die Treuen 忠实 👑"
    assert names.segments(store, day)[0]["name"] == "Die Treuen 忠实 👑"
    assert names.segments(store, FIRST + timedelta(days=9), "zh")[0]["name"] == "Die Treuen 忠实 👑"
    assert store.state().digest() == digest
    number = store.state().number
    name_segment(store, segment, "Die Treuen 忠实 👑", "Bob")  # the same again
    assert store.state().number == number
    record = list(store.log.records())[-1]
    assert (record["kind"], record["name"], record["who"]) == ("name", "Die Treuen 忠实 👑", "Ann")
    with pytest.raises(ConfigError, match="is called 'die treuen 忠实 👑' already"):
        name_segment(store, other, "die treuen 忠实 👑", "Ann")
    for bad, told in [
        ("x" * 81, "81 characters"),
        ("a\nb", "cannot be shown"),
        ("a\u202eb\0", "cannot be shown"),
        ("a\u200b", "cannot be shown"),
    ]:
        with pytest.raises(ConfigError, match=told):
            name_segment(store, segment, bad, "Ann")
    with pytest.raises(ConfigError, match="is no segment of a published day; did you mean"):
        name_segment(store, segment[:-1] + ("0" if segment[-1] != "0" else "1"), "x", "Ann")
    assert Log(Objects(made.store_path())).state().names == {segment: "Die Treuen 忠实 👑"}
    assert verify(store) == []
    name_segment(store, segment, "", "Ann")
    assert names.segments(store, day)[0]["name"] != "Die Treuen 忠实 👑"


def test_a_segment_whose_profile_has_the_name_that_people_gave_to_another_is_told_apart(made):
    store = open_store(made)
    day = max(folders(store))
    (segment, _), (other, called) = ((row["segment_id"], row["name"]) for row in names.segments(store, day))
    name_segment(store, segment, called.upper(), "Ann")
    assert [row["name"] for row in names.segments(store, day)] == [called.upper(), f"{called} ({other})"]
    name_segment(store, segment, "", "Ann")


def test_a_name_goes_to_one_segment_that_of_most_users_first():
    state = State()
    state.names = {"a": "甲", "b": "Beta", "c": "Gamma"}
    # Founded anew twice: all of b and half of a came to z; what a had become before is no more.
    state.aliases = [Alias("a", "x", 0.55), Alias("b", "y", 0.9), Alias("a", "z", 0.53), Alias("b", "z", 1.0)]
    assert {one: state.name_of(one) for one in "abcxyz"} == {
        "a": "甲",
        "b": "Beta",
        "c": "Gamma",
        "x": None,
        "y": None,
        "z": "Beta",
    }
    state.aliases = [Alias("a", "x", 0.6), Alias("x", "y", 0.6), Alias("y", "a", 0.6), Alias("c", "x", 0.5)]
    assert state.name_of("y") == "甲"  # in a circle


def test_a_name_follows_a_segment_that_a_history_founded_anew_replaces(made):
    config = shop(made.root, "renewed")
    history.backfill(config, FIRST + timedelta(days=12), FIRST + timedelta(days=16))
    store = open_store(config)
    before = names.segments(store, FIRST + timedelta(days=16))[0]["segment_id"]
    name_segment(store, before, "Stammkunden", "Ann")
    history.run(config, FIRST + timedelta(days=9))  # the history begins earlier now, with segments of its own
    history.reconcile(config)
    after = names.segments(store, FIRST + timedelta(days=16))
    assert before not in [row["segment_id"] for row in after]
    assert [row["name"] for row in after].count("Stammkunden") == 1


def test_a_rule_for_a_segment_that_has_ended_is_no_error_and_one_for_none_is(made):
    config = shop(made.root, "ended", clustering={"segments": 5})
    history.backfill(config, FIRST + timedelta(days=12), FIRST + timedelta(days=13))
    first = {row["segment_id"] for row in names.segments(open_store(config), FIRST + timedelta(days=13))}
    history.run(shop(made.root, "ended"), FIRST + timedelta(days=15))
    last = {row["segment_id"] for row in names.segments(open_store(config), FIRST + timedelta(days=15))}
    (ended, *_) = sorted(first - last)
    rule = '[[actions]]\nname = "one"\noffer = "coupon"\nsegments = ["{}"]\n'
    file = made.root / "actions.toml"
    one = {"actions": {"file": "actions.toml"}}
    file.write_text(rule.format(ended))
    history.run(shop(made.root, "ended", **one), FIRST + timedelta(days=16))
    file.write_text(rule.format("00000000"))
    with pytest.raises(ConfigError, match="'00000000' is not a segment"):
        history.run(shop(made.root, "ended", **one), FIRST + timedelta(days=17))
    assert max(open_store(config).state().published) == FIRST + timedelta(days=16)


# What followed -------------------------------------------------------------------------------------------------------


def test_the_effect_is_that_of_rows_counted_one_by_one(made):
    store = open_store(made)
    last = max(folders(store))
    day = latest(store, last)
    assert day == last - timedelta(days=DAYS)
    rows = [line.split(",") for line in (made.root / "orders.csv").read_text().splitlines()[1:]]
    after = [
        (user, float(amount))
        for _, user, at, _, _, amount in rows
        if day < date.fromisoformat(at[:10]) <= day + timedelta(days=DAYS)
    ]
    members = folders(store)[day].table("memberships").to_pylist()
    for record in effect(store, day):
        mine = [row["user_id"] for row in members if row["segment_id"] == record["segment_id"]]
        spent = [sum(amount for user, amount in after if user == one) for one in mine]
        assert record["users"] == record["spend"]["n"] == len(mine)
        assert record["spend"]["value"] == pytest.approx(np.mean(spent))
        half = 1.959964 * np.std(spent, ddof=1) / np.sqrt(len(mine))
        assert record["spend"]["high"] == pytest.approx(np.mean(spent) + half, rel=1e-5)
        bought = sum(any(user == one for user, _ in after) for one in mine)
        assert record["retention"]["value"] == pytest.approx(bought / len(mine), abs=1e-6)
        assert record["retention"]["low"] <= record["retention"]["value"] <= record["retention"]["high"]
        assert (record["conversion"], record["rating"]) == (None, None)  # neither events nor reviews


def test_only_windows_that_are_over_have_an_effect(made):
    store = open_store(made)
    last = max(folders(store))
    with pytest.raises(SegmentationError, match=r"the 28 days after .* are not over"):
        effect(store, last)
    assert latest(store, FIRST + timedelta(days=9 + DAYS - 1)) is None
