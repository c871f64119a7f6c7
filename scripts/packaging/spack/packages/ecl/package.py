# spack repo add scripts/packaging/spack && spack dev-build ecl@develop, in this source tree.
from spack.package import *


class Ecl(CMakePackage):
    """Asynchronous decentralised training by edge-consensus learning, over MPI. Not Embeddable Common-Lisp."""

    version("develop")  # CMakeLists.txt has the number

    variant("hdf5", default=True, description="Read HDF5 files")
    variant("python", default=True, description="The Python package")

    depends_on("cmake@3.22:", type="build")
    depends_on("protozero", type="build")
    depends_on("boost@1.74: +program_options")
    depends_on("eigen@3.4:")
    depends_on("mpi")
    depends_on("nlohmann-json@3.11:")
    depends_on("onednn")
    depends_on("zlib-api")
    depends_on("hdf5", when="+hdf5")
    depends_on("python@3.8:", type="run", when="+python")
    depends_on("py-numpy", type="run", when="+python")

    def cmake_args(self):
        found = [] if self.spec.satisfies("+hdf5") else [self.define("ECL_HDF5", False)]
        return found + [
            self.define("MPI_CXX_COMPILER", self.spec["mpi"].mpicxx),
            self.define("ECL_PORTABLE", True),
            self.define("ECL_TESTS", False),
            self.define("ECL_BENCH", False),
        ]

    def setup_run_environment(self, env):
        if self.spec.satisfies("+python"):
            env.prepend_path("PYTHONPATH", join_path(self.prefix.lib, "python3", "dist-packages"))
