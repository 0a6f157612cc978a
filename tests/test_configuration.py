"""The configuration: what it accepts, what it refuses and how, and that its page is true."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from segmentation.clustering.model import MadeBy
from segmentation.config import Recipe, load, reference
from segmentation.errors import ConfigError

MINIMAL = '[sources.orders]\npath = "orders.csv"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "segmentation.toml"
    path.write_text(text)
    return path


def test_the_page_of_the_settings_is_what_the_code_says() -> None:
    """To renew it: python -c "from segmentation.config import reference; print(reference(), end='')"."""
    assert (Path(__file__).parents[1] / "docs" / "configuration.md").read_text() == reference()


def test_a_minimal_file_is_enough(tmp_path: Path) -> None:
    config = load(written(tmp_path, MINIMAL), {})
    assert config.store_path() == tmp_path / "store"
    assert config.clustering.segments == "auto"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[clustering]\nsegmnts = 4\n", "did you mean 'segments'"),
        ("[clusterin]\nsegments = 4\n", "did you mean 'clustering'"),
        ("[sources.reviews]\npath = 'r.csv'\noptions = { rating = [-inf, 5] }\n", "give two finite numbers"),
        ("[features]\nwindow_day = 4\n", "did you mean 'window_days'"),
        ('[clustering]\nalgorithm = "dbscan"\nsegments = 4\n', "dbscan finds their number itself"),
        ("[clustering]\nmin_segments = 9\nmax_segments = 4\n", "min_segments (9) is above max_segments (4)"),
        ("[clustering]\nsegments = 1\n", "give a whole number from 2 to 50"),
        ("[clustering]\nfeatures = ['trend', 'trend']\n", "name 1 to 8 different features, not 2: trend, trend"),
        ('[project]\ntimezone = "Mars/Base"\n', "unknown time zone 'Mars/Base'"),
        ("[project]\nstart = 2024-02-01\nend = 2024-01-01\n", "end (2024-01-01) is before start (2024-02-01)"),
        ("[features]\nwindow_days = 0\n", "[features] window_days = 0"),
        ("[features]\nwindow_days = 'many'\n", "[features] window_days = 'many'"),
        ("[sources.orders.columns]\nuser = 'x'\n", "did you mean 'user_id'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, MINIMAL + text), {})
    assert said in str(error.value)
    assert "segmentation.toml" in str(error.value)


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("segments = 'six'", "a whole number from 2 to 50, or 'auto'"),
        ("segments = 4.5", "a whole number from 2 to 50, or 'auto'"),
        ("segments = 51", "a whole number from 2 to 50, or 'auto'"),
        ("features = 'all'", "a list of 1 to 8 features, or 'auto'"),
        ("features = [1, 2]", "a list of 1 to 8 features, or 'auto'"),
        ("eps = 'near'", "a number above 0, or 'auto'"),
        ("eps = 0", "a number above 0, or 'auto'"),
        ("eps = inf", "a number above 0, or 'auto'"),
        ("min_samples = 'big'", "a whole number above 1, or 'auto'"),
        ("min_samples = 1", "a whole number above 1, or 'auto'"),
        ("min_samples = 2.5", "a whole number above 1, or 'auto'"),
    ],
)
def test_a_setting_that_may_be_auto_is_explained_in_one_sentence(tmp_path: Path, setting: str, wanted: str) -> None:
    path = written(tmp_path, MINIMAL + f"[clustering]\n{setting}\n")
    with pytest.raises(ConfigError) as error:
        load(path, {})
    assert str(error.value) == f"{path}: [clustering] {setting}: give {wanted}"


CONTRADICTIONS = [
    (
        "clustering",
        {"eps": 0.5},
        "eps = 0.5 is for DBSCAN, and algorithm = 'kmeans': set algorithm = 'dbscan', or leave eps out",
    ),
    (
        "clustering",
        {"algorithm": "hdbscan", "eps": 0.5},
        "eps = 0.5 is for DBSCAN, and algorithm = 'hdbscan': set algorithm = 'dbscan', or leave eps out",
    ),
    (
        "clustering",
        {"min_samples": 8},
        "min_samples = 8 is for DBSCAN and HDBSCAN, and algorithm = 'kmeans': "
        "set algorithm = 'dbscan' or 'hdbscan', or leave min_samples out",
    ),
    (
        "clustering",
        {"segments": 8, "max_segments": 6},
        "segments = 8 is above max_segments (6), which bounds 'auto' alone: "
        "leave max_segments out, or set segments = 'auto'",
    ),
    (
        "clustering",
        {"segments": 3, "min_segments": 4},
        "segments = 3 is below min_segments (4), which bounds 'auto' alone: "
        "leave min_segments out, or set segments = 'auto'",
    ),
    (
        "adjustment",
        {"move_points": 20000},
        "move_points (20000) is above return_points (18000): users would come back to a segment sooner than leave it; "
        "set return_points to 20000 or more, or lower move_points",
    ),
    (
        "adjustment",
        {"challenge_every_days": 3},
        "challenge_every_days (3) is below evaluate_every_days (7): another model is fitted on evaluation days only; "
        "raise the one, or lower the other",
    ),
]


def section(name: str, settings: dict[str, Any]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {value!r}" for key, value in settings.items())]) + "\n"


@pytest.mark.parametrize(("name", "settings", "said"), CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_named_with_the_way_out(
    tmp_path: Path, name: str, settings: dict[str, Any], said: str
) -> None:
    path = written(tmp_path, MINIMAL + section(name, settings))
    with pytest.raises(ConfigError) as error:
        load(path, {})
    assert str(error.value) == f"{path}: [{name}] {said}"


@pytest.mark.parametrize(("name", "settings", "said"), CONTRADICTIONS)
def test_what_an_earlier_version_took_can_still_be_read_from_its_history(
    tmp_path: Path, name: str, settings: dict[str, Any], said: str
) -> None:
    recipe = load(written(tmp_path, MINIMAL), {}).recipe().document()
    recipe[name] |= settings
    kept = Recipe(**recipe)
    assert kept.document() == recipe, said
    made_by = MadeBy(kept.features, kept.clustering)
    assert MadeBy.from_document(made_by.document()) == made_by


@pytest.mark.parametrize(
    "settings",
    [
        {"segments": 12},  # above the max_segments that nobody has written
        {"segments": 4, "min_segments": 2, "max_segments": 6},
        {"eps": "auto", "min_samples": "auto"},
        {"algorithm": "dbscan", "eps": 0.5, "min_samples": 8},
        {"algorithm": "hdbscan", "min_samples": 8},
    ],
)
def test_settings_that_agree_are_taken(tmp_path: Path, settings: dict[str, Any]) -> None:
    clustering = load(written(tmp_path, MINIMAL + section("clustering", settings)), {}).clustering
    assert {name: getattr(clustering, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "[sources] is missing"),
        ("[sources.orders]\n", "exactly one of path, sql and sample"),
        ("= 3", "is not valid TOML"),
    ],
)
def test_a_file_without_its_source_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, text), {})
    assert said in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration file"):
        load(tmp_path / "nothing.toml", {})


def test_the_environment_overrides_single_settings(tmp_path: Path) -> None:
    environment = {"SEGMENTATION__STORE__URL": "file:elsewhere", "SEGMENTATION__PROJECT__START": "2024-05-01"}
    config = load(written(tmp_path, MINIMAL), environment)
    assert config.store_path() == tmp_path / "elsewhere"
    assert config.project.start == date(2024, 5, 1)


def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    config = load(written(tmp_path, MINIMAL + '[store]\nurl = "s3://bucket"\n'), {})
    with pytest.raises(ConfigError, match="on local disk"):
        config.store_path()


def test_the_recipe_is_what_can_change_a_result(tmp_path: Path) -> None:
    """Where the rows are and how far back they are read again is not in it; how they are read is."""
    first = load(written(tmp_path, MINIMAL), {}).recipe()
    moved = load(
        written(tmp_path, MINIMAL.replace("orders.csv", "o.csv") + "[sources.orders.options]\nlookback_days = 1\n"), {}
    )
    assert moved.recipe().hash == first.hash
    read = load(written(tmp_path, MINIMAL + '[sources.orders.options]\ndelimiter = ";"\n'), {}).recipe()
    assert read.hash != first.hash
    assert read.reading != first.reading
    wider = load(written(tmp_path, MINIMAL + "[features]\nwindow_days = 30\n"), {}).recipe()
    assert wider.hash != first.hash
    assert wider.reading == first.reading


def test_a_number_beyond_its_bounds_says_what_the_setting_means(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, MINIMAL + "[adjustment]\nask_above = 25\n"), {})
    assert "[adjustment] ask_above = 25: Input should be less than or equal to 1 (" in str(error.value)
    assert "share" in str(error.value).lower()
