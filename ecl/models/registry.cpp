// The table behind `ecl list`: one entry per line of registry.def.
#include "ecl/contracts/model.hpp"

namespace ecl {

#define ENTRY(name, description) std::unique_ptr<Model> make_##name(const ModelSetup&, Params&);
#include "ecl/models/registry.def"
#undef ENTRY

const Registry<ModelFactory>& models() {
  static const Registry<ModelFactory> table("model", {
#define ENTRY(name, description) {#name, description, make_##name},
#include "ecl/models/registry.def"
#undef ENTRY
                                                     });
  return table;
}

}  // namespace ecl
