from spack.package import *


class Protozero(Package):
    """Headers that read and write Protocol Buffers."""

    homepage = "https://github.com/mapbox/protozero"
    git = "https://github.com/mapbox/protozero.git"

    version("1.7.1", tag="v1.7.1")

    def install(self, spec, prefix):
        install_tree("include", prefix.include)
