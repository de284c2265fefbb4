# SPDX-License-Identifier: GPL-2.0-or-later
"""Formulas of band arithmetic as data: parsed by a syntax-tree allow list, evaluated without ``eval``.

A formula holds numbers, names, + − × ÷ (``+ - * /``), powers (``**`` or ``^``), signs and parentheses, and nothing else: no call,
attribute, subscript, comparison or text. So a formula from a file or a dialog cannot do anything but arithmetic, and its cost is
bounded by its length. Standard library and NumPy; also imported by QGIS, so it keeps to Python 3.9.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ToolboxError

LONGEST_FORMULA = 1000  # characters; the longest of the catalogue has 215
DEEPEST_FORMULA = 100  # nested operations; Python's own parser gives up at some 200 parentheses

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
_ALLOWED = "numbers, band letters, constants, + - * / ** and parentheses"


@dataclass(frozen=True)
class Formula:
    """A checked formula.

    Attributes:
        text: As written.
        names: The names it needs, sorted.
    """

    text: str
    names: tuple[str, ...]
    _tree: ast.expr

    def evaluate(self, values: Mapping[str, NDArray[np.float64] | float]) -> NDArray[np.float64]:
        """The value of the formula, computed in float64.

        Args:
            values: A number, or an array of any shape (one shape for all), for each of `names`.

        Returns:
            Float64 of the arrays' shape. A division by zero gives ±infinity or NaN, a power of a negative number that has no real
            value gives NaN; nothing is raised for them.
        """
        with np.errstate(all="ignore"):
            return np.asarray(_evaluate(self._tree, values), np.float64)


@lru_cache(maxsize=1024)
def parse_formula(text: str) -> Formula:
    """Checks a formula.

    Raises:
        ToolboxError: It is too long, is no expression, or holds anything but arithmetic; the text names what.
    """
    shown = f"“{text[:60]}{'…' if len(text) > 60 else ''}”"
    if len(text) > LONGEST_FORMULA:
        raise ToolboxError(f"The formula {shown} has {len(text)} characters, {LONGEST_FORMULA} are allowed; split it up.")
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        raise ToolboxError(f"The formula {shown} cannot be read; write it with {_ALLOWED}.") from fault
    names: set[str] = set()
    fault = _find_fault(tree, names, 0)
    if fault:
        raise ToolboxError(f"The formula {shown} holds {fault}; allowed are {_ALLOWED}.")
    return Formula(text.strip(), tuple(sorted(names)), tree)


def _find_fault(node: ast.expr, names: set[str], depth: int) -> str:
    """What is not allowed in a tree, empty if all is; gathers the names on the way."""
    if depth > DEEPEST_FORMULA:
        return f"more than {DEEPEST_FORMULA} nested operations"
    if isinstance(node, ast.Name):
        names.add(node.id)
        return ""
    if isinstance(node, ast.Constant):
        # bool is a kind of int for Python, and True is no number here
        return "" if type(node.value) in (int, float) else f"the value {node.value!r:.20}"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        return _find_fault(node.operand, names, depth + 1)
    if isinstance(node, ast.BinOp) and (type(node.op) in _BINARY or isinstance(node.op, ast.Pow)):
        return _find_fault(node.left, names, depth + 1) or _find_fault(node.right, names, depth + 1)
    kinds = {ast.Call: "a function call", ast.Attribute: "an attribute", ast.Subscript: "an index", ast.Compare: "a comparison"}
    return kinds.get(type(node), f"a “{type(getattr(node, 'op', node)).__name__}”")


def _evaluate(node: ast.expr, values: Mapping[str, NDArray[np.float64] | float]) -> Any:
    if isinstance(node, ast.Name):
        value = values[node.id]
        # Python's floats raise where NumPy's give infinity or NaN
        return value if isinstance(value, np.ndarray) else np.float64(value)
    if isinstance(node, ast.Constant):
        return np.float64(_as_float(node.value))
    if isinstance(node, ast.UnaryOp):
        operand = _evaluate(node.operand, values)
        return -operand if isinstance(node.op, ast.USub) else operand
    if not isinstance(node, ast.BinOp):
        raise TypeError(f"{type(node).__name__} passed the check of a formula")
    left, right = _evaluate(node.left, values), _evaluate(node.right, values)
    return _power(left, right) if isinstance(node.op, ast.Pow) else _BINARY[type(node.op)](left, right)


def _as_float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer of more than 308 digits
        return float("inf")


def _power(base: Any, exponent: Any) -> Any:
    """The power; squares and roots, which most formulas mean, cost a tenth of a general power."""
    if np.ndim(exponent) == 0:
        if exponent == 2:
            return np.square(base)
        if exponent == 0.5:
            return np.sqrt(base)
    return np.power(base, exponent)
