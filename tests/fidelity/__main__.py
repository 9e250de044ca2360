"""How near predictions come to the real Dask, on this machine: `whatif`, then the simulated scheduler.

python tests/fidelity                 both (make fidelity): some 20 minutes
python tests/fidelity whatif …        programs recorded once, then really run with changes
python tests/fidelity scheduler …     graphs of sleeping tasks, simulated and run
"""

from __future__ import annotations

import sys

import replays
import scheduler

PARTS = {"whatif": replays.main, "scheduler": scheduler.main}


def main() -> int:
    """Run the parts that are named, or both; the first argument that is no part, and all after it, go to the part."""
    name, *rest = sys.argv[1:] or [""]
    if name in PARTS:
        return PARTS[name](rest)
    if name:
        print(__doc__)
        return 0 if name in ("-h", "--help") else 2
    return max(part([]) for part in PARTS.values())


if __name__ == "__main__":
    sys.exit(main())
