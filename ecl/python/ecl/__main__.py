"""python3 -m ecl COMMAND ...: ecl's command line tool, the one that was built with this package."""

import os
import sys

from ecl._library import find


def main() -> None:
    try:
        tool = str(find("ECL_TOOL", "ecl"))
    except ImportError as error:
        sys.exit(str(error))
    os.execv(tool, [tool, *sys.argv[1:]])


if __name__ == "__main__":
    main()
