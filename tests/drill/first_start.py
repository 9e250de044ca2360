"""Start the course as the README says, see that it answers, end it; print what was seen, as JSON.

    python tests/drill/first_start.py [ARGUMENT…]

In a checkout; the arguments are for make, such as ``COURSE_VENV=…``. Plain Python: it runs before anything is
installed. Used by `tests.drill.fresh`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/lab\S*\?token=(\w+)")
PATIENCE = 60.0


def main() -> int:
    """Run ``make lab``, ask its server for the page and for the notebooks, end it."""
    begun = time.monotonic()
    command = ["make", "lab", "ARGS=--no-browser", *sys.argv[1:]]
    wrote, seen = [], None
    with subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True) as lab:
        try:
            for line in lab.stdout or ():
                wrote.append(line)
                if seen is None and (found := ADDRESS.search(line)):  # it is printed before the server answers
                    seen = look(*found.groups())
                    seen["seconds"] = round(time.monotonic() - begun, 1)
                    ask(*found.groups(), "api/shutdown", "POST")
        except BaseException:
            lab.kill()
            print("".join(wrote), file=sys.stderr)
            raise
    if seen is None or lab.returncode:
        print("".join(wrote), file=sys.stderr)
        return 1
    print(json.dumps(seen))
    return 0


def look(port: str, token: str) -> dict[str, float]:
    """Return what the server shows: whether the page is there, how many entries, how many cells on the welcome page."""
    page = ask(port, token, "lab")
    entries = json.loads(ask(port, token, "api/contents"))["content"]
    welcome = json.loads(ask(port, token, "api/contents/00-welcome.ipynb"))["content"]
    return {"page": "<title>JupyterLab</title>" in page, "entries": len(entries), "cells": len(welcome["cells"])}


def ask(port: str, token: str, path: str, method: str = "GET") -> str:
    """Return what the server answers; wait for it while it starts."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", method=method)
    request.add_header("Authorization", f"token {token}")
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
