#include "ecl/tool/run_model.hpp"

#include <filesystem>
#include <system_error>

#include "ecl/base/check.hpp"

namespace ecl {

namespace fs = std::filesystem;

std::string model_folder(const std::string& run) {
  std::error_code ignored;
  if (!fs::is_directory(run, ignored))
    throw Error("there is no directory '" + run + "'; name that of a run, its --out");
  std::string folder = fs::exists(run + "/model.json", ignored) ? run : run + "/model";
  if (!fs::exists(folder + "/model.json", ignored))
    throw Error("'" + run + "' holds no model yet: a run writes it when it ends, or is stopped by a signal" +
                (fs::exists(run + "/config.ini", ignored) ? "; go on with it: --resume " + run : ""));
  return folder;
}

Predictor load_predictor(const std::string& run, std::optional<NodeId> node) {
  return Predictor(read_model(model_folder(run), node));
}

}  // namespace ecl
