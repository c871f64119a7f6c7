#pragma once

#include <utility>
#include <vector>

#include "ecl/contracts/model.hpp"
#include "ecl/node/batches.hpp"
#include "ecl/node/optimizer.hpp"

namespace ecl {

/// Scratch memory of a step; nodes of one thread share it.
struct Workspace {
  Batch batch;
  Floats gradient;
};

/// One node with its data: what the tool runs, on a rank or in the simulator.
template <Port P>
class Node {
 public:
  /// `model` and `workspace` are shared by the nodes of a thread and outlive them.
  Node(Optimizer<P> optimizer, Batches batches, CVec initial, Model& model, Workspace& workspace)
      : optimizer_(std::move(optimizer)),
        batches_(std::move(batches)),
        x_(initial.begin(), initial.end()),
        model_(&model),
        workspace_(&workspace) {}

  bool ready() const { return optimizer_.ready(); }

  /// Starts a round, if one is due: x() is then what this node makes of its own work and its neighbours' messages.
  void begin() { optimizer_.begin(x_); }

  /// One mini-batch step; returns the batch's mean loss.
  double step() {
    const double loss = gradient();
    apply();
    return loss;
  }
  /// Its two halves, for who wants to know how long each takes: the gradient of the next batch; what it does to x().
  double gradient() {
    begin();
    batches_.next(workspace_->batch);
    workspace_->gradient.resize(x_.size());
    const double loss = model_->gradient(x_, workspace_->batch, workspace_->gradient);
    const float weight = static_cast<float>(batches_.shard().weight);
    if (weight != 1.0f)
      for (float& g : workspace_->gradient) g *= weight;
    return loss;
  }
  /// Right after gradient(): other nodes share the workspace.
  void apply() { optimizer_.step(x_, workspace_->gradient); }

  /// The round's further exchanges.
  bool exchanging() const { return optimizer_.exchanging(); }
  void exchange() { optimizer_.exchange(x_); }
  /// After the last step: an exchange without a gradient.
  void settle() { optimizer_.settle(x_); }
  /// After the last step: a server goes on answering. False if this node is none.
  bool serve() { return optimizer_.serve(x_); }

  /// Saves or loads x(), by itself: a model is of use without the rest.
  void archive_model(Archive& archive) { archive(x_); }
  /// All else that changes after construction.
  void archive(Archive& archive) { archive(batches_, optimizer_); }
  /// After a load, if the port is a new one.
  void restart_port() { optimizer_.restart_port(x_); }

  CVec x() const { return x_; }
  std::size_t batch_size() const { return batches_.size(); }
  const Optimizer<P>& optimizer() const { return optimizer_; }
  Optimizer<P>& optimizer() { return optimizer_; }

 private:
  Optimizer<P> optimizer_;
  Batches batches_;
  Floats x_;
  Model* model_;
  Workspace* workspace_;
};

}  // namespace ecl
