// Fashion-MNIST: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747; MIT licence.
#include "ecl/data/datasets/idx.hpp"

namespace ecl {

TrainTest make_fashion_mnist(const DatasetRequest& request, Params& params) {
  const std::string directory = request.data.empty() ? "/usr/share/datasets/fashion-mnist" : request.data;
  return load_idx_directory(
      directory, request, params,
      {.mean = 0.2860f,
       .deviation = 0.3530f,
       .classes = 10,
       .advice = "install the Debian package dataset-fashion-mnist, or name the directory of the four IDX files "
                 "(scripts/fetch-data fashion-mnist gets them) with --data"});
}

}  // namespace ecl
