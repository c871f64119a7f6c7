#include "ecl/tool/export.hpp"

#include <iostream>
#include <optional>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"
#include "ecl/inference/exports.hpp"
#include "ecl/tool/parse.hpp"

namespace ecl {
namespace {

namespace po = boost::program_options;

struct ExportOptions {
  std::string run, format, out;
  std::optional<NodeId> node;
};

/// Nothing if it was --help, which is then printed.
std::optional<ExportOptions> read_export_options(const std::vector<std::string>& arguments) {
  ExportOptions wanted;
  NodeId node = 0;
  po::options_description options("Options");
  options.add_options()("run", po::value(&wanted.run), "directory of a run: what it gave to --out")(
      "format", po::value(&wanted.format), "onnx: a graph that scores samples as they are; npz: arrays for NumPy")(
      "out", po::value(&wanted.out), "file to write; else model.onnx or model.npz beside the model")(
      "node", po::value(&node), "whose scaling, after standardise=own: each node has its own")("help", "this text");
  po::variables_map values;
  parse_arguments(arguments, options, {"run"}, "ecl export", values);
  po::notify(values);
  if (values.count("help")) {
    std::cout << "ecl export RUN --format onnx|npz [--out FILE]: the average model of a run, for other programs\n\n"
              << options;
    return std::nullopt;
  }
  if (values.count("node")) wanted.node = node;
  if (wanted.run.empty()) throw Error("ecl export needs the directory of a run, as in ecl export runs/a --format onnx");
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
  const auto wanted = read_export_options(arguments);
  if (!wanted) return;
  check_format(*wanted);
  const Predictor predictor = load_predictor(wanted->run, wanted->node);
  predictor.require_scale();
  std::string out = wanted->out;
  if (out.empty()) {
    out = model_folder(wanted->run) + "/model";
    if (wanted->node) (out += "-") += std::to_string(*wanted->node);
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
