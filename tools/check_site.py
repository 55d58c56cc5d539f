"""`python tools/check_site.py SITE`: whether a built site leads where it says, from disk.

Every link and picture must lead to a file of the site, and every `#anchor` to an element there;
nothing may be loaded from the network. Links to other sites are counted, and not followed.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""Element → the attribute that a browser loads without being asked."""


class Page(HTMLParser):
    """What a page has and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADED and LOADED[tag] in given and given.get("rel") != "canonical":
            self.loaded.append(given[LOADED[tag]])


def problems(site: Path) -> list[str]:
    """A sentence for each link that leads nowhere, and each thing that is loaded from elsewhere."""
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path] = Page()
        pages[path].feed(path.read_text(encoding="utf-8"))
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        for link in page.loaded:
            if urlsplit(link).scheme in ("http", "https") or link.startswith("//"):
                found.append(f"{name}: {link} is loaded from the network")
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            if parts.path.startswith("/") and name.name == "404.html":
                continue  # a server shows that page for any address
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{name}: {link} leads to no file")
            elif target in pages and unquote(parts.fragment) not in {*pages[target].anchors, ""}:
                found.append(f"{name}: {link} leads to no place of that page")
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    told = problems(folder)
    print(*told, sep="\n", file=sys.stderr)
    print(f"{sum(1 for _ in folder.rglob('*.html'))} pages, {len(told)} problems")
    sys.exit(bool(told))
