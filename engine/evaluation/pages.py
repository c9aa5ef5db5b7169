"""What reports of evaluations are made of: tables in Markdown and HTML, charts, one page, three files. Runs nothing."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

_STYLE = (
    "body { font: 15px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; }"
    "table { border-collapse: collapse; font-size: .85rem; } td, th { padding: .15rem .6rem; text-align: right;"
    " border-bottom: 1px solid #e6ebe8; } td:first-child, th:first-child { text-align: left; }"
    " svg { max-width: 100%; height: auto; }"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """One table with its heading; the first column is words, the others figures."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_markdown(self) -> str:
        """For a terminal and for a log."""
        lines = [self.head, ["---", *["---:"] * (len(self.head) - 1)], *self.rows]
        return f"{self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def as_html(self) -> str:
        """For the page."""
        rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows)
        head = "".join(f"<th>{escape(name)}</th>" for name in self.head)
        return f"<h2>{escape(self.title)}</h2><table><tr>{head}</tr>{rows}</table>"


def chart(draw: Callable[[Figure], None], *, height: float = 4.2) -> str:
    """A figure as an SVG element."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, height), layout="constrained")
    draw(figure)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    drawn = io.StringIO()
    with rc_context({"svg.fonttype": "none"}):  # words stay words
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()[drawn.getvalue().index("<svg") :]


def html_page(title: str, notes: Sequence[str], charts: Sequence[str], tables: Sequence[ReportTable]) -> str:
    """One self-contained page."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"{''.join(f'<p>{escape(note)}</p>' for note in notes)}{''.join(charts)}"
        f"{''.join(table.as_html() for table in tables)}</body></html>\n"
    )


def write_pages(
    folder: Path,
    *,
    title: str,
    notes: Sequence[str],
    charts: Sequence[str],
    tables: Sequence[ReportTable],
    numbers: Mapping[str, Any],
) -> str:
    """Writes page, tables and numbers, and gives notes and tables in Markdown.

    Raises:
        ConfigError: If the files cannot be written.
    """
    markdown = "\n\n".join([*notes, *(table.as_markdown() for table in tables)]) + "\n"
    page = html_page(title, notes, charts, tables)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "reproduction.md").write_text(markdown, encoding="utf-8")
        (folder / "reproduction.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
        (folder / "reproduction.html").write_text(page, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"The report could not be written to {folder}: {reason}.") from error
    return markdown
