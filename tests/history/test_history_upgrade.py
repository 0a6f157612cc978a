"""A history that an earlier version began, which made no profiles, names, rules and actions, goes on."""

from datetime import timedelta

import pytest
from item_shop import FIRST, shop, write_shop

from segmentation import history, served
from segmentation.errors import SegmentationError
from segmentation.monitor import associations, effect, names, offers
from segmentation.monitor.profiles import profiles
from segmentation.monitor.report import render
from segmentation.store.names import name_segment
from segmentation.store.snapshots import DAILY, Folder
from segmentation.store.state import State
from segmentation.store.store import open_store
from segmentation.store.verify import verify
from segmentation.texts import Texts

OLD, NEW = FIRST + timedelta(days=9), FIRST + timedelta(days=10)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    root = tmp_path_factory.mktemp("upgrade")
    write_shop(root)
    config = shop(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served, "serve", lambda *_: None)
        history.run(config, OLD)
    history.run(config, NEW)
    return config


def test_the_next_day_has_all_and_nothing_is_damaged(config):
    store = open_store(config)
    served = [Folder.at(store.objects, store.state().published[day].folder).is_served for day in (OLD, NEW)]
    assert served == [False, True]
    assert verify(store) == []
    assert history.stale(config) == []
    assert len(profiles(store, NEW)) == 2
    assert Texts("en")("portraits.title") in render(store, NEW, Texts("en"))


@pytest.mark.parametrize("read", [profiles, associations.rules, associations.bundles, offers.actions])
def test_what_an_old_day_lacks_is_told_with_what_to_do(config, read):
    with pytest.raises(SegmentationError, match=f"{OLD} was published by an earlier version.*--from {OLD}"):
        read(open_store(config), OLD)


def test_an_old_day_is_read_as_before(config):
    store = open_store(config)
    rows = names.segments(store, OLD)
    assert [row["name"] for row in rows] == [row["segment_id"] for row in rows]
    page = render(store, OLD, Texts("en"))
    assert Texts("en")("sizes.title") in page
    assert Texts("en")("portraits.title") not in page
    name_segment(store, rows[0]["segment_id"], "Regulars", "Ann")
    assert names.segments(store, OLD)[0]["name"] == "Regulars"
    assert effect.latest(store, NEW) is None


def test_restated_it_has_all(config):
    changed = shop(config.root, rules={"min_support": 0.03, "min_count": 3})
    history.restate(changed, OLD)
    assert len(profiles(open_store(changed), OLD)) == 2
    assert verify(open_store(changed)) == []


def test_days_of_a_version_that_had_next_items_on_some_days_only(tmp_path):
    write_shop(tmp_path)
    config, put = shop(tmp_path), Folder.put_table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "put_table", lambda self, name, table: name in DAILY or put(self, name, table))
        history.backfill(config, OLD, NEW)
    later = NEW + timedelta(days=1)
    history.run(config, later)
    store = open_store(config)
    there = [Folder.at(store.objects, store.state().published[day].folder).path for day in (OLD, NEW, later)]
    assert [store.objects.exists(f"{path}/next_items.parquet") for path in there] == [False, False, True]
    assert verify(store) == []
    user = Folder.at(store.objects, there[1]).table("memberships")["user_id"][0].as_py()
    assert offers.of_user(store, NEW, user)["next_items"] == []
    assert offers.of_user(store, later, user)["user_id"] == user


def test_a_checkpoint_without_names_is_read():
    document = State().document()
    del document["names"]
    assert State.from_document(document).names == {}
