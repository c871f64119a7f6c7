// MNIST: LeCun, Cortes and Burges; the four IDX files, plain or gzip.
#include "ecl/base/check.hpp"
#include "ecl/data/datasets/idx.hpp"

namespace ecl {

TrainTest make_mnist(const DatasetRequest& request, Params& params) {
  const std::string advice =
      "get it with scripts/fetch-data mnist, and name the directory of train-images-idx3-ubyte ... with --data";
  if (request.data.empty()) throw Error("dataset mnist: no directory is given; " + advice);
  return load_idx_directory(request.data, request, params,
                            {.mean = 0.1307f, .deviation = 0.3081f, .classes = 10, .advice = advice});
}

}  // namespace ecl
