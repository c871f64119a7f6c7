#pragma once

#include <boost/program_options.hpp>
#include <cstdint>
#include <string>

#include "ecl/inference/predictor.hpp"
#include "ecl/run/directory/stored_models.hpp"

namespace ecl {

/// The options of `ecl predict`, `evaluate` and `export` that say which model of which run.
struct ModelOptions {
  std::string run;
  ModelChoice choice;
  std::uint64_t checkpoint = 0;  ///< that load() took it from; 0: none

  void add_to(boost::program_options::options_description& options);
  /// --checkpoint list: prints what there is instead.
  bool listed() const;
  /// The model; which it is, where the run has not ended with it, goes to standard error. Throws Error.
  Predictor load();
};

}  // namespace ecl
