# SPDX-License-Identifier: GPL-2.0-or-later
"""Segments: small regions of alike pixels, drawn so that labels can be taken with one click each."""
