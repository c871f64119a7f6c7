// Nothing is dealt: every node reads files of its own.
#include "ecl/base/check.hpp"
#include "ecl/contracts/dataset.hpp"

namespace ecl {

Partition make_own(const Dataset&, NodeId, std::uint64_t, Params&) {
  throw Error("partition own deals nothing: each node reads its own files; name them with {node} in --data");
}

}  // namespace ecl
