"""The life of every segment, read from days that are made by hand."""

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from languages import Recording, entries
from rich.console import Console
from synthetic import write_config

from segmentation.cli import main
from segmentation.cli.lives import lives as table
from segmentation.clustering.model import Fit, MadeBy, Model
from segmentation.config import Clustering, Features
from segmentation.errors import SegmentationError
from segmentation.monitor.lives import lives
from segmentation.store import commits
from segmentation.store.snapshots import Folder
from segmentation.store.state import Published
from segmentation.store.store import Store, open_store
from segmentation.texts import LANGUAGES
from segmentation.tracking.identity import carry_over, segment_events

FIRST = date(2026, 1, 5)
AXIS = {"feature": "recency", "fill": 0.0, "log": False, "low": -9.0, "high": 9.0, "mean": 0.0, "sd": 1.0}


def on(offset: int) -> str:
    return (FIRST + timedelta(days=offset)).isoformat()


class Story:
    """A history that is told day by day: what is published are only the files that lives are read from."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store: Store = open_store(write_config(root))
        self.day = FIRST
        self.users: list[int] = []

    def found(self, *users: int) -> Model:
        self.model = Model.founded(made_fit(len(users)), "fit", self.day, MadeBy(Features(), Clustering()))
        self.users = list(users)
        born = [{"event": "born", "from": [], "to": [name], "overlap": {}} for name in self.model.ids]
        self._publish("baseline", born)
        return self.model

    def hold(self, *users: int) -> None:
        self.users = list(users)
        self._publish("hold", [])

    def restructure(self, counts: list[list[int]]) -> Model:
        matrix = np.array(counts)
        self.model, events = carry_over(self.model, self.model.ids, made_fit(matrix.shape[1]), "fit", self.day, matrix)
        self.users = [int(count) for count in matrix.sum(axis=0)]
        self._publish("restructure", events)
        return self.model

    def _publish(self, decision: str, events: list[dict[str, Any]]) -> None:
        told = segment_events(self.model, events, self.day)
        rows = [
            {"segment_id": s.segment_id, "event": told[s.segment_id], "parents": ",".join(s.parents), "users": count}
            for s, count in zip(self.model.segments, self.users, strict=True)
        ]
        folder = Folder(self.store.objects, self.day, "derivation")
        folder.put_table("segments", pa.Table.from_pylist(rows))
        folder.put_json("decision", {"date": self.day.isoformat(), "decision": decision, "events": events})
        summary = {"users": sum(self.users), "segments": len(rows), "decision": decision, "moved": 0}
        commits.publish(self.store, self.day, Published("", "derivation", None, None, folder.path, {}, summary), [])
        self.day += timedelta(days=1)

    def lives(self, until: int | None = None) -> dict[str, dict[str, Any]]:
        last = self.day - timedelta(days=1) if until is None else FIRST + timedelta(days=until)
        return {life["segment_id"]: life for life in lives(self.store, last)}


def made_fit(segments: int) -> Fit:
    centres = [[float(place)] for place in range(segments)]
    return Fit.from_document({"algorithm": "kmeans", "transform": [AXIS], "centres": centres})


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_a_segment_that_only_lives_has_its_birth_and_its_users_now(story: Story) -> None:
    only = story.found(5, 7).ids[0]
    story.hold(6, 6)
    life = story.lives()[only]
    assert {name: value for name, value in life.items() if name != "events"} == {
        "segment_id": only,
        "name": only,
        "born": on(0),
        "began": "born",
        "parents": [],
        "users_at_birth": 5,
        "last_day": on(1),
        "users": 6,
        "alive": True,
        "ended": None,
        "end": None,
        "into": [],
        "overlap": {},
    }
    assert [event["event"] for event in life["events"]] == ["born"]


def test_a_split_ends_the_id_that_nobody_holds_half_of_and_names_the_parent_of_its_children(story: Story) -> None:
    one, other = story.found(100, 50).ids
    story.hold(90, 60)
    children = story.restructure([[40, 35, 25, 0], [0, 0, 0, 60]]).ids[:3]
    story.hold(41, 36, 24, 59)
    lives = story.lives()
    life = lives[one]
    assert (life["alive"], life["last_day"], life["users"]) == (False, on(1), 90)
    assert (life["ended"], life["end"], life["into"]) == (on(2), "split", sorted(children))
    assert life["overlap"] == dict(zip(children, (0.4, 0.35, 0.25), strict=True))
    child = lives[children[0]]
    assert (child["born"], child["began"], child["parents"]) == (on(2), "split", [one])
    assert (child["users_at_birth"], child["users"]) == (40, 41)
    assert [event["event"] for event in lives[other]["events"]] == ["born", "survived"]


def test_merged_absorbed_and_died_are_told_with_their_shares(story: Story) -> None:
    large, small, tiny, empty = story.found(100, 80, 5, 0).ids
    story.restructure([[100], [80], [5], [0]])
    lives = story.lives()
    ends = {name: (lives[name]["end"], lives[name]["into"], lives[name]["overlap"]) for name in (small, tiny, empty)}
    assert ends == {
        small: ("merged", [large], {large: 1.0}),
        tiny: ("absorbed", [large], {large: 1.0}),
        empty: ("died", [], {}),
    }
    assert lives[large]["alive"]
    assert [event["event"] for event in lives[large]["events"]] == ["born", "merged", "absorbed"]
    assert lives[large]["events"][2]["share_of_to"] == {tiny: {large: round(5 / 185, 6)}}


def test_a_segment_that_splits_and_leaves_a_part_to_another_has_one_end(story: Story) -> None:
    one, other = story.found(100, 60).ids
    first, second, _ = story.restructure([[40, 35, 25], [0, 0, 60]]).ids
    life = story.lives()[one]
    assert [event["event"] for event in life["events"]] == ["born", "split", "merged"]
    assert (life["end"], life["into"]) == ("split", sorted([first, second, other]))


def test_a_life_is_told_up_to_the_day_that_is_asked_for(story: Story) -> None:
    one = story.found(100).ids[0]
    children = story.restructure([[40, 35, 25]]).ids
    assert set(story.lives(0)) == {one}
    assert story.lives(0)[one]["alive"]
    assert set(story.lives()) == {one, *children}
    with pytest.raises(SegmentationError, match="has no published snapshot"):
        story.lives(30)


def test_a_segment_that_only_days_of_an_older_history_know_has_no_end(story: Story) -> None:
    old = story.found(10).ids[0]
    new = story.found(10).ids[0]  # as where the day before was derived anew, from other rows, and this one is stale
    lives = story.lives()
    assert (lives[old]["alive"], lives[old]["end"], lives[old]["last_day"]) == (False, None, on(0))
    assert lives[new]["alive"]


def test_the_oldest_segments_stand_first_and_of_these_the_larger(story: Story) -> None:
    ids = story.found(5, 9, 9).ids
    story.restructure([[5, 0, 0, 0], [0, 8, 0, 1], [0, 0, 9, 0]])
    born = list(story.lives())
    assert born[:3] == [*sorted(ids[1:]), ids[0]]
    assert story.lives()[born[3]]["born"] == on(1)


def test_the_command_tells_the_same_as_json_and_in_words(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as exited:
            main(["--config", str(story.root / "segmentation.toml"), "segments", "--history", *arguments])
        assert exited.value.code == 0
        return capsys.readouterr().out

    one, other, small, empty = story.found(100, 80, 5, 0).ids
    story.restructure([[60, 40, 0], [0, 0, 80], [0, 0, 5], [0, 0, 0]])
    new = story.model.ids[1]
    assert json.loads(run("--json")) == lives(story.store, FIRST + timedelta(days=1))
    shown = run()
    for words in (
        f"split into itself (60%), {new} (40%)",
        f"split off from {one}",
        f"absorbed by {other} (100%)",
        f"took in {small}, now 6% of it",
        "survived a new model (100%)",
        "died: it was nobody's nearest any more",
        "5 segments, 3 alive (bold). Shares are of the users to whom it was the nearest and who were not far from all.",
    ):
        assert words in shown
    assert empty in shown
    assert "5 segments" not in run("--date", on(0))
    in_chinese = run("--lang", "zh")
    assert re.findall("[A-Za-z]{2,}", re.sub(r"\b[0-9a-f]{8}\b", "", in_chinese)) == []
    for words in (f"分裂为自身（60%）、{new}（40%）", f"由 {one} 分裂而来", f"并入 {other}（100%）", "共 5 个分群"):
        assert words in in_chinese


@pytest.mark.parametrize("lang", LANGUAGES)
def test_whatever_happens_to_a_segment_has_its_words(story: Story, lang: str) -> None:
    texts = Recording(lang)
    one, other, small, tiny, empty = story.found(100, 100, 80, 5, 0).ids
    told = [
        life_of(one, began="merged", parents=[other, small], end="split", events=[event("split", [one], [one, other])]),
        life_of(one, began="split", parents=[other], events=[event("merged", [one, small], [other])]),
        life_of(one, began="split", alive=False, events=[event("merged", [one, small], [one])]),
        life_of(one, began="merged", alive=False, events=[event("merged", [one, other], [other])]),
        life_of(one, parents=[other], end="absorbed", events=[event("absorbed", [one], [other])]),
        life_of(other, events=[event("absorbed", [one], [other]), event("survived", [other], [other])]),
        life_of(tiny, end="died", events=[event("died", [tiny], [one])]),
        life_of(empty, end="died", events=[event("died", [empty], [])]),
    ]
    table(Console(width=200), told, texts)
    assert {key for key in entries(lang) if key.startswith("lives.")} <= texts.asked


def life_of(segment_id: str, **of: Any) -> dict[str, Any]:
    life = {"segment_id": segment_id, "name": segment_id, "born": on(0), "began": "born", "parents": [], "users": 5}
    return {**life, "users_at_birth": 5, "last_day": on(2), "alive": not of.get("end"), "end": None, **of}


def event(name: str, origins: list[str], ends: list[str]) -> dict[str, Any]:
    shares = {origin: dict.fromkeys(ends, 0.5) for origin in origins if ends}
    return {"date": on(1), "event": name, "from": origins, "to": ends, "overlap": shares, "share_of_to": shares}
