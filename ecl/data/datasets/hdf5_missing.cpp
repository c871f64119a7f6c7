// Stands in for hdf5_table.cpp in a build without HDF5.
#include "ecl/base/check.hpp"
#include "ecl/data/datasets/array_table.hpp"

namespace ecl {

ArrayTable open_hdf5_table(const std::string& path, const Hdf5Names&, ArrayParts) {
  throw Error("'" + path +
              "': this ecl was built without HDF5; install Debian's libhdf5-dev (hdf5.h and libhdf5) and configure and "
              "build it again, or write the arrays with numpy.save for --dataset npy");
}

}  // namespace ecl
