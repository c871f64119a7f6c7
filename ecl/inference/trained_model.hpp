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

/// Writes model.json into `folder`; or model-<node>.json, of a node that scales its features by itself. Throws Error
/// (io), as write_parameters() does.
void write_model_json(const std::string& folder, const TrainedModel& trained,
                      std::optional<NodeId> node = std::nullopt);
/// Writes the parameters x of a model of that name, with PyTorch's names and shapes, as safetensors. Throws Error (io).
void write_tensors(const std::string& path, const std::string& model, CVec x, const std::vector<Slice>& slices);
/// The same as model.safetensors; or model-<node>.safetensors, a node's own.
void write_parameters(const std::string& folder, const std::string& model, CVec x, const std::vector<Slice>& slices,
                      std::optional<NodeId> node = std::nullopt);

/// The folder model/ of a run's directory `run`; or `run`, where that is such a folder itself. Throws Error if there is
/// none.
std::string model_folder(const std::string& run);
/// Whether it holds parameters: those that the run has ended with, or of that node.
bool has_parameters(const std::string& folder, std::optional<NodeId> node = std::nullopt);

/// Reads model.json; `scaling_of`: where each node has its own scaling, that one's. No parameters yet. Throws Error if
/// it is damaged, or of another version of ecl that kept it otherwise, as the following do.
TrainedModel read_model_json(const std::string& folder, std::optional<NodeId> scaling_of = std::nullopt);
/// Reads the parameters that belong to it: the average model's, or that node's.
void read_parameters(TrainedModel& trained, const std::string& folder, std::optional<NodeId> node = std::nullopt);
/// Reads the average model. Throws Error too if the run has not ended yet.
TrainedModel read_model(const std::string& folder, std::optional<NodeId> scaling_of = std::nullopt);

/// The model of such a name, for such samples, without parameters. Throws Error.
std::unique_ptr<Model> make_model(const std::string& model, const ModelSetup& setup);

}  // namespace ecl
