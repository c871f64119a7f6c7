#pragma once

#include <functional>
#include <string_view>

#include "ecl/contracts/port.hpp"
#include "ecl/contracts/solver.hpp"
#include "ecl/node/option_style.hpp"

namespace ecl {

/// How many exchanges a round has, as users say it: `usual`, a number, `auto`, `auto:PERCENT`.
struct ExchangesARound {
  int number = 0;    ///< R; 0: the solver's usual
  double share = 0;  ///< above 0: as many as take this share of the round's own time (ExchangeBudget)

  /// Throws Error.
  static ExchangesARound parse(std::string_view text, OptionStyle style);
};

/// What a solver is asked for.
struct ExchangeWish {
  std::string_view solver, exchanges;  ///< as the user wrote them
  Mode mode;
  double patience;
  bool overlap;
  OptionStyle style;
};

/// R at first. `make` makes a solver for a given R and keeps it; that of the last call is the one for this R. Throws
/// Error where the wish is not for this solver.
int first_exchanges(const ExchangeWish& wish, const std::function<const Solver&(int exchanges)>& make);

}  // namespace ecl
