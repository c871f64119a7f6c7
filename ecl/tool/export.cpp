#include "ecl/tool/export.hpp"

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
  options.add_options()("format", po::value(&wanted.format),
                        "onnx: a graph that scores samples as they are; npz: arrays for NumPy")(
      "out", po::value(&wanted.out), "file to write; else model.onnx or model.npz beside the model")("help",
                                                                                                     "this text");
  po::variables_map values;
  parse_arguments(arguments, options, {"run"}, "ecl export", values);
  po::notify(values);
  if (values.count("help")) {
    std::cout << "ecl export RUN --format onnx|npz [--out FILE]: the average model of a run, or a node's own, for "
                 "other programs\n\n"
              << options;
    return std::nullopt;
  }
  if (wanted.run.empty()) throw Error("ecl export needs the directory of a run, as in ecl export runs/a --format onnx");
  if (wanted.listed()) return std::nullopt;
  if (wanted.format.empty()) throw Error("ecl export needs --format onnx, or npz");
  return wanted;
}

void check_format(const ExportOptions& wanted) {
  const std::vector<std::string> known = {"onnx", "npz"};
  if (wanted.format == "safetensors")
    throw Error("'" + model_folder(wanted.run) +
                "/model.safetensors' is that file already; model.json, beside it, has scaling and names");
  if (wanted.format != "onnx" && wanted.format != "npz")
    throw Error("unknown --format '" + wanted.format + "'" + suggestion(wanted.format, known) + " (known: onnx, npz)");
}

}  // namespace

void export_command(const std::vector<std::string>& arguments) {
  auto wanted = read_export_options(arguments);
  if (!wanted) return;
  check_format(*wanted);
  const Predictor predictor = wanted->load();
  predictor.require_scale();
  std::string out = wanted->out;
  if (out.empty()) {
    out = model_folder(wanted->run) + "/model";
    const ModelChoice& choice = wanted->choice;
    if (choice.node) (out += "-") += std::to_string(*choice.node);
    if (choice.scaling_of) (out += "-scaled-as-") += std::to_string(*choice.scaling_of);
    if (wanted->checkpoint > 0) (out += "-checkpoint-") += std::to_string(wanted->checkpoint);
    (out += ".") += wanted->format;
  }
  if (wanted->format == "onnx") {
    write_onnx(predictor, out);
    std::cout << out << ": " << onnx_use(predictor) << '\n';
  } else {
    write_npz(predictor, out);
    std::cout << out << ": numpy.load gives the parameters by name, and how samples are scaled\n";
  }
}

}  // namespace ecl
