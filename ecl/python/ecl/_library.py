"""libecl, the C interface (ecl/c/ecl.h), by ctypes: finds it, declares it, turns codes into exceptions."""

import atexit
import contextlib
import ctypes
import os
import sys
import traceback
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_size_t, c_uint64, c_void_p
from pathlib import Path
from typing import Any, List, Mapping, Optional

C_VERSION = (0, 1)  # of ecl.h: what this package calls
SAME_VERSION = C_VERSION[: 2 if C_VERSION[0] == 0 else 1]  # as much of it as must be libecl's, too: the soname's


class Error(RuntimeError):
    """What went wrong, where, what to do. `code` as in ecl.h: 1 internal, 2 usage, 3 rank lost, 4 diverged, 5 io."""

    code = 1


class RankLost(Error):
    """Another rank has died, has failed, or left while this one needs it."""

    code = 3


class Diverged(Error):
    """A gradient holds an infinity or a NaN, and no step was made; or training has diverged."""

    code = 4


_KINDS = {3: RankLost, 4: Diverged}
_FUNCTIONS = {
    "ecl_error": (c_char_p, []),
    "ecl_version": (c_char_p, []),
    "ecl_c_version": (c_int, []),
    "ecl_mpi": (c_char_p, []),
    "ecl_init": (c_int, []),
    "ecl_finalise": (c_int, []),
    "ecl_abort": (None, [c_int]),
    "ecl_rank": (c_int, []),
    "ecl_size": (c_int, []),
    "ecl_neighbours": (c_int, [c_char_p, c_int, c_uint64, c_int, POINTER(c_int), c_size_t, POINTER(c_size_t)]),
    "ecl_open": (c_int, [c_int, POINTER(c_char_p), POINTER(c_float), c_size_t, POINTER(c_void_p)]),
    "ecl_begin": (c_int, [c_void_p]),
    "ecl_step": (c_int, [c_void_p, c_void_p]),
    "ecl_exchange": (c_int, [c_void_p]),
    "ecl_set_lr": (c_int, [c_void_p, c_double]),
    "ecl_settle": (c_int, [c_void_p, POINTER(c_double)]),
    "ecl_average": (c_int, [c_void_p, POINTER(c_float), c_size_t]),
    "ecl_save": (c_int, [c_void_p, POINTER(c_void_p), POINTER(c_size_t)]),
    "ecl_load": (c_int, [c_void_p, c_char_p, c_size_t]),
    "ecl_figure": (c_int, [c_void_p, c_char_p, POINTER(c_double)]),
    "ecl_close": (c_int, [c_void_p]),
    "ecl_gather": (c_int, [c_char_p, c_size_t, c_char_p]),
    "ecl_tool": (c_int, [c_int, POINTER(c_char_p), c_int]),
    "ecl_predictor_open": (c_int, [c_char_p, c_int, POINTER(c_void_p)]),
    "ecl_predictor_close": (None, [c_void_p]),
    "ecl_predictor_inputs": (c_int, [c_void_p]),
    "ecl_predictor_input": (c_char_p, [c_void_p, c_int]),
    "ecl_predictor_level": (c_int, [c_void_p, c_int, c_char_p]),
    "ecl_predictor_classes": (c_int, [c_void_p]),
    "ecl_predictor_multi_label": (c_int, [c_void_p]),
    "ecl_predictor_class": (c_char_p, [c_void_p, c_int]),
    "ecl_predict": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
}


def find(variable: str, *names: str) -> Path:
    """A file of ecl, of the first of `names` that is there: beside this package, in its installation or build tree, or
    where an environment variable says."""
    named = os.environ.get(variable)
    if named:
        if os.path.exists(named):
            return Path(named)
        raise ImportError(f"{variable}={named}: there is no such file")
    here = Path(__file__).resolve()
    places: List[Path] = [here.parent]  # of a wheel
    for prefix in list(here.parents)[1:6]:
        places += [prefix / "lib", *sorted(prefix.glob("lib/*-linux-*")), prefix / "lib64", prefix / "bin"]
        if (prefix / "CMakePresets.json").exists():
            places.append(prefix / "build")
    for place in places:
        for name in names:
            if (place / name).is_file():
                return place / name
    raise ImportError(
        f"ecl's {names[-1]} is neither beside this package ({here.parent}) nor in a build tree; build it "
        f"(scripts/build) or say where it is: {variable}=/path/to/{names[-1]}"
    )


