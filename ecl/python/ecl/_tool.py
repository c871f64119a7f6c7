"""The command line tool in this process."""

import contextlib
import ctypes
import os
import sys
import tempfile
import uuid
from typing import Any, Iterator, List, Mapping, Optional

from ecl._library import Error, init, lib, must, size

_USAGE = 2


def mistake(what: str) -> Error:
    """Of the caller's."""
    error = Error(what)
    error.code = _USAGE
    return error


def tool(*arguments: Any) -> int:
    """Any command of the tool, as ecl.tool("topology", "torus", "-n", 16): prints what `python3 -m ecl topology ...`
    prints. Returns its exit code, 0 or what its results mean (4: diverged, 75: stopped by a signal); raises Error with
    its one line where it fails."""
    return call(list(map(str, arguments)), silent=False)


def call(arguments: List[str], silent: bool) -> int:
    """`silent`: no results, and no warnings, which are in the run's directory."""
    sys.stdout.flush()
    sys.stderr.flush()
    texts = [argument.encode() for argument in arguments]
    if arguments[:1] == ["report"] and not {"-h", "--help"} & set(arguments):
        return _report(arguments[1:])
    if launched() or texts[:1] in ([b"train"], [b"doctor"]):
        init()  # libecl would, too, but not end what it began
    code = lib.ecl_tool(len(texts), (ctypes.c_char_p * len(texts))(*texts), int(silent))
    if code != 0 and lib.ecl_error():
        must(code)
    return code


def _report(arguments: List[str]) -> int:
    """Python's own command."""
    try:
        from ecl._report._command import carry_out
    except ModuleNotFoundError as error:
        raise Error(f"report wants Python's {error.name}; on Debian: apt-get install python3-{error.name}") from error
    carry_out(arguments)
    return 0


def launched() -> bool:
    """As libecl's mpi::launched()."""
    if "OMPI_COMM_WORLD_RANK" in os.environ:
        return True
    if os.environ.get("OMPI_MCA_ess") == "singleton":  # a process without a launcher, or one that it started
        return False
    return "PMIX_RANK" in os.environ or "PMI_RANK" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1


def options_of(keywords: Mapping[str, Any]) -> List[str]:
    """Keywords as the tool's options: lr_schedule="cosine" is --lr-schedule=cosine; True is an option without a value;
    None and False leave it out; a list repeats it; a dict is KEY=VALUE, ... (of `set`, one
    option each)."""
    found: List[str] = []
    for name, value in keywords.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, Mapping):
            value = [f"{key}={number}" for key, number in value.items()]
            value = value if name == "set" else ",".join(value)
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is True:
                found.append(option)
            elif one is not None and one is not False:
                found.append(f"{option}={os.fspath(one) if isinstance(one, os.PathLike) else one}")
    return found


def new_path() -> str:
    """For temporary files: nothing is there yet."""
    return os.path.join(tempfile.gettempdir(), "ecl-" + uuid.uuid4().hex)


@contextlib.contextmanager
def private_files(private: bool) -> Iterator[None]:
    """What is made within is for this user alone, if it is private: a model says something of the data."""
    before = os.umask(0o077) if private else None
    try:
        yield
    finally:
        if before is not None:
            os.umask(before)


def shared_path() -> str:
    """The same on all ranks. Collective."""
    return gather(new_path().encode())[0].decode()


def gather(mine: bytes) -> List[bytes]:
    """What each rank has, in the order of the ranks, on every rank. Collective."""
    lengths = [int.from_bytes(length, "little") for length in _gather(len(mine).to_bytes(8, "little"))]
    return [text[:length] for text, length in zip(_gather(mine.ljust(max(lengths), b"\0")), lengths)]


def _gather(mine: bytes) -> List[bytes]:
    ranks, length = size(), len(mine)
    everything = ctypes.create_string_buffer(max(1, ranks * length))
    must(lib.ecl_gather(mine, length, everything))
    return [everything.raw[r * length : (r + 1) * length] for r in range(ranks)]


def agree(wrong: Optional[Exception]) -> None:
    """Raises the first rank's error on all ranks, if there is any: nobody is left waiting. Collective."""
    for number, text in enumerate(gather((str(wrong) or type(wrong).__name__ if wrong else "").encode())):
        if text:
            raise mistake((f"rank {number}: " if size() > 1 else "") + text.decode())
