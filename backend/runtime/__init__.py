# SPDX-License-Identifier: GPL-2.0-or-later
"""What joins the QGIS process and the worker: environment, client, protocol, worker. Standard library only, Python 3.9."""
