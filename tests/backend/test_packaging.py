# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin's zip and its metadata: what the plugin repository will look at."""

import configparser
import re
import subprocess
from pathlib import Path

import deep_learning_toolbox
from deep_learning_toolbox.backend import __version__

ROOT = Path(deep_learning_toolbox.__file__).resolve().parent


def metadata():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    return parser["general"]


def test_backend_takes_its_version_from_the_metadata():
    assert metadata()["version"] == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_metadata_states_the_range_of_qgis_and_the_provider():
    assert metadata()["qgisMinimumVersion"] == "3.22"
    assert metadata()["qgisMaximumVersion"] == "4.99"
    assert metadata()["hasProcessingProvider"] == "yes"
    assert (ROOT / metadata()["icon"]).is_file()


def test_changelog_dates_are_iso_dates():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2}", heading) for heading in headings[1:])


def test_zip_holds_the_plugin_without_tests_and_tools():
    listing = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD"], capture_output=True, check=True).stdout
    names = subprocess.run(["tar", "-t"], input=listing, capture_output=True, check=True).stdout.decode().split()
    assert {"metadata.txt", "__init__.py", "plugin.py", "LICENSE"} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert not tops & {"tests", "demo", "benchmarks", "docs", "scripts", "Makefile", ".ci", "build"}


def test_recipes_fail_loudly():
    """Make ignores the failure of a line with a leading dash, also of one that an empty variable leaves behind."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = [line[1:].lstrip("@") for line in makefile.splitlines() if line.startswith("\t")]
    before_dash = {match[1] for line in recipes if (match := re.match(r"\$\((\w+)\)\s+-", line))}
    fixed = dict(re.findall(r"^(\w+) [:?]= (.*\S)$", makefile, re.MULTILINE))
    assert recipes
    assert not [line for line in recipes if line.startswith("-")]
    assert all(name in fixed and "$(shell" not in fixed[name] for name in before_dash), before_dash
