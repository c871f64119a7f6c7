// The table behind `ecl list`: one entry per line of registry.def.
#include "ecl/contracts/dataset.hpp"

namespace ecl {

#define ENTRY(name, description) TrainTest make_##name(const DatasetRequest&, Params&);
#include "ecl/datasets/registry.def"
#undef ENTRY

const Registry<DatasetFactory>& datasets() {
  static const Registry<DatasetFactory> table("dataset", {
#define ENTRY(name, description) {#name, description, make_##name},
#include "ecl/datasets/registry.def"
#undef ENTRY
                                                         });
  return table;
}

}  // namespace ecl
