# SPDX-License-Identifier: GPL-2.0-or-later
"""The exceptions whose text is meant for the user.

Any other exception that leaves a stage is a defect: the worker reports it as unexpected and keeps the traceback in its log.
"""


class ToolboxError(Exception):
    """A refusal or failure, told in one sentence: what is wrong (with the value received) and what to do next."""


class BackendMissingError(ToolboxError):
    """There is no Python that can run the worker; the set-up mends that."""
