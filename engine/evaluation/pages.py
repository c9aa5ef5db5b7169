"""What reports are made of: tables in Markdown and HTML, charts, one page, three files. Runs nothing."""

from __future__ import annotations

import importlib.util
import io
import json
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What cannot get narrower scrolls by itself: a chart's words would be too small to read.
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2420; background: #fff; max-width: 66rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; } code { white-space: nowrap; }
.wide { overflow-x: auto; } svg { display: block; min-width: 44rem; max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
td, th { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #e6ebe8; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; }
"""


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
        return f"<h2>{escape(self.title)}</h2>{self.as_html_table()}"

    def as_html_table(self) -> str:
        """Without its heading."""
        rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows)
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.head)
        return _wide(self.title, f"<table><tr>{head}</tr>{rows}</table>")


def require_charts() -> None:
    """To be asked before any work of which charts are made.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError("The page's charts need matplotlib; install it with `pip install 'green-code[report]'`.")


def chart(draw: Callable[[Figure], None], *, told: str, height: float = 4.2) -> str:
    """A figure as an SVG element.

    Args:
        draw: Draws it.
        told: What it shows, for who cannot see it; its figures stand in a table.
        height: In inches, of which it is 11 wide.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    require_charts()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, height), layout="constrained")
    draw(figure)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    drawn = io.StringIO()
    with rc_context({"svg.fonttype": "none"}):  # words stay words
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()[drawn.getvalue().index("<svg") :]
    return _wide(told, svg.replace("<svg", f'<svg role="img" aria-label="{escape(told)}"', 1))


def plain_logarithms(axes: Axes) -> None:
    """Names 1, 2 and 5 of each power of ten on the axes that are logarithmic, without exponents."""
    from matplotlib.ticker import LogLocator

    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")


def html_page(title: str, body: str, *, style: str = "") -> str:
    """One self-contained page, with rules of its own beside those of all pages."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}{style}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def paragraphs(notes: Sequence[str]) -> str:
    """Notes in HTML; what stands between backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", "".join(f"<p>{escape(note)}</p>" for note in notes))


def report_body(notes: Sequence[str], charts: Sequence[str], tables: Sequence[ReportTable]) -> str:
    """What a page of notes, charts and tables holds, in this order."""
    return paragraphs(notes) + "".join(charts) + "".join(table.as_html() for table in tables)


def _wide(told: str, html: str) -> str:
    """Something that scrolls in a narrow window, by keys as well."""
    return f'<div class="wide" role="region" aria-label="{escape(told)}" tabindex="0">{html}</div>'


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
    page = html_page(title, report_body(notes, charts, tables))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "reproduction.md").write_text(markdown, encoding="utf-8")
        (folder / "reproduction.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
        (folder / "reproduction.html").write_text(page, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"The report could not be written to {folder}: {reason}.") from error
    return markdown
