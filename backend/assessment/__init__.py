# SPDX-License-Identifier: GPL-2.0-or-later
"""How good a map is: the confusion matrix and what follows from it."""
