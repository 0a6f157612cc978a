"""Whatever is wrong with the input: a clear message, nothing false published, nothing lost. One row per kind."""

import pytest
from cases_of_days import DAYS
from cases_of_files import DATABASES, FILES, HEADERS, SQL
from cases_of_rows import ROWS, TIMES
from cases_of_settings import SETTINGS
from cases_of_stores import STORES
from spoilt import Case, Shop

from segmentation.contracts import acceptance
from segmentation.contracts.gate import Verdict

CASES = [*FILES, *HEADERS, *ROWS, *TIMES, *DAYS, *SQL, *DATABASES, *SETTINGS, *STORES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case: Case, shop: Shop, request: pytest.FixtureRequest) -> None:
    digest = shop.store().state().digest()
    if case.database:
        shop.database = request.getfixturevalue("server")
    if not case.gate:
        shop.patch.setattr(acceptance, "gate", lambda *_: Verdict((), ()))
    case.spoil(shop)
    case.check(shop, digest)


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 45
