// Fashion-MNIST: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747; MIT licence.
#include "ecl/data/datasets/idx.hpp"

namespace ecl {

TrainTest make_fashion_mnist(const DatasetRequest& request, Params&) {
  const std::string directory = request.directory.empty() ? "/usr/share/datasets/fashion-mnist" : request.directory;
  return load_idx_directory(directory, 0.2860f, 0.3530f, 10,
                            "install the Debian package dataset-fashion-mnist, or name the directory of the four IDX "
                            "files (scripts/fetch-data fashion-mnist gets them) with --data");
}

}  // namespace ecl
