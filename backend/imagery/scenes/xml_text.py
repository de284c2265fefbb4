# SPDX-License-Identifier: GPL-2.0-or-later
"""XML of products, read as data: without document types, and so without entities that expand or lead to other files."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree
from xml.parsers import expat


def parse_xml(content: bytes) -> ElementTree.Element:
    """The root element; raises ValueError when it is not well-formed or declares a document type, in whatever encoding."""
    try:
        _refuse_document_type(content)
        return ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError, LookupError) as fault:  # LookupError: an encoding that is not known
        raise ValueError(str(fault)) from fault


def _refuse_document_type(content: bytes) -> None:
    """Reads the content once with a parser that stops at a document type, before any entity of it means anything."""

    def stop(*_: object) -> None:
        raise ValueError("it declares a document type, as no product does")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = stop
    parser.Parse(content, True)


def local_name(element: ElementTree.Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]


def find_all(root: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """All elements of a name, whatever their namespace."""
    return (element for element in root.iter() if local_name(element) == name)


def find_text(root: ElementTree.Element, name: str) -> str | None:
    """Text of the first element of a name; None if there is none."""
    element = next(find_all(root, name), None)
    return None if element is None else (element.text or "").strip()
