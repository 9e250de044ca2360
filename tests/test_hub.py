"""The settings for a JupyterHub: JupyterHub reads them, each names something that exists, and a local hub runs them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.cookiejar import CookieJar
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

pytest.importorskip("jupyterhub", reason="JupyterHub is not installed: pip install -c constraints.txt -e '.[hub]'")

import docker
from jupyterhub.app import JupyterHub
from jupyterhub.scopes import scope_definitions
from traitlets import HasTraits
from traitlets.config import Config, PyFileConfigLoader

ROOT = Path(__file__).parents[1]
HUB = ROOT / "notebooks" / "teaching" / "hub"
PROXY = shutil.which("configurable-http-proxy")


def settings(folder: Path = HUB) -> Config:
    return PyFileConfigLoader("jupyterhub_config.py", path=str(folder)).load_config()


def of_group(group: str, name: str) -> type:
    """Return what JupyterHub means by a short name: spawners and authenticators are registered under one."""
    (found,) = entry_points(group=group, name=name)
    return found.load()


def owners(config: Config) -> dict[str, HasTraits]:
    """Make what the settings are for, with them: hub, spawner of a student, authenticator."""
    spawner = of_group("jupyterhub.spawners", config.JupyterHub.spawner_class)
    authenticator = of_group("jupyterhub.authenticators", config.JupyterHub.authenticator_class)
    student = spawner(config=config, user=SimpleNamespace(name="ada lovelace"))
    return {
        "JupyterHub": JupyterHub(config=config),
        "Spawner": student,
        spawner.__name__: student,
        "Authenticator": authenticator(config=config),
    }


def test_each_setting_is_one_of_its_class_and_takes_its_value():
    config = settings()
    made = owners(config)
    # A class for a name, bytes for 2G: what the spawner makes of it.
    translated = {"spawner_class", "authenticator_class", "mem_limit"}
    checked = 0
    assert set(config) == set(made)
    for name, section in config.items():
        known = made[name].traits(config=True)
        for setting, value in section.items():
            assert setting in known, f"{name}.{setting} is no setting"
            assert "deprecated" not in known[setting].help.strip().splitlines()[0].lower()
            assert setting in translated or getattr(made[name], setting) == value
            checked += 1
    assert checked >= 18


def test_limits_hold_for_each_student():
    config = settings()
    student = owners(config)["DockerSpawner"]
    assert student.mem_limit == 2 * 1024**3
    assert student.cpu_limit == 2.0
    assert student.extra_host_config["memswap_limit"] == config.DockerSpawner.mem_limit
    assert student.extra_host_config["pids_limit"] == 512
    docker.types.HostConfig(version="1.44", **student.extra_host_config)  # what Docker knows
    # A volume of their own, whatever letters a name has.
    assert set(student.volume_binds) == {"tuning-course-ada-20lovelace"}
    assert student.use_internal_ip  # nothing of a container is published on the server


def test_the_culler_may_do_what_it_does_and_no_more():
    hub = settings().JupyterHub
    (service,) = hub.services
    (role,) = hub.load_roles
    assert role["services"] == [service["name"]]
    assert {scope for scope in role["scopes"]} <= set(scope_definitions)
    assert not any(scope.startswith("admin") for scope in role["scopes"])
    done = subprocess.run([*service["command"][:3], "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "--timeout" in done.stdout


def test_names_and_the_class_cluster_come_from_files_beside_it(tmp_path):
    shutil.copy(HUB / "jupyterhub_config.py", tmp_path)
    assert settings(tmp_path).Authenticator.allowed_users == set()
    assert "environment" not in settings(tmp_path).Spawner
    (tmp_path / "students.txt").write_text("ada\nben\n\n", encoding="utf-8")
    (tmp_path / "teachers.txt").write_text("grace\n", encoding="utf-8")
    (tmp_path / "join.txt").write_text("course cluster join tls://172.28.0.1:8786/abc\n", encoding="utf-8")
    config = settings(tmp_path)
    assert config.Authenticator.allowed_users == {"ada", "ben"}
    assert config.Authenticator.admin_users == {"grace"}
    assert not owners(config)["Authenticator"].allow_existing_users  # JupyterHub would let in who was once allowed
    assert config.Spawner.environment == {"COURSE_CLUSTER": "course cluster join tls://172.28.0.1:8786/abc"}


def test_the_image_has_what_it_needs_and_no_solutions():
    lines = (HUB / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]}
    assert all((ROOT / name).exists() for name in copied)
    # What the wheel is made of is there.
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    included = re.findall(r'^"?([\w.]+)"? = "course/_', project, flags=re.MULTILINE)
    assert set(included) | {"course", "pyproject.toml"} <= copied
    ignored = (HUB / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored.index("*") < ignored.index("!notebooks") < ignored.index("notebooks/solutions")
    assert {f"!{name}" for name in copied} <= set(ignored)
    (python,) = re.findall(r"^FROM python:(\S+)-slim$", "\n".join(lines), flags=re.MULTILINE)
    assert tuple(map(int, python.split("."))) >= (3, 11)
    assert lines[-1] == 'CMD ["course", "lab"]'
    assert settings().Spawner.cmd == ["course", "lab"]
    assert "USER learner" in lines


# ---- a local hub ---------------------------------------------------------------------------------------------

LOCAL = """
load_subconfig({config!r})
c.JupyterHub.spawner_class = "simple"  # servers are processes, without containers
c.SimpleLocalProcessSpawner.home_dir_template = {home!r}
c.Spawner.cmd = [{python!r}, "-m", "course", "lab"]
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = {hub}
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.ConfigurableHTTPProxy.command = {proxy!r}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
"""


def free_ports(number: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Browser:
    """Somebody at the hub, with cookies."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.cookies = CookieJar()
        self.opener = build_opener(HTTPCookieProcessor(self.cookies))

    def get(self, path: str, **form: str) -> tuple[str, str]:
        data = urlencode(form).encode() if form else None
        with self.opener.open(self.address + path, data, timeout=30) as answer:
            return answer.url, answer.read().decode()

    def log_in(self, name: str) -> None:
        """Log in, and ask for a server."""
        self.get("/hub/login")
        (token,) = {cookie.value for cookie in self.cookies if cookie.name == "_xsrf"}
        self.get("/hub/login", username=name, password="any", _xsrf=token)

    def wait_for(self, path: str, seconds: float) -> str:
        """Return a page of the user's server, once it is there."""
        until = time.monotonic() + seconds
        while True:
            try:
                url, page = self.get(path)
                if "/hub/" not in url:
                    return page
            except URLError:
                if time.monotonic() > until:
                    raise
            assert time.monotonic() < until, "the user's server did not start"
            time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="JupyterHub does not run on Windows")
