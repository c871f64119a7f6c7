#include "ecl/contracts/dataset.hpp"

#define ECL_REGISTRY datasets
#define ECL_FACTORY DatasetFactory
#define ECL_KIND "dataset"
#define ECL_JOINT '-'
#define ECL_ENTRIES "ecl/data/datasets/registry.def"
#include "ecl/base/registry_table.inc"

namespace ecl {

TrainTest load_dataset(const Choice& choice, const DatasetRequest& request) {
  const auto& entry = datasets().find(choice.name);
  Params params = datasets().params(choice);
  TrainTest loaded = entry.make(request, params);
  params.finish();
  return loaded;
}

}  // namespace ecl
