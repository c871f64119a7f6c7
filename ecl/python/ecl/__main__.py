"""python3 -m ecl COMMAND ...: ecl's command line tool, the one that was built with this package. `report` is here, its
help there."""

import os
import sys

from ecl._library import find


def main() -> None:
    if sys.argv[1:2] == ["report"] and not {"-h", "--help"} & set(sys.argv):
        report()
    try:
        tool = str(find("ECL_TOOL", "ecl"))
    except ImportError as error:
        sys.exit(str(error))
    os.execv(tool, [tool, *sys.argv[1:]])


def report() -> None:
    try:
        from ecl._report._command import main as command
        from ecl._tool import launched
    except ModuleNotFoundError as error:
        sys.exit(f"ecl: report wants Python's {error.name}; on Debian: apt-get install python3-{error.name}")
    if launched():
        sys.exit("ecl: ecl report works by itself: start it without mpirun")
    sys.exit(command(sys.argv[2:]))


if __name__ == "__main__":
    main()
