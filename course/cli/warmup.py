"""``course warm-up``: compile the simulators once, so that no chapter has to wait for it.

Numba keeps the compiled code beside the source or, where that cannot be written, in the user's cache
folder. What was compiled is remembered in the learner's folder by a fingerprint of everything that numba's
own cache depends on, so that asking "is it compiled?" costs milliseconds.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

import course
from course.home import read_state, write_state

STATE = "compiled.json"


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser("warm-up", help="compile the simulators, once (`course lab` does it, too)")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compile whatever is not compiled."""
    from course.cli.place import settle

    settle()
    compile_simulators()
    return 0


def fingerprint() -> str:
    """Return what the compiled simulators depend on: their sources, their place, numba, Python, the processor.

    Not the machine's name: each container of an image has another one, and all use what the image has compiled.
    """
    from llvmlite import binding

    processor = f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"
    package = Path(course.__file__).parent
    digest = hashlib.sha256()
    for part in (str(package), version("numba"), version("numpy"), sys.version, processor):
        digest.update(part.encode() + b"\0")
    for source in sorted(package.rglob("*.py")):
        content = source.read_bytes()
        if b"numba" in content:
            digest.update(content)
    return digest.hexdigest()


def is_compiled() -> bool:
    """Tell whether the simulators were compiled on this machine and have not changed since."""
    return read_state(STATE).get("fingerprint") == fingerprint()


def compile_simulators() -> None:
    """Compile the simulators, saying how far it is; do nothing when they are compiled."""
    if is_compiled():
        return
    from course.simulate import warm_up

    print("Compiling the simulators (once; up to a minute) …", file=sys.stderr, flush=True)
    seconds = warm_up(progress=lambda line: print(f"  {line}", file=sys.stderr, flush=True))
    write_state(STATE, {"fingerprint": fingerprint()})
    print(f"Compiled in {seconds:.0f} s.", file=sys.stderr)
