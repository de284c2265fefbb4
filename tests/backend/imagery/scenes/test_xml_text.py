# SPDX-License-Identifier: GPL-2.0-or-later
"""XML of products is data, in whatever encoding it comes."""

import pytest
from deep_learning_toolbox.backend.imagery.scenes.xml_text import find_text, parse_xml

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]
ENTITIES = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>'


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("declared", ["<!DOCTYPE a>", '<!DOCTYPE a SYSTEM "file:///etc/hostname">', ENTITIES])
def test_document_types_are_refused_in_every_encoding(encoding, declared):
    name = "utf-16" if encoding.startswith("utf-16") else "utf-8"
    content = f'<?xml version="1.0" encoding="{name}"?>{declared}<a>&c;</a>'.encode(encoding)
    with pytest.raises(ValueError, match="declares a document type"):
        parse_xml(content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_text_is_read_in_every_encoding(encoding):
    name = encoding.removesuffix("-sig")
    content = f'<?xml version="1.0" encoding="{name}"?><a><!-- <!DOCTYPE b> --><name>Größe &amp; Maß</name></a>'.encode(encoding)
    assert find_text(parse_xml(content), "name") == "Größe & Maß"


@pytest.mark.parametrize("content", [b"", b"<a>", b"<a>&b;</a>", b"\xff\xfe<\x00", b'<?xml version="1.0" encoding="no-such"?><a/>'])
def test_what_is_no_xml_is_told_as_such(content):
    with pytest.raises(ValueError):
        parse_xml(content)
