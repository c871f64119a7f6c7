// An HDF5 file with data sets of features (n x d numbers), labels and, where there are such, groups (n numbers or
// texts) and weights (n numbers); The HDF Group's format. A build without the library says how to get it.
#include "ecl/data/datasets/array_table.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {

Hdf5Names read_hdf5_names(Params& params) {
  Hdf5Names names;
  names.features = params.text("features", "features", "data set of the features, n x d numbers");
  names.labels = params.text("labels", "labels", "data set of the labels, n numbers or texts");
  names.grouped = params.given("groups");
  names.groups = params.text("groups", "groups",
                             "data set of the groups, n numbers or texts, where there are groups: for by-column:group, "
                             "and test-by=group");
  names.weighted = params.given("weights");
  names.weights =
      params.text("weights", "weights", "data set of the rows' weights, n numbers, where rows have weights");
  return names;
}

TrainTest make_hdf5(const DatasetRequest& request, Params& params) {
  const Hdf5Names names = read_hdf5_names(params);
  const std::string endings[] = {".h5", ".hdf5"};
  DatasetRequest found = request;
  return make_from_arrays(request, params, [&](const std::string& path, ArrayParts parts) {
    found.data = path;
    return open_hdf5_table(find_table(found, "hdf5", endings), names, parts);
  });
}

}  // namespace ecl
