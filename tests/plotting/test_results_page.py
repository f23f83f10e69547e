"""The page of an experiment: self-contained, complete, and safe whatever the texts are."""

import pytest
from matplotlib.figure import Figure

from geojax.experiments import with_error
from geojax.experiments._page import means_table, write_page
from geojax.plotting import ResultPicture, ResultTable, results_page

from .test_report import Elements, decoded

MEANS = [
    {"method": "LERP", "t": 0.4, "error": 0.51234, "error_se": 0.021},
    {"method": "a <b> & c", "t": None, "error": None, "error_se": None},
]
TABLE = means_table(
    MEANS, {"method": "method", "t": "t"}, {"error": "error"}, title="Errors", meaning="In pixels."
)


def test_the_page_has_its_tables_its_pictures_and_its_settings(tmp_path):
    write_page(
        tmp_path / "page.html",
        title="An experiment",
        lead="What it is.",
        tables=[TABLE],
        pictures=[ResultPicture("A figure", "What it shows.", Figure(figsize=(1, 1)))],
        plan={"levels": (0.1, 0.4), "protocol": {"t": 0.4}},
        about={"command": "geojax </script>", "versions": {"jax": "0.10"}},
        notes=["Read this."],
    )
    page = (tmp_path / "page.html").read_text()
    tags = Elements(page).tags
    (image,) = [attributes for tag, attributes in tags if tag == "img"]
    assert decoded(image["src"]).size == (130, 130)
    assert not [a for _, a in tags for name in ("href", "action", "srcset") if name in a]
    cells = ["0.512 ± 0.021", "a &lt;b&gt; &amp; c", "geojax &lt;/script&gt;", "0.1, 0.4"]
    for text in [*cells, "versions: jax", "protocol: t", "What it shows.", "Read this."]:
        assert text in page
    assert page.count('<th scope="col" class="number">') == 1  # two columns are names


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
