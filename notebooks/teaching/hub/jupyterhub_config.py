"""Settings of a JupyterHub for this course; notebooks/teaching/cluster.md says step by step how to use them.

Each student gets a container of the image that the Dockerfile beside this file makes, with limits on memory, cores and
processes, and a volume that keeps their folder. Read from top to bottom; what is likely to be changed comes first.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent

IMAGE = "tuning-course:latest"
MEMORY = "2G"  # of each student: a chapter takes about 1 GB with its cluster, chapter 22 most of it
CORES = 2.0
PROCESSES = 512  # kernels, workers, threads: a loop that starts processes ends here
AT_ONCE = 40  # how many students' servers may run: memory of the machine / MEMORY
IDLE = 60 * 60  # a server that nobody used for so many seconds is stopped; nothing of the student's is lost
# docker network create --subnet 172.28.0.0/24 --ip-range 172.28.0.128/25 --gateway 172.28.0.1 tuning-class
NETWORK, GATEWAY = "tuning-class", "172.28.0.1"


def names(file: str) -> set[str]:
    """Return the names in a file beside this one, one a line; none if there is no such file."""
    path = HERE / file
    return set(path.read_text(encoding="utf-8").split()) if path.is_file() else set()


c = get_config()  # noqa: F821 (JupyterHub defines it)

# Who may come in: names in students.txt and teachers.txt. By default with the password of their account on this
# machine; oauthenticator and ltiauthenticator (two packages) ask the school instead.
c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allowed_users = names("students.txt")
c.Authenticator.admin_users = names("teachers.txt")  # one that is taken out stays one until changed at /hub/admin
c.Authenticator.allow_existing_users = False  # whoever is taken out of the files is out at the hub's next start

# Where the hub listens: for browsers on this machine only, behind a web server that has the school's certificate
# (nginx, Caddy). The containers find the hub at the gateway of their network, which is not reachable from outside.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.JupyterHub.hub_ip = GATEWAY
# A page that one student makes can act as another who opens it, unless each has a name of their own. That needs a
# wildcard name and certificate (*.hub.school.example):
# c.JupyterHub.subdomain_host = "https://hub.school.example"

c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.image = IMAGE
c.DockerSpawner.network_name = NETWORK
c.DockerSpawner.remove = True  # the container; the volume stays
c.DockerSpawner.volumes = {"tuning-course-{username}": "/home/learner/tuning-course"}
c.DockerSpawner.mem_limit = MEMORY
c.DockerSpawner.cpu_limit = CORES
c.DockerSpawner.extra_host_config = {
    "memswap_limit": MEMORY,  # no swap beyond the memory: a full server is ended, and does not crawl
    "pids_limit": PROCESSES,
    "init": True,  # ends what kernels leave behind: the first process of a container has to, and JupyterLab does not
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}

# `course lab` notices that a hub started it: it updates the student's copies and becomes the hub's server.
c.Spawner.cmd = ["course", "lab"]
c.Spawner.default_url = "/lab/tree/00-welcome.ipynb"
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 60

# The class cluster, if its line is in join.txt beside this file (`course cluster serve` says where it wrote it).
if (HERE / "join.txt").is_file():
    c.Spawner.environment = {"COURSE_CLUSTER": (HERE / "join.txt").read_text(encoding="utf-8").strip()}

# Twenty students press Start in the same minute.
c.JupyterHub.concurrent_spawn_limit = 10
c.JupyterHub.active_server_limit = AT_ONCE

c.JupyterHub.services = [
    {
        "name": "idle-culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE}"],
    }
]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
]
