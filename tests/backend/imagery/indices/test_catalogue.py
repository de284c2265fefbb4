# SPDX-License-Identifier: GPL-2.0-or-later
import numpy as np
import pytest
import spyndex
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.indices.catalogue import load_catalogue, parse_parameters, parse_selection
from deep_learning_toolbox.backend.imagery.indices.inputs import InputFinder, describe_name, find_inputs
from deep_learning_toolbox.backend.imagery.sensors import LetterMatch, load_sensors, parse_band_map

LETTERS = [*load_sensors().letters]
WAVELENGTHS = {"N": 833, "R": 665, "G": 560, "N2": 865, "S1": 1610, "S2": 2200}
EVERYTHING = LetterMatch({letter: number for number, letter in enumerate(LETTERS, start=1)}, WAVELENGTHS)


def test_catalogue_is_complete():
    assert set(load_catalogue().indices) == set(spyndex.indices)
    assert len(load_catalogue().indices) == 280


@pytest.mark.parametrize("name", spyndex.indices)
def test_every_index_agrees_with_the_evaluator_of_the_catalogue(name):
    """All 280, on values that no band or constant shares with another."""
    formula = load_catalogue().indices[name].parse()
    random = np.random.default_rng(sum(map(ord, name)))
    values = {other: random.uniform(0.05, 0.6, 50) for other in formula.names}
    with np.errstate(all="ignore"):
        expected = spyndex.computeIndex(name, params=dict(values))
    np.testing.assert_allclose(formula.evaluate(values), expected, rtol=1e-12)


@pytest.mark.parametrize("name", spyndex.indices)
def test_inputs_of_every_index_are_found_when_all_bands_are_there(name):
    found = InputFinder(EVERYTHING, LETTERS, {"PAR": 1.0}).find(load_catalogue().indices[name])
    assert found.missing == ()
    assert set(found.formula.names) == {*found.bands, *found.numbers, *found.kernels}


def test_formulas_and_references_are_those_of_the_catalogue():
    for name, entry in load_catalogue().indices.items():
        theirs = spyndex.indices[name]
        assert entry.formula.replace(" ", "") == theirs.formula.replace(" ", "")
        assert (entry.title, entry.domain) == (theirs.long_name, theirs.application_domain)
        assert entry.reference == theirs.reference


def test_selection_takes_names_in_any_case_and_own_formulas():
    chosen = parse_selection("ndvi; NDWI,\nmine=(N-R)/(N+R+0.1);")
    assert [entry.name for entry in chosen] == ["NDVI", "NDWI", "mine"]
    assert chosen[2].formula == "(N-R)/(N+R+0.1)"


TYPOS = [
    ("NDVJ", "NDVI"),
    ("SAVII", "SAVI"),
    ("ndbl", "NDBI"),
    ("NDWl", "NDWI"),
    ("NVDI", "NDVI"),
    ("ndiv", "NDVI"),
    ("EVI 2", "EVI2"),
]


@pytest.mark.parametrize(("typo", "offered"), [*TYPOS, ("normalized difference vegetation index", "NDVI")])
def test_typo_gets_the_nearest_names(typo, offered):
    with pytest.raises(ToolboxError, match=rf"“{typo}”.*did you mean.*\b{offered}\b"):
        parse_selection(typo)


def test_every_swap_of_two_neighbouring_letters_offers_the_name_that_was_meant():
    for name in ("NDVI", "NDWI", "NDBI", "SAVI", "MNDWI", "GNDVI", "NBR2"):
        for place in range(len(name) - 1):
            typo = name[:place] + name[place + 1] + name[place] + name[place + 2 :]
            if typo not in load_catalogue().indices and typo != name:
                with pytest.raises(ToolboxError, match=rf"did you mean.*\b{name}\b"):
                    parse_selection(typo)


def test_names_separated_by_blanks_are_shown_separated_by_semicolons():
    with pytest.raises(ToolboxError, match="by semicolons: NDVI;NDWI;EVI"):
        parse_selection("NDVI ndwi EVI")


def test_all_faults_of_a_selection_are_told_at_once():
    with pytest.raises(ToolboxError, match=r"“NVDI”.*“NBDI”.*function call.*“EVI” twice"):
        parse_selection("NVDI;EVI;NBDI;x=f(N);EVI")


def test_name_that_differs_from_two_by_case_only_is_asked_back():
    assert parse_selection("BaI")[0].name == "BaI"
    with pytest.raises(ToolboxError, match="did you mean BAI or BaI"):
        parse_selection("bai")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "INDICES is empty"),
        (" ; ", "INDICES is empty"),
        ("NDVI;ndvi", "twice"),
        ("(N-R)/(N+R)", "give an own formula a name"),
        ("my index=N", "must start with a letter"),
        ("1st=N", "must start with a letter"),
        ("x=os.system('true')", "function call"),
        ("x=N==R", "comparison"),
    ],
)
def test_wrong_selections_are_refused(text, message):
    with pytest.raises(ToolboxError, match=message):
        parse_selection(text)


def test_parameters_are_read_and_checked():
    assert parse_parameters("L=0.5, g=2.5") == {"L": 0.5, "g": 2.5}
    assert parse_parameters("") == {}
    for text, message in (("L", "number"), ("L=x", "number"), ("L=nan", "number"), ("L=inf", "number"), ("gama=1", "gamma")):
        with pytest.raises(ToolboxError, match=message):
            parse_parameters(text)


def test_missing_inputs_are_all_named():
    match = LetterMatch({"R": 1, "N": 2})
    with pytest.raises(ToolboxError) as raised:
        find_inputs(parse_selection("NDVI;NDBI;NIRvP;x=N/Q"), InputFinder(match, ["red", "nir"], {}), match)
    text = str(raised.value)
    assert "NDBI needs S1 (swir1)" in text
    assert "NIRvP needs PAR (Photosynthetically Active Radiation)" in text
    assert "x needs Q" in text
    assert "NDVI needs" not in text
    assert "R=1, N=2" in text


def test_constants_take_the_users_value_then_the_default():
    match = LetterMatch({"R": 1, "N": 2})
    savi = load_catalogue().indices["SAVI"]
    assert InputFinder(match, ["a", "b"], {}).find(savi).numbers == {"L": 1.0}
    assert InputFinder(match, ["a", "b"], {"L": 0.5}).find(savi).numbers == {"L": 0.5}


def test_own_formulas_may_use_band_names_and_numbers():
    found = InputFinder(LetterMatch({}), ["height", "vv"], {}).find(parse_selection("x=height*2+b2")[0])
    assert found.bands == {"height": 1, "b2": 2}


def test_kernel_is_of_two_bands_or_of_a_band_and_a_constant():
    match = LetterMatch({"N": 4, "R": 3, "B": 1})
    found = InputFinder(match, ["b"] * 4, {}).find(load_catalogue().indices["kEVI"])
    assert found.kernels == {"kNN": (4, 4), "kNR": (4, 3), "kNB": (4, 1), "kNL": (4, 1.0)}
    assert found.used_bands == {1, 3, 4}


def test_names_are_described_for_messages():
    assert describe_name("S1") == "S1 (swir1)"
    assert describe_name("L") == "L (Canopy background adjustment)"
    assert describe_name("Q") == "Q"


def test_constant_or_letter_that_is_given_twice_is_refused():
    with pytest.raises(ToolboxError, match="PARAMETERS gives L twice"):
        parse_parameters("L=0.5 g=2 L=1")
    with pytest.raises(ToolboxError, match="BAND_MAP gives N twice"):
        parse_band_map("N=1 R=2 nir=2", ["a", "b"])
