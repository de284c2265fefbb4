# SPDX-License-Identifier: GPL-2.0-or-later
"""XML of products, read as data: without document types, and so without entities that expand or lead to other files."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree


def parse_xml(content: bytes) -> ElementTree.Element:
    """The root element; raises ValueError when it is not well-formed or declares a document type."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("it declares a document type, as no product does")
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as fault:
        raise ValueError(str(fault)) from fault


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
