"""How runs went, as one page to look at: `ecl report`, ecl.report(...), Run.report(path)."""

import os
from pathlib import Path
from typing import Iterable, Optional, Union

from ecl._report._reading import read
from ecl._report._page import write_page

__all__ = ["report"]


_Run = Union[str, "os.PathLike[str]"]


def report(runs: Union[_Run, Iterable[_Run]], out: Optional[_Run] = None) -> Path:
    """Writes one HTML file about these runs, an ecl.Run or a directory each, more than one beside each other; returns
    its path. Without `out` it is report.html: in the run's directory, or here if there are several.

    It holds all that it shows and needs no network. Of a run that has not ended it says how far that is. Raises
    ecl.Error where a directory holds no run, or the file cannot be written.
    """
    paths = list(map(Path, [runs] if isinstance(runs, (str, os.PathLike)) else runs))
    beside = paths[0] if len(paths) == 1 else Path()
    return write_page([read(path) for path in paths], Path(out or beside / "report.html"))
