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
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from tests.source import ROOT

pytestmark = pytest.mark.slow

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


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the built site."""
    pytest.importorskip("material", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
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


@pytest.fixture(scope="module")
def crawled(site, tmp_path_factory):
    """What a browser found on every page, with the address of the server."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium to open the pages in")
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
        profile = tmp_path_factory.mktemp("profile")
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
    return origin, report


def test_every_internal_link_and_anchor_is_there(site, crawled):
    origin, report = crawled
    pages = {origin + url: found for url, found in report["pages"].items()}
    assert len(pages) > 30 and all(found["headings"] == 1 for found in pages.values())
    followed, broken = 0, []
    for page, found in pages.items():
        for link in {*found["links"], *found["pictures"]}:
            target, anchor = urldefrag(link)
            if not target.startswith(origin):
                assert urlsplit(target).scheme in {"http", "https", "mailto"}, link
                continue
            followed += 1
            if target in pages:
                # The anchor of a tab or a code line is added by a script.
                if anchor and unquote(anchor) not in pages[target]["anchors"]:
                    broken.append((page, link))
            elif not (site / unquote(urlsplit(target).path).lstrip("/")).is_file():
                broken.append((page, link))
    assert followed > 1000 and not broken
    assert not [found["pictures"] for found in pages.values() if found["pictures"]]


def test_a_page_asks_no_other_server_for_anything(crawled):
    origin, report = crawled
    resources = {name for found in report["pages"].values() for name in found["resources"]}
    assert resources and all(name.startswith(origin) for name in resources)


def test_pages_fit_a_phone(crawled):
    wide = {url: found["overflow"] for url, found in crawled[1]["pages"].items()}
    assert not {url: overflow for url, overflow in wide.items() if overflow > 0}


def test_formulas_are_mathml(crawled):
    assert crawled[1]["pages"]["/theory/"]["formulas"] > 30


def test_search_leads_to_the_page_that_answers(crawled):
    origin, report = crawled
    for words, page in QUESTIONS.items():
        first = [urldefrag(link)[0].partition("?")[0] for link in report["searches"][words][:5]]
        assert f"{origin}/{page}" in first, (words, first)


def test_there_is_a_dark_scheme(crawled):
    light, dark = crawled[1]["schemes"]
    assert light != dark
