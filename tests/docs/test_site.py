"""The documentation site is built strictly, and opened in a browser that follows every link."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from tests.source import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CRAWLER = Path(__file__).with_name("crawler.html")
# What somebody with this question types, and the page that answers it.
QUESTIONS = {
    "solve failed": "when_to_trust/",
    "which metric": "how_to_choose/",
    "which lambda": "how_to_choose/",
    "torch model": "bring_your_own_model/",
    "two GPUs": "many_devices/",
}


def built_in(folder: Path) -> Path:
    """The site, built strictly."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Report(NamedTuple):
    """What the crawler found: of every page by its address, of searches, the two backgrounds."""

    origin: str
    pages: dict[str, dict[str, Any]]
    searches: dict[str, list[str]]
    schemes: tuple[str, str]


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves the site and the crawler, and takes its report."""

    def __init__(self, *arguments, plan, report, arrived, **options):
        self.plan, self.report, self.arrived = plan, report, arrived
        super().__init__(*arguments, **options)

    def do_GET(self):
        own = {"/crawl.json": json.dumps(self.plan), "/crawler.html": CRAWLER.read_text()}
        if self.path not in own:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if "html" in self.path else "text/json")
        self.end_headers()
        self.wfile.write(own[self.path].encode())

    def do_POST(self):
        self.report.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.arrived.set()

    def log_message(self, *_):
        pass


def pages_of(site: Path) -> list[str]:
    return [
        "/" + path.relative_to(site).as_posix().removesuffix("index.html")
        for path in sorted(site.rglob("*.html"))
        if path.name != "404.html"
    ]


def crawled(site: Path, profile: Path) -> Report:
    """What a browser finds on every page."""
    report, arrived = {}, threading.Event()
    handler = functools.partial(
        Server,
        plan={"pages": pages_of(site), "searches": [*QUESTIONS]},
        report=report,
        arrived=arrived,
        directory=str(site),
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        command = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        browser = subprocess.Popen(
            [*command, f"{origin}/crawler.html"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert arrived.wait(300), "the browser did not report in five minutes"
        finally:
            browser.terminate()
            browser.wait(30)
            server.shutdown()
    assert "error" not in report, report["error"]
    pages = {origin + url: found for url, found in report["pages"].items()}
    return Report(origin, pages, report["searches"], report["schemes"])


def broken_links(site: Path, report: Report) -> tuple[int, list[tuple[str, str]]]:
    """How many internal links there are, and which of them lead nowhere."""
    followed, broken = 0, []
    for page, found in report.pages.items():
        for link in {*found["links"], *found["pictures"]}:
            target, anchor = urldefrag(link)
            if not target.startswith(report.origin):
                assert urlsplit(target).scheme in {"http", "https", "mailto"}, link
                continue
            followed += 1
            if target in report.pages:
                if anchor and unquote(anchor) not in report.pages[target]["anchors"]:
                    broken.append((page, link))
            elif not (site / unquote(urlsplit(target).path).lstrip("/")).is_file():
                broken.append((page, link))
    return followed, broken


def check_links(site: Path, report: Report) -> None:
    """Every internal link and anchor, and every picture, is there."""
    assert len(report.pages) > 30
    assert all(found["headings"] == 1 for found in report.pages.values())
    followed, broken = broken_links(site, report)
    assert followed > 1000 and not broken
    assert not [found["pictures"] for found in report.pages.values() if found["pictures"]]


def check_resources(report: Report) -> None:
    """A page asks no other server for anything."""
    resources = {name for found in report.pages.values() for name in found["resources"]}
    assert resources and all(name.startswith(report.origin) for name in resources)


def check_layout(report: Report) -> None:
    """Pages fit a phone, formulas are MathML, and there is a dark scheme."""
    wide = {url: found["overflow"] for url, found in report.pages.items()}
    assert not {url: overflow for url, overflow in wide.items() if overflow > 0}
    assert report.pages[f"{report.origin}/theory/"]["formulas"] > 30
    light, dark = report.schemes
    assert light != dark


def check_search(report: Report) -> None:
    """A question leads to the page that answers it, among the first two pages of results."""
    for words, page in QUESTIONS.items():
        found = [urldefrag(link)[0].partition("?")[0] for link in report.searches[words]]
        first = [*dict.fromkeys(found)][:2]
        assert f"{report.origin}/{page}" in first, (words, first)


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "a.png").touch()
    good = ["http://x/b/#here", "http://x/a.png", "https://elsewhere.org/"]
    bad = ["http://x/b/#there", "http://x/c/", "http://x/b.png"]
    pages = {
        "http://x/": {"links": good + bad[:2], "pictures": bad[2:], "anchors": []},
        "http://x/b/": {"links": [], "pictures": [], "anchors": ["here"]},
    }
    followed, broken = broken_links(tmp_path, Report("http://x", pages, {}, ("", "")))
    assert followed == 5 and sorted(link for _, link in broken) == sorted(bad)


@pytest.mark.slow
def test_the_site_in_a_browser(tmp_path):
    pytest.importorskip("material", reason="the extra docs is not installed")
    site = built_in(tmp_path / "site")
    if CHROMIUM is None:
        pytest.skip("the site is built; there is no Chromium to open it in")
    report = crawled(site, tmp_path / "profile")
    check_links(site, report)
    check_resources(report)
    check_layout(report)
    check_search(report)
