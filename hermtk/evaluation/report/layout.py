"""What the page of a report is made of, and how it becomes HTML or Markdown; the report of a study shares it."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


@dataclass(frozen=True)
class Table:
    """Text in columns: the first is a name, those after it numbers unless ``words`` says so of all."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: bool = False


@dataclass(frozen=True)
class Picture:
    """A file of the report's folder and what it shows."""

    file: str
    caption: str

    @property
    def name(self) -> str:
        """What stands where the picture cannot be shown."""
        return Path(self.file).stem


class Listing(NamedTuple):
    """Text as it stands in a file or is typed; ``language``: sh, yaml."""

    language: str
    text: str


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it: tables, texts, pictures, listings."""

    title: str
    texts: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    listings: tuple[Listing, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything stands under the heading."""
        return bool(self.texts or self.pictures or self.tables or self.listings)


class Verdict(NamedTuple):
    """A sentence or two; ``kind``: good, attention, or any other for what is neither."""

    kind: str
    text: str


@dataclass(frozen=True)
class Page:
    """A report as both pages show it.

    Attributes:
        title: its heading.
        what: a line under it; what stands between backticks is code, here and in sentences and texts.
        verdicts: sentences before everything else.
        sections: in the order of the page.
    """

    title: str
    what: str
    verdicts: Sequence[tuple[str, str]]
    sections: Sequence[Section]


def rendered(template: str, page: Page, folder: Path) -> str:
    """``page.html`` or ``page.md``; all that comes from outside is escaped in HTML, in Markdown where it would break a table.

    Args:
        template: which of both.
        page: what to show.
        folder: where the pictures are.
    """
    environment = Environment(
        loader=PackageLoader("hermtk.evaluation.report", "."),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    environment.filters["cell"] = lambda text: " ".join(text.replace("|", "\\|").split())
    files = [picture.file for section in page.sections for picture in section.pictures]
    return environment.get_template(template).render(
        page=page,
        verdicts=[Verdict(*verdict) for verdict in page.verdicts],
        embedded={name: base64.b64encode((folder / name).read_bytes()).decode() for name in files},
    )


def _code(text: str) -> Markup:
    """Text for HTML; what stands between backticks becomes code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))
