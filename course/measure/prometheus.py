"""The metrics that a running cluster serves to Prometheus: `metrics`, and what changed between two of them."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import dask
from distributed import Client

if TYPE_CHECKING:
    import pandas

COLUMNS = ["server", "metric", "labels", "type", "value", "time"]
_IDENTITY = ["server", "metric", "labels"]


def metrics(client: Client, *, timeout: float = 5.0) -> pandas.DataFrame:
    """Read the metrics of the scheduler and of every worker, as a Prometheus server would.

    Each server of Dask answers ``GET /metrics`` on the port of its dashboard, with or without a dashboard. They are
    asked one after the other, which takes a few milliseconds each; nothing is stored between two calls.

    Parameters
    ----------
    client : distributed.Client
        Of any cluster whose HTTP ports this machine can reach.
    timeout : float
        Seconds to wait for each server.

    Returns
    -------
    pandas.DataFrame
        A row for each sample, with the columns ``server`` (``"scheduler"``, or the worker's name as text), ``metric``
        (``"dask_worker_tasks"``), ``labels`` (``"state=executing"``; several are joined by a comma and a space),
        ``type`` (``"gauge"``: a level; ``"counter"``: a sum that only grows), ``value``, and ``time``, when it was read
        [s since 1970].

    Raises
    ------
    RuntimeError
        If the package prometheus_client is missing, here or where a server runs.
    ConnectionError
        If a server does not serve metrics, or cannot be reached.
    ValueError
        If the timeout is not above 0.

    Notes
    -----
    A gauge is a level at the instant of reading; between two readings it may have been anything. Prefer counters.

    Whether a server's event loop is blocked is told by the rate of its ``…_tick_count_total``: 50 a second, one every
    ``distributed.admin.tick.interval``, if it is free. ``…_tick_duration_maximum_seconds`` does not tell (seen in
    2026.8: it is only how long ago the last tick was).

    The metrics that begin with ``process_`` and ``python_`` are those of the operating system's process. Where workers
    are threads of this process (``cluster(processes=False)``), all servers share it.

    Requests do not go through a proxy. Where the dashboard speaks TLS, this function cannot read it.

    Taught in chapter 11.

    References
    ----------
    Dask: Prometheus metrics. Documentation of Dask 2026, https://distributed.dask.org/en/stable/prometheus.html

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(2, 3, processes=False, dashboard=False) as client:
    ...     frame = metrics(client)
    >>> frame[frame.metric == "dask_worker_threads"][["server", "type", "value"]]
       server   type  value
    ...     0  gauge    3.0
    ...     1  gauge    3.0
    """
    if not timeout > 0:
        raise ValueError(f"timeout is {timeout}; it must be above 0 seconds")
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ModuleNotFoundError:
        raise RuntimeError("metrics need the package prometheus_client: pip install prometheus-client") from None
    import pandas

    # Where workers are threads of one process, each address answers for the scheduler and for one worker.
    namespace = dask.config.get("distributed.dashboard.prometheus.namespace")
    ours = f"{namespace}_" if namespace else ""
    rows = []
    for server, url in _addresses(client):
        text = _get(server, url, timeout)
        now = time.time()
        for family in text_string_to_metric_families(text):
            of_worker = family.name.startswith(f"{ours}worker_")
            of_scheduler = family.name.startswith(
                tuple(f"{ours}{part}_" for part in ("scheduler", "stealing", "semaphore"))
            )
            if (of_worker and server == "scheduler") or (of_scheduler and server != "scheduler"):
                continue
            for sample in family.samples:
                labels = ", ".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                rows.append((server, sample.name, labels, family.type, float(sample.value), now))
    return pandas.DataFrame(rows, columns=COLUMNS)


def metric_rates(before: pandas.DataFrame, after: pandas.DataFrame) -> pandas.DataFrame:
    """Return how fast each counter grew between two readings: what ``rate()`` is in a Prometheus query.

    Parameters
    ----------
    before, after : pandas.DataFrame
        Two results of `metrics` of one cluster, in this order.

    Returns
    -------
    pandas.DataFrame
        A row for each counter of ``after``: the columns ``server``, ``metric``, ``labels``, ``growth`` (in the unit of
        the counter), ``seconds`` (between the two readings of that server) and ``rate`` (growth per second). A counter
        that was not there before began at 0. One that has fallen began anew, with a restarted worker: what it shows is
        its growth since then.

    Raises
    ------
    ValueError
        If a table lacks a column, or ``after`` was not read after ``before``.

    Notes
    -----
    The rate of a counter of *seconds* is a utilization: of ``dask_scheduler_tasks_compute_seconds_total``, summed over
    the prefixes, it is how many threads were busy on average. But Dask adds a task's time when the task ends.

    Taught in chapter 11.

    References
    ----------
    Prometheus Authors: Query functions, rate(). Documentation of Prometheus,
    https://prometheus.io/docs/prometheus/latest/querying/functions/

    Examples
    --------
    >>> import pandas
    >>> before = pandas.DataFrame([("0", "bytes_total", "", "counter", 100.0, 10.0)], columns=COLUMNS)
    >>> after = pandas.DataFrame([("0", "bytes_total", "", "counter", 400.0, 12.0)], columns=COLUMNS)
    >>> metric_rates(before, after)
      server       metric labels  growth  seconds   rate
    0      0  bytes_total          300.0      2.0  150.0
    """
    for name, table in (("before", before), ("after", after)):
        if lacking := [column for column in COLUMNS if column not in getattr(table, "columns", ())]:
            raise ValueError(f"{name} lacks the columns {', '.join(lacking)}; it must be a result of metrics()")
    began = before.groupby("server").time.min()
    counters = after[after.type == "counter"].merge(
        before[[*_IDENTITY, "value"]], how="left", on=_IDENTITY, suffixes=("", "_before")
    )
    # A server that was not there before: it may have begun at any time since.
    counters["seconds"] = counters.time - counters.server.map(began).fillna(before.time.min())
    if not (counters.seconds > 0).all():
        raise ValueError("after was not read after before; give the earlier reading first")
    earlier = counters.value_before.fillna(0.0)
    counters["growth"] = counters.value - earlier.where(earlier <= counters.value, 0.0)
    counters["rate"] = counters.growth / counters.seconds
    return counters[[*_IDENTITY, "growth", "seconds", "rate"]]


def _addresses(client: Client) -> list[tuple[str, str]]:
    """Return the name and the address of the metrics of each server: the scheduler's first, then the workers'."""
    info = client.scheduler_info(n_workers=-1)
    servers = [("scheduler", info["address"], info.get("services", {}))]
    servers += [(str(each["name"]), address, each.get("services", {})) for address, each in info["workers"].items()]
    found = []
    for server, address, services in servers:
        if "dashboard" not in services:
            raise ConnectionError(f"{server} at {address} serves no HTTP, and so no metrics; it says {services!r}")
        # What has no address in the network ("inproc://…") runs in this process.
        host = urlsplit(address).hostname if "inproc" not in address else "127.0.0.1"
        host = f"[{host}]" if ":" in str(host) else host
        found.append((server, f"http://{host}:{services['dashboard']}/metrics"))
    return found


# A proxy that the environment names could not reach the loopback device.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _get(server: str, url: str, timeout: float) -> str:
    try:
        with _opener.open(url, timeout=timeout) as answer:
            text = answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        error.close()
        raise ConnectionError(
            f"{server} answers {error.code} at {url}; its routes must include the metrics: see the settings "
            "distributed.scheduler.http.routes and distributed.worker.http.routes"
        ) from None
    except OSError as error:
        raise ConnectionError(
            f"{server} does not answer at {url} within {timeout:g} s: {error}; is the cluster still running, and does "
            "this machine reach that port?"
        ) from None
    if text.startswith("# Prometheus metrics are not available"):
        raise RuntimeError(f"{server} has no metrics: install prometheus-client where it runs")
    return text
