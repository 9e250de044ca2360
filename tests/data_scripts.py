"""The scripts in data/ that make what is stored there, as modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

DATA = Path(__file__).parents[1] / "data"


def load(name: str) -> ModuleType:
    """Run ``data/<name>.py`` and return it as a module."""
    spec = importlib.util.spec_from_file_location(name, DATA / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
