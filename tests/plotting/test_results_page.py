"""The page of an experiment: self-contained, complete, and safe whatever the texts are."""

import pytest
from matplotlib.figure import Figure

from geojax.experiments import with_error
from geojax.experiments._experiment import flat_settings, page_tables
from geojax.plotting import ResultPicture, ResultTable, results_page

from .test_report import Elements, decoded

MEANS = [
    {"method": "LERP", "t": 0.4, "error": 0.51234, "error_se": 0.021},
    {"method": "a <b> & c", "t": None, "error": None, "error_se": None},
]
TEXTS = {"title": "Errors", "meaning": "In pixels.", "columns": ["error"]}


def test_the_page_has_its_tables_its_pictures_and_its_settings():
    about = {"command": "geojax </script>", "versions": {"jax": "0.10"}, "levels": (0.1, 0.4)}
    about["protocols"] = [{"name": "clean", "t": 0.4}]
    page = results_page(
        title="An experiment",
        lead="What it is.",
        tables=page_tables({"names": ["method", "t"], "tables": [TEXTS]}, {"means": MEANS}),
        pictures=[ResultPicture("A figure", "What it shows.", Figure(figsize=(1, 1)))],
        settings=flat_settings(about),
        notes=["Read this."],
    )
    tags = Elements(page).tags
    (image,) = [attributes for tag, attributes in tags if tag == "img"]
    assert decoded(image["src"]).size == (130, 130)
    assert not [a for _, a in tags for name in ("href", "action", "srcset") if name in a]
    cells = ["0.512 ± 0.021", "a &lt;b&gt; &amp; c", "geojax &lt;/script&gt;", "0.1, 0.4"]
    for text in [*cells, "versions: jax", "protocols: clean: t", "What it shows.", "Read this."]:
        assert text in page
    assert page.count('<th scope="col" class="number">') == 1  # two columns are names


def test_a_table_shows_the_selected_rows():
    texts = {"names": ["method"], "tables": [TEXTS | {"where": {"t": "*"}}]}
    (known,) = page_tables(texts, {"means": MEANS})
    assert [row[0] for row in known.rows] == ["LERP"]
    texts["tables"] = [TEXTS | {"where": {"t": "–"}, "detail": True}]
    (unknown,) = page_tables(texts, {"means": MEANS}, detail=True)
    assert [row[0] for row in unknown.rows] == [MEANS[1]["method"]]
    assert page_tables(texts, {"means": MEANS}) == []


def test_cells_that_do_not_fit_the_columns():
    table = ResultTable("Errors", "", ["method", "error"], [["LERP"]])
    with pytest.raises(ValueError, match=r"table 'Errors' needs 2 cells, one a column, got 1"):
        results_page(title="", lead="", tables=[table], pictures=[], settings={})


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.5, 1e-9, "0.5 ± 1e-09"),
        (float("inf"), None, "–"),
        (0.1 + 0.2, 0.0, "0.3"),
        (1234.5, 250.0, "1234 ± 250"),
    ],
)
def test_figures_with_their_errors(value, error, text):
    assert with_error(value, error) == text
