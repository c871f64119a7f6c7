#include "ecl/tool/export.hpp"

#include <algorithm>
#include <iostream>
#include <optional>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"
#include "ecl/inference/exports.hpp"
#include "ecl/tool/chosen_model.hpp"
#include "ecl/tool/parse.hpp"

namespace ecl {
namespace {

namespace po = boost::program_options;

struct ExportOptions : ModelOptions {
  std::string format, out;
};

/// Nothing if it was --help or --checkpoint list, which is then printed.
std::optional<ExportOptions> read_export_options(const std::vector<std::string>& arguments) {
  ExportOptions wanted;
  po::options_description options("Options");
  wanted.add_to(options);
  options.add_options()(
      "format", po::value(&wanted.format),
      "onnx: a graph that scores samples as they are; npz: arrays for NumPy; safetensors: parameters alone")(
      "out", po::value(&wanted.out), "file to write; else model.onnx, model.npz, ... beside the model")("help",
                                                                                                        "this text");
  po::variables_map values;
  parse_arguments(arguments, options, {"run"}, "ecl export", values);
  po::notify(values);
  if (values.count("help")) {
    std::cout << "ecl export RUN --format onnx|npz|safetensors [--out FILE]: the average model of a run, or a node's "
                 "own, for "
                 "other programs\n\n"
              << options;
    return std::nullopt;
  }
  if (wanted.run.empty()) throw Error("ecl export needs the directory of a run, as in ecl export runs/a --format onnx");
  if (wanted.listed()) return std::nullopt;
  if (wanted.format.empty()) throw Error("ecl export needs --format onnx, npz or safetensors");
  return wanted;
}

void check_format(const ExportOptions& wanted) {
  const std::vector<std::string> known = {"onnx", "npz", "safetensors"};
  if (std::ranges::find(known, wanted.format) == known.end())
    throw Error("unknown --format '" + wanted.format + "'" + suggestion(wanted.format, known) +
                " (known: onnx, npz, safetensors)");
}

/// Where nobody says.
std::string file_beside(const ExportOptions& wanted) {
  std::string file = model_folder(wanted.run) + "/model";
  const ModelChoice& choice = wanted.choice;
  if (wanted.format == "safetensors" && wanted.checkpoint == 0)
    throw Error("'" + file + (choice.node ? "-" + std::to_string(*choice.node) : std::string()) +
                ".safetensors' is that file already; model.json, beside it, has scaling and names");
  if (choice.node) (file += "-") += std::to_string(*choice.node);
  if (choice.scaling_of) (file += "-scaled-as-") += std::to_string(*choice.scaling_of);
  if (wanted.checkpoint > 0) (file += "-checkpoint-") += std::to_string(wanted.checkpoint);
  return (file += ".") += wanted.format;
}

}  // namespace

void export_command(const std::vector<std::string>& arguments) {
  auto wanted = read_export_options(arguments);
  if (!wanted) return;
  check_format(*wanted);
  const Predictor predictor = wanted->load();
  predictor.require_scale();
  const std::string out = wanted->out.empty() ? file_beside(*wanted) : wanted->out;
  if (wanted->format == "onnx") {
    write_onnx(predictor, out);
    std::cout << out << ": " << onnx_use(predictor) << '\n';
  } else if (wanted->format == "safetensors") {
    const TrainedModel& trained = predictor.trained();
    write_tensors(out, trained.model, trained.parameters, predictor.model().slices());
    std::cout << out << ": the parameters, with PyTorch's names; model.json has scaling and names\n";
  } else {
    write_npz(predictor, out);
    std::cout << out << ": numpy.load gives the parameters by name, and how samples are scaled\n";
  }
}

}  // namespace ecl
