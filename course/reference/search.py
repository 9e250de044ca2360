"""A box to search in: the words of a reader, and the entries that have them all, or most of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets as widgets

MOST = 8
"""So many entries are shown at once."""
_MARKS = ".,:;!?…()[]<>\"'“”‘’`"


@dataclass(frozen=True)
class Entry:
    """Something that can be looked up.

    Attributes
    ----------
    title : str
        What it is called: several names are separated by spaces.
    words : str
        What else is said of it.
    markdown : str
        How it is shown.
    """

    title: str
    words: str
    markdown: str


def search(entries: Sequence[Entry], query: str) -> list[Entry]:
    """Return the entries that have all words of a query, or parts of words; those whose titles have them come first.

    If none has all, as for an error message that one pastes, those that have most of the words, if that is over half.

    Examples
    --------
    >>> one, two = Entry("little", "number = rate × time", ""), Entry("mm1", "one server; see little", "")
    >>> [entry.title for entry in search([two, one], "little")]
    ['little', 'mm1']
    >>> search([one, two], "rate server")
    []
    >>> [entry.title for entry in search([one, two], "number: rate, server.")]
    ['little']
    """
    wanted = [word for part in query.casefold().split() if (word := part.strip(_MARKS))]
    found = []
    for entry in entries if wanted else ():
        title, words = entry.title.casefold(), f"{entry.title} {entry.words}".casefold()
        has = sum(word in words for word in wanted)
        missing = sum(word not in title for word in wanted)
        whole = sum(word in title.split() for word in wanted)
        found.append((has, missing, -whole, len(found), entry))
    most = max((has for has, *_ in found), default=0)
    best = [each for each in found if each[0] == most > len(wanted) / 2]
    return [entry for *_, entry in sorted(best, key=lambda each: each[:-1])]


def answer(entries: Sequence[Entry], query: str) -> str:
    """Return what the box shows for a query, as Markdown.

    Examples
    --------
    >>> answer([Entry("a", "", "**a**: the first")], "b")
    'Nothing has “b”. Try one word, or fewer letters.'
    """
    if not query.strip():
        return f"{len(entries)} entries; type a word, or a part of one."
    found = search(entries, query)
    if not found:
        return f"Nothing has “{query.strip()}”. Try one word, or fewer letters."
    shown = "\n\n".join(entry.markdown for entry in found[:MOST])
    return shown if len(found) <= MOST else f"{shown}\n\n… and {len(found) - MOST} more: type another word."


class SearchBox(widgets.VBox):
    """A field to type in, and below it the entries that have all of its words, or most."""

    def __init__(self, entries: Sequence[Entry], label: str) -> None:
        self.entries = entries
        self.field = widgets.Text(
            description=label, placeholder="a word, or a part of one", continuous_update=True,
            style={"description_width": "initial"}, layout={"width": "30em"},
        )  # fmt: skip
        self.output = widgets.Output()
        self.field.observe(self._show, "value")
        super().__init__([self.field, self.output])
        self._show()

    def _show(self, _: object = None) -> None:
        text = answer(self.entries, self.field.value)
        data = {"text/markdown": text, "text/plain": text}
        self.output.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)

    def _repr_mimebundle_(self, **options: object) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**options)
        # What a page shows that was not run: a sentence, where a widget without its model would show nothing.
        return {**bundle, "text/plain": f"{self.field.description} {answer(self.entries, '')}"}
