#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ecl/base/archive.hpp"
#include "ecl/c/node_options.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/exchange/mpi_port.hpp"
#include "ecl/metrics/consensus_check.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/mpi/hosts.hpp"
#include "ecl/mpi/roster.hpp"
#include "ecl/node/exchange_budget.hpp"
#include "ecl/node/exchanges_a_round.hpp"
#include "ecl/node/first_gradients.hpp"
#include "ecl/node/optimizer.hpp"
#include "ecl/termination/milestones.hpp"

namespace ecl {

/// One rank's part in a run whose training loop is the caller's: the calls of ecl.h, which says what they promise. All
/// throw Error; what the ranks cannot go on from makes the calls of all others fail, too.
class RankNode {
 public:
  /// Collective. `x` outlives this. Then open().
  RankNode(const mpi::Comm& comm, Vec x);
  RankNode(const RankNode&) = delete;
  RankNode& operator=(const RankNode&) = delete;

  /// Collective, once, before all else. `settings`: texts "key=value". A mistake in them (Exit::usage), or too little
  /// memory for mailboxes (Exit::io), is the same Error on all ranks, which then destroy this together.
  void open(std::span<const std::string> settings);
  void begin();
  void step(CVec gradient);
  void exchange();
  void set_learning_rate(double rate);
  double settle();
  void average(Vec values);
  const std::string& save();
  void load(std::string_view state);
  double figure(std::string_view name) const;
  std::size_t dim() const { return x_.size(); }
  /// exchange() is to be called between the caller's calls.
  bool helped() const { return options_.helped; }
  /// Waits until all ranks are here: this is then destroyed, which is collective.
  void leave();

 private:
  enum Milestone {
    ended,           ///< made its last step; the number is its steps
    left,            ///< closes; 1 if it has settled, else 0
    failed,          ///< cannot go on; its steps
    waits_to_train,  ///< for all to end measuring; the number is its calls of average()
    waits_to_end,    ///< for all to settle or close; as many
    averages_at,     ///< in lock step: steps before its newest average
    averages         ///< in lock step: calls of average(), with the one under way; told after the steps
  };

  /// Runs a call; an error that the ranks cannot go on from is passed on to the others.
  template <class Call>
  auto guarded(Call call);
  template <class Done>
  void wait(Done done);
  void poke();
  void look_at_others();
  void require_company() const;
  void require_neighbours_of_this_round() const;
  void require_partners_to_average() const;
  void require_settlers() const;
  void require_same_length(std::size_t count) const;
  bool has_trained() const;
  void require_training() const;
  std::unique_ptr<Solver> make_solver(CVec scale);
  void start_training(bool settles);
  void require_training_of(int rank, std::uint64_t steps) const;
  void wait_until_ready();
  void finish_exchanges();
  void end(bool settles);
  void wait_for_the_end();
  void answer();
  double agree();
  std::string fingerprint() const;
  void require_own(Archive& state) const;
  void require_saved_together(std::uint64_t saved_steps) const;

  /// That the caller has made; and those that a rank which made so many has trained.
  std::uint64_t steps() const { return first_.count() + optimizer_->steps(); }
  std::uint64_t trained(std::uint64_t steps) const {
    return steps - std::min<std::uint64_t>(steps, options_.measure_steps);
  }
  bool lock_step() const { return options_.mode == Mode::lock_step; }
  double now() const { return optimizer_->port().now(); }
  std::string name_of(int rank) const { return "rank " + std::to_string(rank) + " on " + host_names_[rank]; }

  mpi::Comm comm_;
  mpi::Comm averaging_;  ///< apart: ranks may average while others wait for something else, and hear of it
  NodeOptions options_;
  Vec x_;
  std::vector<std::string> host_names_;
  mpi::Hosts hosts_;
  mpi::Roster roster_;
  Milestones milestones_;
  Graph graph_;
  std::optional<Optimizer<MpiPort>> optimizer_;
  std::optional<ExchangeBudget> budget_;
  std::optional<ConsensusCheck> consensus_;
  std::string state_;           ///< what save() made
  double first_rate_ = 0;       ///< that the solver was made with
  bool measuring_ = false;      ///< within the first steps, which leave x alone, and are none of the optimizer's
  FirstGradients first_;        ///< seen in them
  std::uint64_t averages_ = 0;  ///< calls of average() so far, with the one under way
  double last_poke_s_ = 0;
  std::optional<double> idle_since_s_;     ///< the end of the last step
  std::optional<double> failure_heard_s_;  ///< of another rank's
  std::optional<double> begun_s_;          ///< when the gradient under way was asked for
  bool has_ended_ = false, has_settled_ = false;
  bool parting_ = false;  ///< all have left: nobody is owed anything
  bool share_cores_;
};

}  // namespace ecl
