"""The report: self-contained, complete, and safe whatever the texts are."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from geojax.plotting import FigureRow, ReportPicture, html_report, save_report

TIMES = np.array([0.0, 0.5, 1.0, 1.5])
IMAGES = {
    "LERP": np.linspace(-1, 1, 4)[:, None, None, None] * np.ones((4, 1, 8, 6)),
    "geodesic": np.zeros((4, 1, 8, 6)),
}
OPTIONS = {
    "title": "A & B",
    "lead": "from <here> to there",
    "summary": ["It moves."],
    "images": IMAGES,
    "times": TIMES,
    "given": np.zeros((2, 1, 8, 6)),
    "rows": [FigureRow("Length", ["1.5", "1.2"], "How long it is.")],
    "settings": {"model": "</script><b>"},
    "pictures": {"Frames": ReportPicture(Figure(figsize=(1, 1)), "Two rows of squares.")},
}


class Elements(HTMLParser):
    """The tags with their attributes, in order; what is opened must be closed."""

    EMPTY = frozenset(["meta", "img", "input", "br"])

    def __init__(self, page):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def decoded(uri):
    head, content = uri.split(",", 1)
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def constant(page, name):
    return json.loads(re.search(rf"^const {name} = (.*);$", page, flags=re.MULTILINE)[1])


def test_the_page_loads_nothing_from_elsewhere():
    page = html_report(**OPTIONS)
    sources = [
        value
        for _, attributes in Elements(page).tags
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data", "srcset")
    ]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?:|@import|url\(|//[a-z]+\.", re.sub(r"base64,[\w+/=]+", "", page))


def test_the_slider_has_a_frame_for_every_time():
    page = html_report(**OPTIONS)
    frames = constant(page, "paths")
    assert [len(path) for path in frames] == [4, 4]
    assert constant(page, "times") == [0, 0.5, 1, 1.5]
    levels = [decoded(uri).getpixel((0, 0)) for uri in frames[0]]
    np.testing.assert_array_equal(levels, [0, 85, 170, 255])
    slider = next(a for tag, a in Elements(page).tags if tag == "input")
    assert (slider["type"], slider["min"], slider["max"]) == ("range", "0", "3")
    # It begins halfway, where the paths differ, and shows the pictures of that place.
    assert slider["value"] == "1" and re.search(r"^show\(1\);$", page, flags=re.MULTILINE)
    shown = {a.get("id"): a["src"] for tag, a in Elements(page).tags if tag == "img"}
    assert [shown["path-0"], shown["path-1"]] == [path[1] for path in frames]
    ids = {attributes.get("id") for _, attributes in Elements(page).tags}
    assert {"path-0", "path-1", "time", "play", "where", "scrubber"} <= ids


def test_texts_are_escaped():
    page = html_report(**OPTIONS)
    for text in ("A &amp; B", "from &lt;here&gt; to there", "&lt;/script&gt;&lt;b&gt;"):
        assert text in page
    assert page.count("</script>") == 1


def test_figures_settings_and_pictures_are_there():
    page = html_report(**OPTIONS)
    for text in ("Length", "1.5", "1.2", "How long it is.", "It moves.", "Frames", "beyond B"):
        assert text in page
    assert "beyond B</span>" not in html_report(
        **OPTIONS | {"times": TIMES[:3], "images": {"a": np.zeros((3, 1, 8, 6))}, "rows": []}
    )


def test_rows_of_dashes_and_of_one_method():
    rows = [
        FigureRow("Length", ["1.5", "1.2"], "How long it is."),
        FigureRow("Nothing", ["–", "–"], "Not known."),
        FigureRow("Iterations", ["–", "8"], "Of the solver."),
        FigureRow("Of LERP", ["3", "–"], "It stays."),
    ]
    page = html_report(**OPTIONS | {"rows": rows})
    assert "Nothing" not in page and "Not known." not in page
    figures, alone = page.split("Of the geodesic alone")
    assert "Of LERP" in figures and "Iterations" not in figures and "Iterations" in alone


def test_for_those_who_do_not_see_the_pictures():
    page = html_report(**OPTIONS)
    tags = Elements(page).tags
    texts = [attributes["alt"] for tag, attributes in tags if tag == "img"]
    assert all(texts) and texts[:2] == ["The given picture A", "The given picture B"]
    assert texts[2:] == [
        "LERP: a picture on the way",
        "geodesic: a picture on the way",
        OPTIONS["pictures"]["Frames"].description,
    ]
    button = next(attributes for tag, attributes in tags if tag == "button")
    assert "aria-pressed" not in button  # its label says what it does
    assert "prefers-reduced-motion" in page
    assert 'where.setAttribute("aria-live", "off")' in page  # while it plays
    names = [tag for tag, _ in tags]
    assert names.index("details") < names.index("summary")


def test_the_verdict_is_above_the_pictures():
    page = html_report(**OPTIONS, problems=["It is under-resolved."], notes=["Mind the score."])
    assert page.index("It is under-resolved.") < page.index("<img")
    assert page.index("Mind the score.") < page.index("<img")
    assert "Successful." not in page
    assert "Successful." in html_report(**OPTIONS)


def test_numbers_must_fit():
    with pytest.raises(ValueError, match=r"rows of 3 frames, got \[4\]"):
        html_report(**OPTIONS | {"times": TIMES[:3]})
    with pytest.raises(ValueError, match="needs 2 values"):
        html_report(**OPTIONS | {"rows": [FigureRow("Length", ["1.5"], "")]})


def test_it_is_written_whole(tmp_path):
    save_report(html_report(**OPTIONS), tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text().rstrip().endswith("</html>")
