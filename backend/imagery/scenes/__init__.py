# SPDX-License-Identifier: GPL-2.0-or-later
"""Satellite scenes as they are downloaded: what is in a Landsat or Sentinel-2 product, and the stage ``scene`` that stacks it."""
