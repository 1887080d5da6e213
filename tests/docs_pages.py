"""The pages of the documentation as tests see them: their text and their code blocks."""

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = DOCS / "examples" / "extending"
_BLOCK = re.compile(r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``language`` is what stands behind the fence, ``line`` where it begins."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page by its path below docs."""
    return sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def text_of(page: str) -> str:
    """The text of a page."""
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list[Block]:
    """The fenced blocks of a page in order; of some languages only, if any are named."""
    text = text_of(page)
    found = [
        Block(page, text[: match.start()].count("\n") + 1, match["language"].strip(), match["text"])
        for match in _BLOCK.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]
