"""Start the course as the README says, see that it answers, end it; print what was seen, as JSON.

    python tests/drill/first_start.py [ARGUMENT…]        (in the checkout; arguments for make, such as COURSE_VENV=…)

Plain Python: it runs before anything is installed. Used by `tests.drill.fresh`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/lab\S*\?token=(\w+)")


def main() -> int:
    """Run ``make lab``, ask its server for the page and for the notebooks, end it."""
    begun = time.monotonic()
    command = ["make", "lab", "ARGS=--no-browser", *sys.argv[1:]]
    wrote: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True) as lab:
        for line in lab.stdout or ():
            wrote.append(line)
            if found := ADDRESS.search(line):
                port, token = found.groups()
                page = _get(port, "lab", token)
                listed = json.loads(_get(port, "api/contents", token))["content"]
                welcome = json.loads(_get(port, "api/contents/00-welcome.ipynb", token))["content"]
                seen = {
                    "seconds": time.monotonic() - begun,
                    "page": "<title>JupyterLab</title>" in page,
                    "folder": sorted(entry["name"] for entry in listed),
                    "welcome": len(welcome["cells"]),
                }
                print(json.dumps(seen), flush=True)
                _get(port, "api/shutdown", token, "POST")
    if lab.returncode or not any(map(ADDRESS.search, wrote)):
        print("".join(wrote), file=sys.stderr)
        return 1
    return 0


def _get(port: str, path: str, token: str, method: str = "GET") -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", method=method)
    request.add_header("Authorization", f"token {token}")
    for attempt in range(20):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read().decode()
        except ConnectionRefusedError:
            if attempt == 19:
                raise
            time.sleep(0.5)
    raise AssertionError("not reached")


if __name__ == "__main__":
    sys.exit(main())
