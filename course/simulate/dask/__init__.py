"""Dask's own scheduler and workers, simulated. `policy` has the `Dask` that `run` takes; `loop` is where to read on."""
