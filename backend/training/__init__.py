# SPDX-License-Identifier: GPL-2.0-or-later
"""Training a network from chip folders. Nobody imports this package but the worker."""
