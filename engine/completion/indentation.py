r"""The indentation that a document uses: tabs or blanks, and how many a block is indented by.

Lines are without "\n". Strings only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TAB_COLUMNS = 4
_TWO_BLANKS = "  "  # a single one aligns, as in block comments
_OPENERS = (":", "{")  # a line that ends so has its block indented by one step


@dataclass(frozen=True, slots=True, kw_only=True)
class Indentation:
    r"""What a document is indented by.

    Attributes:
        kind: "\t" or two blanks; "" where it is neither or both.
        step: Columns from a line that opens a block to the block; 0 where that is not known.
    """

    kind: str
    step: int

    def is_other(self, line: str, opener: str) -> bool:
        """Whether a line is indented as the document is not.

        Args:
            line: The line.
            opener: The line above it.
        """
        if self.kind and kind_of(line) not in {"", self.kind}:
            return True
        columns = indent_of(line) - indent_of(opener)
        return bool(self.step) and columns > 0 and opener.rstrip().endswith(_OPENERS) and columns != self.step


def indentation_of(lines: Sequence[str], cursor_line: str) -> Indentation:
    """What the lines around a cursor are indented by; those that are not blank, from above to below."""
    kinds = {kind_of(line) for line in lines} - {""}
    steps = Counter(
        indent_of(line) - indent_of(opener) for opener, line in pairwise(lines) if opener.rstrip().endswith(_OPENERS)
    )
    inner = [step for step in steps if step > 0]
    return Indentation(
        kind=kind_of(cursor_line) or (kinds.pop() if len(kinds) == 1 else ""),
        step=inner[0] if len(inner) == 1 else 0,
    )


def kind_of(line: str) -> str:
    """What a line is indented by; "" where by nothing."""
    return next((kind for kind in ("\t", _TWO_BLANKS) if line.startswith(kind)), "")


def indent_of(line: str) -> int:
    """Columns before a line's text."""
    blanks = line[: len(line) - len(line.lstrip(" \t"))].expandtabs(TAB_COLUMNS)
    return len(blanks)
