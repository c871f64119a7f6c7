#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ecl/inference/trained_model.hpp"

namespace ecl {

/// Which of the models that a run's directory holds.
struct ModelChoice {
  std::optional<NodeId> node;        ///< that node's own, with its own scaling; none: the nodes' average
  std::optional<NodeId> scaling_of;  ///< the average model with that node's scaling, after standardise=own
  std::string checkpoint;            ///< a number, or newest; empty: the run's last models, or newest if it goes on
};

struct StoredModel {
  TrainedModel trained;
  std::uint64_t checkpoint = 0;  ///< its number; 0: what the run ended with
  std::string note;              ///< of a checkpoint's model: which it is, for the user
};

/// Finds it in the directory `run`, of a run that ended in whatever way or goes on; its solver and data are not needed.
/// Throws Error: what there is not, and what there is or how to keep it; or that a checkpoint is damaged, or another
/// run's.
StoredModel read_stored_model(const std::string& run, const ModelChoice& choice);

/// A line for each whole checkpoint of the run; of one node's models, where only these are here. Throws Error if there
/// is none.
std::string checkpoint_list(const std::string& run, std::optional<NodeId> node);

}  // namespace ecl
