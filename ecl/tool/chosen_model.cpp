#include "ecl/tool/chosen_model.hpp"

#include <iostream>
#include <utility>

namespace ecl {

namespace po = boost::program_options;

void ModelOptions::add_to(po::options_description& options) {
  const auto number = [](std::optional<NodeId>& value) {
    return po::value<NodeId>()->notifier([&value](NodeId node) { value = node; });
  };
  options.add_options()("run", po::value(&run), "directory of a run: what it gave to --out")(
      "node", number(choice.node),
      "instead of the average model that node's own: of a run with --node-models, or of a checkpoint")(
      "scaling-of", number(choice.scaling_of),
      "after standardise=own: the average model with that node's scaling, as its rows want it")(
      "checkpoint", po::value(&choice.checkpoint),
      "NUMBER or newest: models as they were at a checkpoint (of a run that has not ended: newest); list: what there "
      "is");
}

bool ModelOptions::listed() const {
  if (choice.checkpoint != "list") return false;
  std::cout << checkpoint_list(run, choice.node);
  return true;
}

Predictor ModelOptions::load() {
  StoredModel stored = read_stored_model(run, choice);
  checkpoint = stored.checkpoint;
  if (!stored.note.empty()) std::cerr << "ecl: note: " + stored.note + "\n";
  return Predictor(std::move(stored.trained));
}

}  // namespace ecl
