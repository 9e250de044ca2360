"""What comes with the course, data files and notebooks: a checkout's, or else those inside the installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_PLACES = (_PACKAGE.parent / "data", _PACKAGE / "_data")


def data_file(name: str) -> Path:
    """Return the path of a file or folder of the course's ``data/``; ``data/README.md`` says what each is.

    Parameters
    ----------
    name : str
        Its path below ``data``, with ``/``.

    Raises
    ------
    FileNotFoundError
        There is none of that name; the message says where it was looked for.

    Examples
    --------
    >>> data_file("chapters.csv").name
    'chapters.csv'

    Notes
    -----
    Used in chapters 04 and 11.
    """
    for place in _PLACES:
        if (place / name).exists():
            return place / name
    raise FileNotFoundError(f"{name} is missing (looked in {' and '.join(map(str, _PLACES))}); reinstall the course")


def notebooks_folder() -> Path:
    """Return the folder of the notebooks as they came.

    Raises
    ------
    FileNotFoundError
        There is none; the message says where it was looked for.

    Examples
    --------
    >>> (notebooks_folder() / "00-welcome.ipynb").is_file()
    True
    """
    places = [_PACKAGE.parent / "notebooks", _PACKAGE / "_notebooks"]
    # In site-packages a folder "notebooks" beside the package would be somebody else's.
    if not (_PACKAGE.parent / "pyproject.toml").is_file():
        places.reverse()
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"the course's notebooks are missing (looked in {places[0]} and {places[1]}); reinstall the course"
    )
