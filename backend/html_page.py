# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds reports: one HTML file that needs no other, without scripts. Every text is escaped here, so callers hand over plain text.

Pieces are HTML as text; a page is made of pieces. Pictures are embedded as PNG.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence

import matplotlib
import matplotlib.image
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222 }
h1 { font-size: 1.6em } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ccc } h3 { font-size: 1em; margin-bottom: 0 }
table { border-collapse: collapse; margin: 1em 0 } td, th { border: 1px solid #ccc; padding: .25em .6em; text-align: left }
td.number { text-align: right } img { max-width: 100% }
.swatch { display: inline-block; width: 1em; height: 1em; margin-right: .4em }
.bar { display: inline-block; height: .8em; background: #4c78a8; margin-right: .4em }
.score { font-size: 1.3em } .note { background: #fff6dd; padding: .5em 1em }
figure { display: inline-block; vertical-align: top; margin: .4em; width: 230px; font-size: .8em; overflow-wrap: anywhere }
figure img { width: 114px; image-rendering: pixelated }
figure.strip { display: block; width: auto; margin: .8em 0 } figure.strip img { width: 23%; max-width: 220px; margin-right: 1.2% }
.cards { display: flex; flex-wrap: wrap; gap: .8em; margin: 1em 0 } .small { color: #666; font-size: .9em }
.card { border: 1px solid #ddd; border-top: 4px solid #4c78a8; border-radius: 4px; padding: .5em 1em; min-width: 8em; flex: 1 }
.card strong { display: block; font-size: 1.7em; line-height: 1.2 } .card span { color: #555; font-size: .85em }
.beside { display: flex; flex-wrap: wrap; gap: 1em; align-items: flex-start }
.beside > img { flex: 1 1 300px; min-width: 0; max-width: 100% }
@media print { body { margin: 0; max-width: none } h2 { break-after: avoid } figure, table, img { break-inside: avoid } }
"""
BAR_WIDTH = 12.0  # em, of a share of 1
Color = tuple[int, int, int]


def page(title: str, pieces: Iterable[str]) -> str:
    """The whole page."""
    name = html.escape(title)
    head = f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>{STYLE}</style></head><body>'
    return "\n".join([head, f"<h1>{name}</h1>", *pieces, "</body></html>\n"])


def heading(text: str, level: int = 2) -> str:
    """A heading of level 2 or 3."""
    return f"<h{level}>{html.escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; kinds are `score` (large), `note` (marked) and `small`."""
    return f'<p class="{kind}">{html.escape(text)}</p>' if kind else f"<p>{html.escape(text)}</p>"


def cards(entries: Iterable[tuple[str, str, str]]) -> str:
    """Figures to be seen first, each in a box: its name, its value, and a word on it."""
    boxes = [
        f'<div class="card"><span>{name}</span><strong>{value}</strong><span>{word}</span></div>'
        for name, value, word in (map(html.escape, entry) for entry in entries)
    ]
    return f'<div class="cards">{"".join(boxes)}</div>'


def beside(pieces: Iterable[str]) -> str:
    """Charts beside each other, below each other where there is no room."""
    return f'<div class="beside">{"".join(pieces)}</div>'


def cell(text: object) -> str:
    """A cell of a table; numbers stand on the right."""
    if isinstance(text, int):
        return f'<td class="number">{text:,}</td>'
    return f"<td>{html.escape(str(text))}</td>"


def number_cell(text: str) -> str:
    """A cell on the right, for a number that is text already."""
    return f'<td class="number">{html.escape(text)}</td>'


def named_cell(color: Color, name: str) -> str:
    """A cell with a patch of colour before a name."""
    return f'<td><span class="swatch" style="background: rgb{tuple(color)}"></span>{html.escape(name)}</td>'


def legend(entries: Iterable[tuple[Color, str]]) -> str:
    """Colours and what they stand for, in a line."""
    shown = (f'<span class="swatch" style="background: rgb{tuple(color)}"></span>{html.escape(name)}' for color, name in entries)
    return f"<p>{' &nbsp; '.join(shown)}</p>"


def share_cell(share: float) -> str:
    """A cell with a share, 0 to 1, as a bar and in percent."""
    return f'<td><span class="bar" style="width: {BAR_WIDTH * share:.2f}em"></span>{share:.1%}</td>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells made by the functions above; the head is left out when it is empty."""
    top = f"<tr>{''.join(f'<th>{html.escape(name)}</th>' for name in head)}</tr>" if head else ""
    return f"<table>{top}{''.join(f'<tr>{chr(10).join(row)}</tr>' for row in rows)}</table>"


def text_table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int, colors: Sequence[Color] = ()) -> str:
    """A table of plain texts.

    Args:
        head: Names of the columns; left out when all are empty.
        rows: Texts.
        numbers_from: The first column that stands on the right.
        colors: Colour before the first text of each of the first rows.
    """
    cells = []
    for place, row in enumerate(rows):
        line = [number_cell(text) if number >= numbers_from else cell(text) for number, text in enumerate(row)]
        if place < len(colors):
            line[0] = named_cell(colors[place], row[0])
        cells.append(line)
    return table(head if any(head) else (), cells)


def chart(figure: Figure, alternative: str) -> str:
    """A figure of matplotlib."""
    buffer = io.BytesIO()
    # A fixed font that matplotlib carries itself; names may hold signs it lacks, which is then drawn as a box.
    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return _image(buffer.getvalue(), alternative)


def pictures(images: Sequence[NDArray[np.uint8]], caption: Sequence[str], alternative: str) -> str:
    """Pictures (rows, columns, 3) beside each other with lines of text below."""
    parts = [_picture(picture, alternative) for picture in images]
    return f"<figure>{''.join(parts)}<figcaption>{'<br>'.join(map(html.escape, caption))}</figcaption></figure>"


def strip(images: Sequence[NDArray[np.uint8]], caption: str, alternative: str) -> str:
    """Up to four pictures (rows, columns, 3) in a row of the page's width, with a line of text above."""
    parts = [_picture(picture, alternative) for picture in images]
    return f'<figure class="strip"><figcaption>{html.escape(caption)}</figcaption>{"".join(parts)}</figure>'


def _picture(picture: NDArray[np.uint8], alternative: str) -> str:
    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, np.ascontiguousarray(picture), format="png")
    return _image(buffer.getvalue(), alternative)


def _image(png: bytes, alternative: str) -> str:
    return f'<img alt="{html.escape(alternative)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
