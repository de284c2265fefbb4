# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of a self-contained HTML page: no scripts, no other files, every text escaped, charts embedded as PNG."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence

import matplotlib
from matplotlib.figure import Figure

STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222 }
h1 { font-size: 1.6em } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; margin: 1em 0 } td, th { border: 1px solid #ccc; padding: .25em .6em; text-align: left }
td.number { text-align: right } img { max-width: 100% }
.swatch { display: inline-block; width: 1em; height: 1em; margin-right: .4em }
.score { font-size: 1.3em } .note { background: #fff6dd; padding: .5em 1em } .small { color: #666; font-size: .9em }
"""


def render_page(title: str, parts: Iterable[str]) -> str:
    """A whole page of rendered parts."""
    shown = html.escape(title)
    head = f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{shown}</title><style>{STYLE}</style></head><body>'
    return "\n".join([head, f"<h1>{shown}</h1>", *parts, "</body></html>\n"])


def render_heading(text: str) -> str:
    """A section's heading."""
    return f"<h2>{html.escape(text)}</h2>"


def render_text(text: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is ``score``, ``note`` or ``small``."""
    return f'<p class="{kind}">{html.escape(text)}</p>' if kind else f"<p>{html.escape(text)}</p>"


def render_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int, colors: Sequence[tuple[int, int, int]] = ()
) -> str:
    """A table of texts.

    Args:
        head: Names of the columns; left out when all are empty.
        rows: Cells.
        numbers_from: The first column that is set as numbers.
        colors: Colour before the first cell of each of the first rows.
    """
    lines = [f"<tr>{''.join(f'<th>{html.escape(name)}</th>' for name in head)}</tr>"] if any(head) else []
    for place, row in enumerate(rows):
        swatch = ""
        if place < len(colors):
            swatch = '<span class="swatch" style="background: rgb({},{},{})"></span>'.format(*colors[place])
        cells = [
            f"<td{' class=number' if number >= numbers_from else ''}>{swatch if number == 0 else ''}{html.escape(cell)}</td>"
            for number, cell in enumerate(row)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"


def render_picture(figure: Figure, alternative: str) -> str:
    """The figure as an embedded PNG."""
    buffer = io.BytesIO()
    # A fixed font that matplotlib carries itself; class names may hold signs it lacks, which is then drawn as a box.
    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return f'<img alt="{html.escape(alternative)}" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
