#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/contracts/solver.hpp"

namespace ecl {

/// How the R exchanges of a round average: each pulls y towards the neighbours' and goes on with the pull before it,
///
///     pull <- w_r (y - W y) + (w_r - 1) pull,    y <- y - pull        r = 1 .. R, pull = 0 at each round's start
///
/// that is y(r) = w_r W y(r-1) + (1 - w_r) y(r-2) with y(-1) = y(0). Parameter `gossip` chooses the weights:
///
///     plain        w_r = 1: W^R in all; differences fall as s^R, s the second largest singular value of W
///     fast         w_r = 1 + eta, eta = (1 - sqrt(1 - s^2)) / (1 + sqrt(1 - s^2)): they fall as eta^(R/2)
///     chebyshev    w_1 = 1, w_2 = 1 / (1 - s^2 / 2), w_r = 1 / (1 - s^2 w_{r-1} / 4), which tends to 1 + eta:
///                  T_R(W / s) / T_R(1 / s) in all, of which no eigenvalue but the first is above 1 / T_R(1 / s) in
///                  size
///
/// With R = 1 all are W. With R small on a large graph `fast` can magnify differences where W has negative eigenvalues
/// (a ring of 64 with R = 3: by 1.24 a round, so that training diverges). `chebyshev` never does, and no polynomial of
/// degree R falls faster for all eigenvalues up to s.
///
/// Both take the messages for those of the exchange under way: lock step. Asynchronously they promise nothing. s is
/// that of the whole graph and stays when an edge is dropped.
///
/// Sources: Liu and Morse, Annual Reviews in Control 2011 (fast); Scaman, Bach, Bubeck, Lee and Massoulie, ICML 2017
/// (arXiv 1702.08704, chebyshev).
class Gossip {
 public:
  Gossip() = default;  ///< plain
  /// Throws Error for an unknown kind, and if the graph is too large for its eigenvalues.
  Gossip(const SolverSetup& setup, Params& params, const std::string& fallback = "plain") {
    const std::string kind = params.text("gossip", fallback, "averaging in R exchanges: plain, fast or chebyshev");
    if (kind != "plain" && kind != "fast" && kind != "chebyshev")
      throw Error("gossip=" + kind + " is none of plain, fast and chebyshev");
    if (kind != "plain" && setup.exchanges > 1) weights_ = weights(kind, setup);
    next_ = weights_.size();
  }

  bool plain() const { return weights_.empty(); }
  float weight() const { return next_ < weights_.size() ? weights_[next_] : 1.0f; }  ///< w_r of the next exchange
  void advance() { next_ = std::min<std::uint64_t>(next_ + 1, weights_.size()); }
  /// A round ends with a step of this size. After one of 0 there is one exchange only, with W.
  void restart(double step_size) { next_ = step_size > 0 ? 0 : weights_.size(); }
  void archive(Archive& archive) { archive(next_); }

 private:
  static std::vector<float> weights(const std::string& kind, const SolverSetup& setup) {
    if (setup.graph.size() > Graph::kLargestDense)
      throw Error("gossip=" + kind + " needs the eigenvalues of the graph, which are computed for up to " +
                  std::to_string(Graph::kLargestDense) + " nodes; use gossip=plain");
    const double s = setup.graph.second_singular_value();
    double w = kind == "fast" ? 2 / (1 + std::sqrt(1 - s * s)) : 1;
    std::vector<float> all = {static_cast<float>(w)};
    for (int r = 1; r < setup.exchanges; ++r) {
      w = 1 / (1 - s * s / 4 * (w == 1 ? 2 : w));  // 1 + eta is where this stands
      all.push_back(static_cast<float>(w));
    }
    return all;
  }

  std::vector<float> weights_;  ///< of a round's exchanges; empty: 1
  std::uint64_t next_ = 0;
};

}  // namespace ecl
