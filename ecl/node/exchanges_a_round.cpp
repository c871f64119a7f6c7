#include "ecl/node/exchanges_a_round.hpp"

#include <algorithm>
#include <string>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"
#include "ecl/node/exchange_budget.hpp"
#include "ecl/node/patience.hpp"

namespace ecl {

ExchangesARound ExchangesARound::parse(std::string_view text, OptionStyle style) {
  if (text == "usual") return {};
  if (text == "auto") return {.share = 0.25};
  try {
    if (text.starts_with("auto:")) {
      const double percent = to_number(text.substr(5), "");
      if (percent > 0 && percent <= 1000) return {.share = percent / 100};
    } else {
      const std::int64_t number = to_integer(text, "");
      if (number >= 1 && number <= 1000) return {.number = static_cast<int>(number)};
    }
  } catch (const Error&) {  // said below
  }
  throw Error(written(style, "exchanges", std::string(text)) + " is none of: usual, a number in 1 .. 1000, auto, " +
              "auto:PERCENT with a percentage above 0, at most 1000");
}

int first_exchanges(const ExchangeWish& wish, const std::function<const Solver&(int exchanges)>& make) {
  const auto option = [&](const char* name, std::string_view value = "") {
    return written(wish.style, name, std::string(value));
  };
  const ExchangesARound wanted = ExchangesARound::parse(wish.exchanges, wish.style);
  int exchanges = std::max(1, wanted.number);
  const Solver* solver = &make(exchanges);
  if (wanted.number == 0) exchanges = solver->usual_exchanges();
  if (wanted.share > 0) exchanges = std::max(ExchangeBudget::kLeast, exchanges);
  if (exchanges != std::max(1, wanted.number)) solver = &make(exchanges);
  if ((wanted.number > 1 || wanted.share > 0) && !solver->exchanges_again())
    throw Error("solver " + std::string(wish.solver) + " exchanges once a round; leave out " +
                option("exchanges", wish.exchanges) + ", or use " + option("solver", "ecl"));
  const bool lock_step = wish.mode == Mode::lock_step;
  if (wanted.share > 0 && (lock_step || wish.overlap || wish.patience == 0))
    throw Error(option("exchanges", wish.exchanges) + " goes by how long each node waits for the others; it needs " +
                option("mode", "async") + ", " + option("patience") + " above 0, and no " + option("overlap"));
  if (lock_step && wish.patience != Patience::kUsual)
    throw Error(option("patience") + " bounds how long an exchange waits for the neighbours, and in lock step each " +
                "waits for all; leave it out, or use " + option("mode", "async"));
  if (wish.overlap && (lock_step || !solver->overlaps()))
    throw Error(option("overlap") + " makes exchanges while the next gradients are computed; it needs " +
                option("mode", "async") + ", " + option("exchanges", "2") +
                " or more, and a solver whose exchanges leave the model alone: ecl");
  return exchanges;
}

}  // namespace ecl
