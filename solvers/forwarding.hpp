#pragma once

#include <memory>
#include <utility>

#include "ecl/contracts/solver.hpp"

namespace ecl {

/// Passes everything on to the solver behind it; who derives from it overrides what is to be otherwise.
class Forwarding : public Solver {
 public:
  explicit Forwarding(std::unique_ptr<Solver> solver) : solver_(std::move(solver)) {}

  std::size_t message_size() const override { return solver_->message_size(); }
  Delivery delivery() const override { return solver_->delivery(); }
  bool replies() const override { return solver_->replies(); }
  bool receives_before_last_step() const override { return solver_->receives_before_last_step(); }
  bool receives_at_start() const override { return solver_->receives_at_start(); }
  bool directed() const override { return solver_->directed(); }
  void receive(int e, CVec message) override { solver_->receive(e, message); }
  void combine(Vec x) override { solver_->combine(x); }
  void descend(Vec x, CVec direction, double step_size) override { solver_->descend(x, direction, step_size); }
  void end_round(Vec x, int steps, double step_size) override { solver_->end_round(x, steps, step_size); }
  bool own_momentum() const override { return solver_->own_momentum(); }
  bool exchanges_again() const override { return solver_->exchanges_again(); }
  int usual_exchanges() const override { return solver_->usual_exchanges(); }
  void set_exchanges(int exchanges) override { solver_->set_exchanges(exchanges); }
  bool overlaps() const override { return solver_->overlaps(); }
  void exchange(Vec x) override { solver_->exchange(x); }
  StepLengths step_lengths() const override { return solver_->step_lengths(); }
  bool scale_steps(CVec factors) override { return solver_->scale_steps(factors); }
  CVec correction() const override { return solver_->correction(); }
  void send(int e, CVec x, Vec message) override { solver_->send(e, x, message); }
  void drop(int e) override { solver_->drop(e); }
  void archive(Archive& archive) override { solver_->archive(archive); }

 protected:
  std::unique_ptr<Solver> solver_;
};

}  // namespace ecl
