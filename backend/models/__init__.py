# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks: which ones there are, how they get pretrained weights, how a trained one is kept in a file."""
