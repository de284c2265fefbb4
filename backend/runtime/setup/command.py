# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of the set-up, for shells, servers and computers without QGIS.

    python -m deep_learning_toolbox.backend.runtime.setup.command build|find|remove|wheels|show ...

or, from a clone of any name, by the path of this file. Standard library and Python 3.9 only.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    # Run by path: this module again, under its real name, which `launch` makes known.
    import importlib
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).absolute().parent.parent))
    importlib.import_module("launch")
    del sys.path[0]
    sys.exit(importlib.import_module("deep_learning_toolbox.backend.runtime.setup.command").main(sys.argv[1:]))

import argparse
import os
from pathlib import Path

from ...errors import ToolboxError
from ..places import HOME_VARIABLE, home_folder
from .builds import BUILDS, DEVICES
from .diagnostics import diagnose
from .environment import BuildRequest, build_environment, remove_environment
from .installer import Step
from .marker import EnvironmentState, managed_python, read_state
from .requirements import REQUIREMENTS
from .wheels import WheelsRequest, fetch_wheels


def main(argv: list[str]) -> int:
    """Runs one command; prints its result, or an error's sentence on the standard error (exit code 1)."""
    arguments = _parse(argv)
    if arguments.home:
        os.environ[HOME_VARIABLE] = str(arguments.home.absolute())
    try:
        _show(_run(arguments))
    except ToolboxError as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> str:
    if arguments.command == "remove":
        remove_environment()
        return "There is no environment any more."
    if arguments.command == "show":
        return "\n".join(f"{name}: {value}" for name, value in diagnose().items())
    if arguments.command == "wheels":
        wanted = WheelsRequest(arguments.folder, arguments.python, arguments.build, arguments.extra)
        return str(fetch_wheels(wanted, _Printer()))
    if arguments.command == "build":
        request = BuildRequest(
            python=arguments.python,
            wheels=arguments.wheels,
            device=arguments.device,
            folder=arguments.folder,
            extras=arguments.extra,
            repair=arguments.repair,
        )
        built = build_environment(request, _Printer())
        return f"{built.note}\n{built.python}" if built.note else str(built.python)
    if read_state() is not EnvironmentState.READY:
        raise ToolboxError(f"There is no environment for this version in “{home_folder()}”: run this with “build”.")
    return str(managed_python())


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="command.py", description="The Python environment of the Deep Learning Toolbox.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="install the deep learning libraries, or do nothing when they are there")
    build.add_argument("--python", type=Path, help="Python 3.10 or later to build on (default: the one that runs this)")
    build.add_argument("--wheels", type=Path, help="install from this folder of wheels, without any network")
    build.add_argument("--device", choices=DEVICES, default="auto", help="build of PyTorch (default: by the graphics card)")
    build.add_argument("--folder", type=Path, help="where the environment is kept (default: in the home folder)")
    build.add_argument("--repair", action="store_true", help="build anew even if all seems well")
    wheels = commands.add_parser("wheels", help="make a folder of wheels, for a computer without network of the same system")
    wheels.add_argument("folder", type=Path, help="folder to fill")
    wheels.add_argument("--build", choices=[build.name for build in BUILDS], help="build of PyTorch (default: this computer's)")
    wheels.add_argument("--python", type=Path, help="a Python of the version that the other computer's QGIS has (default: this)")
    for command in (build, wheels):
        command.add_argument("--extra", action="append", default=[], help=f"also what {REQUIREMENTS.name}/EXTRA.txt names")
    commands.add_parser("find", help="print the interpreter")
    commands.add_parser("remove", help="remove the environment")
    commands.add_parser("show", help="print what there is on this computer")
    for command in commands.choices.values():
        command.add_argument("--home", type=Path, help=f"home folder (default: {HOME_VARIABLE} or the user's data folder)")
    return parser.parse_args(argv)


class _Printer:
    """Prints each step once, and its running numbers on the same line where the output is a terminal."""

    def __init__(self) -> None:
        self._text = ""

    def __call__(self, step: Step) -> None:
        if step.text != self._text:
            self._text = step.text
            _show(f"{100 * step.fraction:3.0f} %  {step.text} ...")
        elif step.detail and sys.stdout.isatty():
            sys.stdout.write(f"\r       {step.detail[:100]:100}\r")
            sys.stdout.flush()


def _show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
