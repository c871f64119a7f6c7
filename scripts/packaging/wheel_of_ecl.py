"""How `pip install .` makes its wheel (PEP 517): CMake compiles, or a build that is there is taken; setuptools packs.

ECL_BUILD=DIR names the build to take; without it one is made in build-pip/, and kept for the next time. Nothing else is
written into the source tree.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Iterator

import setuptools
from setuptools import build_meta
from wheel.bdist_wheel import bdist_wheel

ROOT = Path(__file__).resolve().parents[2]


def get_requires_for_build_wheel(config_settings: Any = None) -> list:
    return []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Any = None) -> str:
    directory = os.path.abspath(metadata_directory)
    with packing():
        return build_meta.prepare_metadata_for_build_wheel(directory)


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: Any = None) -> str:
    build, directory = compiled(), os.path.abspath(wheel_directory)
    with packing() as package:
        for name in ("ecl", "libecl.so"):
            shutil.copy(build / name, package / name)
        return build_meta.build_wheel(directory)


def compiled() -> Path:
    """A build directory with the tool and the library in it."""
    named = os.environ.get("ECL_BUILD")
    if named:
        if not all((Path(named) / name).exists() for name in ("ecl", "libecl.so")):
            sys.exit(f"ECL_BUILD={named}: ecl and libecl.so are not there; build them, or leave the variable out")
        return Path(named).resolve()
    build = ROOT / "build-pip"
    ninja = ["-G", "Ninja"] if shutil.which("ninja") else []
    run("cmake", "-S", ROOT, "-B", build, *ninja, "-DECL_TESTS=OFF", "-DECL_BENCH=OFF")
    run("cmake", "--build", build, "--parallel", os.cpu_count() or 1, "--target", "ecl_tool", "ecl_shared")
    return build


def run(*command: Any) -> None:
    if subprocess.run(list(map(str, command))).returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed; what building needs is in {ROOT / 'README.md'}")


@contextlib.contextmanager
def packing() -> Iterator[Path]:
    """Within, setuptools works in a directory of its own: its build/ is not CMake's. Yields the package there."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as work:
        for name in ("pyproject.toml", "LICENSE"):
            shutil.copy(ROOT / name, work)
        package = Path(work) / "ecl"
        shutil.copytree(ROOT / "ecl/python/ecl", package, ignore=shutil.ignore_patterns("__pycache__"))
        (Path(work) / "setup.py").write_text("import wheel_of_ecl; wheel_of_ecl.setup()\n")
        os.chdir(work)
        try:
            yield package
        finally:
            os.chdir(before)


class Wheel(bdist_wheel):
    """For any Python, as nothing is compiled for Python, but for this kind of machine."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple:
        return ("py3", "none", super().get_tag()[2])


def setup() -> None:
    version = re.search(r"project\(ecl VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    setuptools.setup(
        version=version,
        packages=setuptools.find_namespace_packages(include=["ecl*"]),
        package_data={"": ["**"]},
        cmdclass={"bdist_wheel": Wheel},
    )