def check_launcher(library: str, environment: Mapping[str, str]) -> None:
    """Refuses an mpirun of another MPI than libecl's: each rank would think that it is alone."""
    open_mpi = "Open MPI" in library
    by_open_mpi = "OMPI_COMM_WORLD_SIZE" in environment
    by_mpich = "PMI_SIZE" in environment and not by_open_mpi and "SLURM_JOB_ID" not in environment
    if (by_open_mpi and not open_mpi) or (by_mpich and open_mpi):
        theirs, right = ("Open MPI", "mpiexec.mpich") if by_open_mpi else ("MPICH", "mpirun.openmpi")
        raise ImportError(
            f"this mpirun is of {theirs}, and ecl was built with {library}: start the job with {right}, or build ecl "
            "with the other MPI"
        )


def _load() -> ctypes.CDLL:
    path = find("ECL_LIBRARY", "libecl.so." + ".".join(map(str, SAME_VERSION)), "libecl.so")
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name, None)
        if function is None:
            raise ImportError(f"{path} has no {name}: it is older than this package; install both from one build")
        function.restype, function.argtypes = result, arguments
    found = library.ecl_c_version()
    if (found >> 16, found & 0xFFFF)[: len(SAME_VERSION)] != SAME_VERSION:
        raise ImportError(f"{path} is of another version than this package; install both from one build")
    check_launcher(library.ecl_mpi().decode(), os.environ)
    return library


lib = _load()


def must(code: int) -> None:
    """Raises what a call of libecl returned, unless it was 0."""
    if code == 0:
        return
    error = _KINDS.get(code, Error)(lib.ecl_error().decode())
    error.code = code
    raise error


_started = False


def init() -> None:
    """Starts MPI, once, where nobody else has."""
    global _started
    if _started:
        return
    must(lib.ecl_init())
    _started = True
    atexit.register(_finalise)
    if lib.ecl_size() > 1:
        _abort_on_exceptions()


def _finalise() -> None:
    """At the end of the program: answers neighbours until all are there."""
    code = lib.ecl_finalise()
    if code == 0:
        return
    try:
        _say(f"rank {lib.ecl_rank()}: {lib.ecl_error().decode()}")
    finally:
        lib.ecl_abort(code)


def _abort_on_exceptions() -> None:
    """An exception that ends one rank ends the job: the others would wait for it. Who notices says so in a line."""
    before = sys.excepthook

    def hook(kind: Any, value: BaseException, trace: Any) -> None:
        try:  # whatever cannot be said: the job ends
            if isinstance(value, RankLost):
                _say(f"rank {lib.ecl_rank()}: {value}")
                return
            try:
                before(kind, value, trace)
            finally:
                _say(f"rank {lib.ecl_rank()} ended by {_line_of(kind, value)}; the job ends with it")
        finally:
            lib.ecl_abort(value.code if isinstance(value, Error) else 1)

    sys.excepthook = hook


def _line_of(kind: Any, value: BaseException) -> str:
    """What Python calls it, without the lines before and after, as a syntax error's place and notes."""
    place = "" if kind.__module__ in ("__main__", "builtins") else f"{kind.__module__}."
    name = place + kind.__qualname__
    lines = "".join(traceback.format_exception_only(kind, value)).splitlines()
    return next((line for line in lines if line.startswith(name)), name)


def _say(line: str) -> None:
    with contextlib.suppress(Exception):  # a full disk, a closed stream: the line is said all the same
        sys.stdout.flush()
    sys.stderr.write(f"ecl: {line}\n")
    sys.stderr.flush()


def version() -> str:
    """Of ecl, as "0.1.0"."""
    return lib.ecl_version().decode()


def mpi() -> str:
    """The MPI library that ecl was built with, as "Open MPI v4.1.4"."""
    return lib.ecl_mpi().decode()


def rank() -> int:
    """Number of this process among those that mpirun started, from 0. Starts MPI."""
    init()
    return lib.ecl_rank()


def size() -> int:
    """How many processes mpirun started. Starts MPI."""
    init()
    return lib.ecl_size()


def topology(name: str = "ring", nodes: Optional[int] = None, *, seed: int = 1) -> List[List[int]]:
    """Who hears whom: a list of neighbours for each node, ascending.

    name:  ring, torus, complete, random_regular:4, ... (python3 -m ecl list names them all)
    nodes: how many; size() without it
    seed:  of random graphs
    """
    count, lists = size() if nodes is None else nodes, []
    for node in range(count):
        found = c_size_t()
        room = (c_int * count)()
        must(lib.ecl_neighbours(name.encode(), count, seed, node, room, count, ctypes.byref(found)))
        lists.append(list(room[: found.value]))
    return lists
