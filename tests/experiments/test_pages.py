"""The tables of `pages.toml` fit results that were measured before."""

import json

import pytest

from geojax.experiments._experiment import PAGES, page_tables
from tests.source import ROOT

NAMES = ("synthetic", "rotated_mnist", "characters")
MEASURED = [
    (path.parent.name, path.stem)
    for path in sorted((ROOT / "benchmarks" / "results").glob("*/*.json"))
    if path.stem in NAMES
]


@pytest.mark.parametrize("folder, name", MEASURED)
def test_kept_results_still_make_a_page(folder, name):
    path = ROOT / "benchmarks" / "results" / folder / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content = {key: rows for key, rows in content.items() if key in ("means", "far", "distances")}
    tables = [*page_tables(PAGES[name], content), *page_tables(PAGES[name], content, detail=True)]
    assert tables
    for table in tables:
        figures = [cell for row in table.rows for cell in row[table.texts :]]
        assert set(figures) != {"–"}, table.title


def test_every_experiment_has_results_and_texts():
    assert {name for _, name in MEASURED} == {*NAMES}
    for name in NAMES:
        for picture in PAGES[name]["pictures"].values():
            assert picture["title"] and picture["meaning"]
