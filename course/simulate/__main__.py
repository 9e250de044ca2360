"""``python -m course.simulate``: compile the simulators, with progress."""

from course.simulate.compiled import warm_up

if __name__ == "__main__":
    warm_up(progress=print)
