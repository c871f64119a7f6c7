#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ecl/contracts/model.hpp"

/// What a run leaves for those who use its model: the folder model/.
namespace ecl {

/// How a model came to be: for people who find it.
struct Origin {
  std::string command, version;
  NodeId nodes = 0;
  std::size_t train_samples = 0;
};

/// A model with all that a prediction needs.
struct TrainedModel {
  std::string dataset;         ///< that it was trained on, as --dataset says it
  std::string model;           ///< as --model says it, hidden widths included
  ModelSetup setup;            ///< the samples' features, classes, shape
  Schema schema;               ///< columns, names of features and classes
  std::optional<Scale> scale;  ///< of the features; none: each node has its own (Scaling::own), in model-<node>.json
  std::vector<Normalisation> channels;  ///< of pictures
  std::optional<TargetScale> target;    ///< of regression
  Floats parameters;
  Origin origin;
};

/// The columns of a table that the model's features are made of; empty where they have no names.
std::vector<Column> input_columns(const Schema& schema);

/// model.json: all but the parameters.
std::string model_json(const TrainedModel& trained);

/// Writes model.safetensors (the parameters, with PyTorch's names and shapes) and model.json (all the rest) into
/// `folder`. Throws Error (io).
void write_model(const std::string& folder, const TrainedModel& trained, const std::vector<Slice>& slices);
/// model-<node>.json alone: of a node that scales its features by itself.
void write_own_model_json(const std::string& folder, const TrainedModel& trained, NodeId node);

/// The folder model/ of a run's directory `run`; or `run`, where that is such a folder itself. Throws Error if there is
/// none.
std::string model_folder(const std::string& run);

/// Reads the folder again; `node`: where each node has its own scaling, that one's. Throws Error if there is no model,
/// it is damaged, or of another version of ecl that kept it otherwise.
TrainedModel read_model(const std::string& folder, std::optional<NodeId> node = std::nullopt);

/// The model of such a name, for such samples, without parameters. Throws Error.
std::unique_ptr<Model> make_model(const std::string& model, const ModelSetup& setup);

}  // namespace ecl
