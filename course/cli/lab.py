"""``course lab``: the learner's own copy of the notebooks, then JupyterLab there."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from course.cli.copies import update
from course.cli.errors import CommandError
from course.cli.place import settle
from course.cli.shipped import shipped_files
from course.cli.warmup import compile_simulators

WELCOME = "00-welcome.ipynb"


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser("lab", help="open the course in JupyterLab, in your own copy of the notebooks")
    command.add_argument("dir", nargs="?", metavar="DIR", help="your folder (default: ~/tuning-course)")
    command.add_argument("--no-browser", action="store_true", help="start the server only; print its address")
    command.add_argument("--port", type=int, help="port on 127.0.0.1 (default: the next free one from 8888)")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Update the learner's folder, compile what is not compiled, start JupyterLab."""
    if arguments.port is not None and not 0 <= arguments.port < 65536:
        raise CommandError(f"--port must be in 0 … 65535, not {arguments.port}")
    folder = settle(arguments.dir)
    for line in update(shipped_files()).lines():
        print(line, file=sys.stderr)
    compile_simulators()
    if by_hub():
        start_lab(common_options(folder))
    else:
        start_lab(server_options(folder, arguments.port, not arguments.no_browser))
    return 0


def by_hub() -> bool:
    """Tell whether a JupyterHub started this process, as the server of one of its users."""
    return "JUPYTERHUB_SERVICE_URL" in os.environ and "JUPYTERHUB_API_TOKEN" in os.environ


def common_options(folder: Path) -> list[str]:
    """Return what holds at home and on a hub, which says itself where its users' servers listen, and who may enter.

    The layout of the learner's windows is kept in their folder, apart from other JupyterLabs of the same user.
    """
    return [
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{WELCOME}",
        f"--LabApp.workspaces_dir={folder / '.course' / 'workspaces'}",
        # Its catalogue lives on the network; the course works without.
        "--LabApp.extension_manager=readonly",
        # In a container the learner is often root; on the loopback interface, with a token, or behind a hub's log-in,
        # that is no risk.
        "--allow-root",
    ]


def server_options(folder: Path, port: int | None = None, browser: bool = True) -> list[str]:
    """Return JupyterLab's command line for the learner's `folder`.

    The server listens on the loopback interface only, and asks for its token (Jupyter's default: a new,
    random one for each start). nbgrader's buttons are the teacher's, and off here (see ``course/jupyter``).
    """
    return [
        *common_options(folder),
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.allow_remote_access=False",
        f"--ServerApp.open_browser={browser}",
        *([f"--ServerApp.port={port}", "--ServerApp.port_retries=0"] if port is not None else []),
    ]


def start_lab(options: list[str]) -> None:
    """Run JupyterLab, or a hub's, in this process until it is stopped."""
    own = str(Path(__file__).parents[1] / "jupyter")
    # So that `course` is found in JupyterLab's terminals and after "!" in a cell.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join([own, *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])])
    if by_hub():
        from jupyterhub.singleuser import main

        main(options)
        return
    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(options)
