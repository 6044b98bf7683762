"""The site that `make docs` builds: its search and its links, and that it needs no network."""

import json
import re
import urllib.parse
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

SITE = Path(__file__).parent.parent / "build/docs/html"
pytestmark = pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make docs was not run")
PAGES = [page.relative_to(SITE).as_posix() for page in SITE.rglob("*.html")]
PAGES = sorted(page for page in PAGES if not page.startswith("_static/"))


class Page(HTMLParser):
    """The links, the names of places, and the files that a page loads."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places, self.loaded = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        loads = tag == "link" and found.get("rel") in ("stylesheet", "preload", "icon")
        if found.get("src") or loads:
            self.loaded.append(found.get("src") or found["href"])


@cache
def parsed(path):
    return Page(path)


def target_of(page, link):
    """The file and the place in it that a relative link means."""
    file, place = urllib.parse.urldefrag(link)
    path = (SITE / page).parent / urllib.parse.unquote(file) if file else SITE / page
    return path.resolve(), urllib.parse.unquote(place)


@pytest.fixture(scope="module")
def index():
    text = (SITE / "searchindex.js").read_text(encoding="utf-8")
    return json.loads(re.fullmatch(r"Search\.setIndex\((.*)\);?\s*", text, re.DOTALL)[1])


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("shared_ax", "how-to/masks"),  # words are stemmed
        ("shared_ax", "reference/generated/simdrop.dropout"),
        ("sigterm", "how-to/checkpoints"),
        ("dropconnect", "reference/transforms"),
    ],
)
def test_search(index, word, page):
    found = index["terms"][word]
    assert page in [index["docnames"][i] for i in (found if isinstance(found, list) else [found])]


def test_search_for_names(index):
    names = {name for names in index["objects"].values() for *_, name in names}
    assert {"dropout", "Mask", "MLP", "DropoutMLPClassifier", "convert"} <= names


def test_links_within_the_site():
    broken = []
    for page in PAGES:
        for link in parsed(SITE / page).links:
            if not urllib.parse.urlparse(link).scheme:
                path, place = target_of(page, link)
                found = path.is_file()
                if found and place and path.suffix == ".html":
                    found = place in parsed(path).places
                broken += [] if found else [(page, link)]
    assert broken == []


DRAWN = any((SITE / "_images").glob("sphx_glr_*_001.png"))  # unless built without the gallery


def test_nothing_is_loaded_from_elsewhere():
    for page in PAGES:
        loaded = [file for file in parsed(SITE / page).loaded if not file.startswith("data:")]
        assert loaded
        for file in loaded:
            assert not urllib.parse.urlparse(file).scheme and not file.startswith("//"), page
            if "gallery/images/" in file and not DRAWN:
                continue
            assert target_of(page, file.partition("?")[0])[0].is_file(), (page, file)


@pytest.mark.parametrize("name", ["two-neurons", "nested-masks"])
def test_interactive_pages_have_their_data(name):
    text = (SITE / f"explanation/{name}.html").read_text(encoding="utf-8")
    (data,) = re.findall(rf'id="{name}-uniforms">(.*?)</script>', text)
    assert all(re.fullmatch("[0-9a-f]{16}", u) for draw in json.loads(data) for u in draw)
    assert f"_static/{name}.js" in text
