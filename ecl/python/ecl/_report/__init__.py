"""How runs went, as one page to look at: `ecl report`, ecl.report(...), Run.report(path)."""

from pathlib import Path
from typing import Iterable, Union

from ecl._report._reading import read
from ecl._report._page import write_page

__all__ = ["report"]


def report(runs: Union[str, Path, Iterable[Union[str, Path]]], out: Union[str, Path]) -> Path:
    """Writes one HTML file about the runs in these directories, more than one beside each other; returns its path.

    It holds all that it shows and needs no network. Of a run that has not ended it says how far that is. Raises
    ecl.Error where a directory holds no run, or the file cannot be written.
    """
    paths = [runs] if isinstance(runs, (str, Path)) else list(runs)
    return write_page([read(path) for path in paths], Path(out))
