"""ecl report RUN...: the command, and the same within a program."""

import argparse
import sys
import time
from pathlib import Path
from typing import List, NoReturn

from ecl._library import Error
from ecl._report._page import RENEWED_S, write_page
from ecl._report._reading import goes_on, read
from ecl._tool import mistake

_LOOKS_S = 0.5  # of --watch, between two looks whether runs go on


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise mistake(f"{message} (see ecl report --help)")


def main(arguments: List[str]) -> int:
    """Of a process that is nothing but the command: its exit code, and a line where it fails."""
    try:
        carry_out(arguments)
        return 0
    except Error as error:
        sys.stderr.write(f"ecl: report: {error}\n")
        return error.code if error.code > 1 else 2
    except KeyboardInterrupt:
        return 130


def carry_out(arguments: List[str]) -> None:
    """Raises Error."""
    parser = _Parser(allow_abbrev=False, add_help=False)  # the tool has the help
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--out")
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("--tensorboard")
    options = parser.parse_args(arguments)
    if options.tensorboard:
        from ecl._report._tensorboard import write_events

        if options.watch:
            raise mistake("--watch renews a page, not --tensorboard's files; leave one of them out")
        runs = [read(path) for path in options.runs]
        for k, run in enumerate(runs):
            folder = Path(options.tensorboard)
            if len(runs) > 1:
                same = [other.name for other in runs[:k]].count(run.name)
                folder /= run.name + (f"-{same + 1}" if same else "")
            print(f"{folder}: {write_events(run, folder)} files")
        if not options.out:
            return
    out = Path(options.out or (Path(options.runs[0]) / "report.html" if len(options.runs) == 1 else "report.html"))
    _write(options.runs, out, options.watch)


def _write(paths: List[str], out: Path, watch: bool) -> None:
    said = False
    while True:
        runs = [read(path) for path in paths]
        write_page(runs, out)
        if not said:
            print(out, flush=True)
            said = True
        if not watch or not any(run.state == "running" for run in runs):
            return
        drawn = time.monotonic()
        while time.monotonic() - drawn < RENEWED_S and any(map(goes_on, paths)):
            time.sleep(_LOOKS_S)
