# SPDX-License-Identifier: GPL-2.0-or-later
"""Getting the worker its Python: what the computer has, which build fits, building, proving, repairing, removing.

Imported by QGIS; standard library and Python 3.9 only.
"""
