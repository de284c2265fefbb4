# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user sees beside the Processing toolbox. Main thread only; calls the algorithms and nothing else."""
