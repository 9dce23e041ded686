"""The code blocks of the Markdown pages, in their order, with the marks that stand before them.

A mark is a comment on the line before a fence: `<!-- run -->`, `<!-- write: FILE -->`, or
`<!-- not run: REASON -->`.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "measurements/README.md")),
    ]
)
_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]+?) -->\n)?```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.S | re.M
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: where it begins, its language, its text, its mark ("" for none)."""

    page: Path
    line: int
    language: str
    text: str
    mark: str

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command line of a shell block, comments left out."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        found = (shlex.split(line, comments=True) for line in lines)
        return [words for words in found if words]


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page; directives of the site (`{...}`) are none."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, match.start("language")) + 1,
            language=match["language"],
            text=match["text"],
            mark=match["mark"] or "",
        )
        for match in _BLOCK.finditer(text)
        if not match["language"].startswith("{")
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
