"""The page of a report as a reader of HTML sees it."""

import base64
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a page is made of; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]

    def needs_nothing(self) -> None:
        """Nothing is loaded, nothing runs, links stay on the page, every picture is in it."""
        assert not self.all("script")
        assert not self.all("link")
        targets = {f"#{a.get('id')}" for _, a in self.seen}
        assert {a["href"] for a in self.all("a")} <= targets
        for image in self.all("img"):
            head, _, content = (image["src"] or "").partition(",")
            assert head == "data:image/png;base64"
            assert base64.b64decode(content, validate=True)[:8] == b"\x89PNG\r\n\x1a\n"