@pytest.mark.skipif(PROXY is None, reason="a hub needs configurable-http-proxy: npm install -g configurable-http-proxy")
def test_a_local_hub_serves_a_student_the_course(tmp_path):
    (port, hub, api) = free_ports(3)
    folder = tmp_path / "hub"
    folder.mkdir()
    shutil.copy(HUB / "jupyterhub_config.py", folder)
    (folder / "students.txt").write_text("ada\n", encoding="utf-8")
    (folder / "join.txt").write_text("course cluster join tls://127.0.0.1:1/abc\n", encoding="utf-8")
    local = folder / "local.py"
    home = str(tmp_path / "{username}")
    local.write_text(
        LOCAL.format(
            config=str(folder / "jupyterhub_config.py"), home=home, python=sys.executable, hub=hub, port=port,
            api=api, proxy=[PROXY],
        ),
        encoding="utf-8",
    )  # fmt: skip
    usual = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
    usual["PYTHONPATH"] = str(ROOT)
    # As the image does it: at a student's start the simulators are compiled already.
    subprocess.run([sys.executable, "-m", "course", "warm-up"], env=usual, capture_output=True, check=True)
    log = (tmp_path / "log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub", "-f", str(local)],
        cwd=folder, env=usual, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        ada, eve = Browser(f"http://127.0.0.1:{port}"), Browser(f"http://127.0.0.1:{port}")
        until = time.monotonic() + 60
        while True:
            try:
                ada.get("/hub/login")
                break
            except URLError:
                assert process.poll() is None, "the hub did not start"
                assert time.monotonic() < until
                time.sleep(0.3)
        with pytest.raises(URLError, match="403"):
            eve.log_in("eve")  # who is not in students.txt
        ada.log_in("ada")
        page = ada.wait_for("/hub/spawn", 120)
        assert "00-welcome.ipynb" in page  # it opens there
        assert '"hubUser": "ada"' in page
        contents = ada.get("/user/ada/api/contents/?content=1")[1]
        assert '"00-welcome.ipynb"' in contents
        assert '"exercises"' in contents
        assert "solutions" not in contents
        assert (tmp_path / "ada" / "tuning-course" / "00-welcome.ipynb").is_file()
        with pytest.raises(URLError):
            eve.get("/user/ada/api/contents/")
    except BaseException:
        log.seek(0)
        print(log.read()[-6000:])
        raise
    finally:
        process.send_signal(signal.SIGINT)  # takes its users' servers and its proxy along
        try:
            process.wait(60)
        finally:
            process.kill()
            log.close()
