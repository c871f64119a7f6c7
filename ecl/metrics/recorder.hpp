#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/base/types.hpp"
#include "ecl/contracts/model.hpp"
#include "ecl/contracts/port.hpp"
#include "ecl/node/node.hpp"

namespace ecl {

/// Measures of the nodes' average model, in metrics.csv as `accuracy_consensus` ...: those that fit the task.
inline constexpr std::array<std::string_view, 8> kAverageMeasures = {
    "accuracy", "balanced_accuracy", "macro_f1", "log_loss", "auc", "rmse", "mae", "r2"};
using AverageMeasures = std::array<double, kAverageMeasures.size()>;
constexpr AverageMeasures no_average_measures() {
  AverageMeasures none{};
  for (double& value : none) value = std::numeric_limits<double>::quiet_NaN();
  return none;
}

/// One node at one evaluation: a line of metrics.csv. Plain data: it travels between ranks as bytes.
struct MetricsRow {
  double time_s = 0;  ///< wall clock of the node, or virtual
  NodeId node = 0;
  std::uint64_t step = 0;
  double epoch = 0;
  double loss = 0;             ///< on the node's test samples; NaN: it has none
  double accuracy = 0;         ///< on them, per cent; NaN: does not apply
  double consensus_error = 0;  ///< |x_i - mean| / |mean|
  double train_loss = 0;       ///< mean over the mini-batches since the last evaluation
  Traffic traffic;
  double stale_p50 = 0, stale_p99 = 0;
  std::uint64_t messages_refused = 0;               ///< held an infinity or a NaN; not applied
  std::uint64_t exchanges = 0;                      ///< with every neighbour, those after the last step aside
  AverageMeasures average = no_average_measures();  ///< NaN: does not apply; the same in all rows of an evaluation

  void archive(Archive& archive) {
    archive(time_s, node, step, epoch, loss, accuracy, consensus_error, train_loss, traffic, stale_p50, stale_p99,
            messages_refused, exchanges, average);
  }
};

/// A node's row but for the consensus error, which needs the others.
template <Port P>
MetricsRow measure(const Node<P>& node, NodeId id, Model& model, const Dataset& test, double epochs_per_step,
                   double train_loss) {
  const Optimizer<P>& optimizer = node.optimizer();
  const double time_s = optimizer.port().now();
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const Score score = test.size() == 0 ? Score{kNone, kNone} : model.score(node.x(), test);
  return {.time_s = time_s,
          .node = id,
          .step = optimizer.steps(),
          .epoch = static_cast<double>(optimizer.steps()) * epochs_per_step,
          .loss = score.loss,
          .accuracy = score.accuracy,
          .consensus_error = 0,
          .train_loss = train_loss,
          .traffic = optimizer.traffic(),
          .stale_p50 = optimizer.staleness().quantile(0.5),
          .stale_p99 = optimizer.staleness().quantile(0.99),
          .messages_refused = optimizer.messages_refused(),
          .exchanges = optimizer.rounds() - optimizer.settled(),
          .average = no_average_measures()};
}

/// A node's mini-batch losses: their mean since it was last asked, and whether they still make sense.
class RunningLoss {
 public:
  /// `largest_weight`: of a sample. Their mean is 1, and a batch's loss may be as many times too high without harm.
  explicit RunningLoss(double largest_weight = 1) : largest_weight_(largest_weight) {}
  /// False if training has diverged: the loss is no number, or a thousand times the larger of 1 and the first loss.
  bool add(double loss);
  double take();
  void archive(Archive& archive) { archive(first_, sum_, count_); }

 private:
  double largest_weight_;
  double first_ = -1;
  double sum_ = 0;
  std::uint64_t count_ = 0;
};

/// The row as a line of metrics.csv, without its end.
std::string to_csv(const MetricsRow& row);

/// Writes metrics.csv, an evaluation at a time.
class Recorder {
 public:
  /// An empty path: nowhere. `rows_kept`: of a run that is resumed; what follows them is dropped, the file replaced in
  /// one go. Throws Error (io) if the file cannot be made, or has not so many rows.
  explicit Recorder(const std::string& path, std::uint64_t rows_kept = 0);
  /// The rows of one evaluation in node order; with the system when this returns. Throws Error (io).
  void write(const std::vector<MetricsRow>& rows);
  /// What was written outlasts a crash of the machine. Throws Error (io).
  void sync();

 private:
  [[noreturn]] void fail() const;

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace ecl
