# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever happened to a package on its way, it is read as it was or refused with a sentence; a small one stands for all."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.package import load_model, read_package, write_package
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def small(tmp_path, description):
    """A package with weights of a few bytes, its path and its content."""
    path = tmp_path / "m.dlpk"
    write_package(path, description, {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(1)})
    return path, path.read_bytes()


def read_or_refuse(path, description):
    """Reads a package; what is read must be as it was written."""
    try:
        read, tensors = read_package(path)
    except ToolboxError as refusal:
        assert str(refusal).endswith((".", "anew"))
        return
    assert torch.equal(tensors["a"], torch.arange(6.0).view(2, 3))
    assert read.bands == description.bands


@FUZZ
@given(st.data())
def test_changed_bytes_are_noticed_or_harmless(small, description, data):
    path, content = small
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(changed))
    read_or_refuse(path, description)


@FUZZ
@given(st.data())
def test_lost_and_foreign_pieces_are_noticed_or_harmless(small, description, data):
    path, content = small
    first, last = sorted(data.draw(st.tuples(st.integers(0, len(content)), st.integers(0, len(content)))))
    path.write_bytes(content[:first] + data.draw(st.binary(max_size=40)) + content[last:])
    read_or_refuse(path, description)


@FUZZ
@given(st.data())
def test_definitions_of_any_form_are_read_or_refused(small, description, data):
    path, content = small
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.endswith(".emd"))
    definition = json.loads(members[name])
    value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    )
    toolbox = definition["Toolbox"]
    toolbox[data.draw(st.sampled_from(sorted(toolbox)))] = data.draw(value)
    members[name] = json.dumps(definition).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    try:
        load_model(path)
    except ToolboxError as refusal:
        assert len(str(refusal)) > 20


def test_a_member_without_a_name_is_refused(small):
    path, content = small
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x", b"")
    content = path.read_bytes()
    where = content.rindex(b"PK\x01\x02")  # its entry in the directory
    assert content[where + 46 : where + 47] == b"x"
    path.write_bytes(content[: where + 46] + b"\0" + content[where + 47 :])  # zipfile ends names at a zero
    with pytest.raises(ToolboxError, match=r"is no complete model package|unsafe file name ''"):
        read_package(path)
