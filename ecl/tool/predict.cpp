#include "ecl/tool/predict.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "ecl/base/check.hpp"
#include "ecl/base/files.hpp"
#include "ecl/contracts/sites.hpp"
#include "ecl/inference/measures.hpp"
#include "ecl/inference/predictor.hpp"
#include "ecl/inference/samples.hpp"
#include "ecl/run/run_data.hpp"
#include "ecl/tool/options.hpp"
#include "ecl/tool/parse.hpp"
#include "ecl/tool/run_model.hpp"

namespace ecl {
namespace {

namespace po = boost::program_options;

/// What both commands take.
struct UseOptions {
  std::string run, data, out;
  std::optional<NodeId> node;
};

/// Nothing if it was --help, which is then printed. `does`: what the command does; `out`: what --out is.
std::optional<UseOptions> read_use_options(const std::vector<std::string>& arguments, const std::string& command,
                                           const char* does, const char* data, const char* out) {
  UseOptions use;
  NodeId node = 0;
  po::options_description options("Options");
  options.add_options()("run", po::value(&use.run), "directory of a run: what it gave to --out")(
      "data", po::value(&use.data), data)("out", po::value(&use.out), out)(
      "node", po::value(&node), "whose scaling, after standardise=own: each node has its own")("help", "this text");
  po::variables_map values;
  parse_arguments(arguments, options, {"run"}, command, values);
  po::notify(values);
  if (values.count("help")) {
    std::cout << command << does << options;
    return std::nullopt;
  }
  if (values.count("node")) use.node = node;
  if (use.run.empty()) throw Error(command + " needs the directory of a run, as in " + command + " runs/a");
  return use;
}

/// A name as a cell of a csv file.
std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char letter : text) quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  return quoted + '"';
}

/// Predictions as text, to a file that is there when all are, or to standard output.
class PredictionTable {
 public:
  PredictionTable(const Predictor& predictor, const std::string& path) : classes_(predictor.classes()) {
    if (!path.empty()) file_ = std::make_unique<AtomicFile>(path);
    text_ = "row,prediction";
    for (int c = 0; c < classes_; ++c) {
      names_.push_back(csv_cell(predictor.class_name(c)));
      text_ += ',' + csv_cell("probability of " + predictor.class_name(c));
      none_ += ',';
    }
    text_ += '\n';
  }

  /// `logits` of that row, which become probabilities.
  void add(std::uint64_t row, float* logits) {
    fill_to(row);
    softmax(logits, classes_);
    int best = 0;
    for (int c = 1; c < classes_; ++c)
      if (logits[c] > logits[best]) best = c;
    number(row);
    (text_ += ',') += names_[best];
    for (int c = 0; c < classes_; ++c) text_ += ',', number(logits[c]);
    text_ += '\n';
    ++next_;
    if (text_.size() > kBuffer) flush();
  }

  /// Rows that no prediction was made for have a line, too.
  void finish(std::uint64_t rows) {
    fill_to(rows + 1);
    flush();
    if (file_) file_->finish();
  }

 private:
  static constexpr std::size_t kBuffer = std::size_t{1} << 18;

  void fill_to(std::uint64_t row) {
    for (; next_ < row; ++next_) number(next_), ((text_ += ',') += none_) += '\n';
  }
  template <class Number>
  void number(Number value) {
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.begin(), digits.end(), value).ptr;
    text_.append(digits.begin(), end);
  }
  void flush() {
    if (file_)
      file_->write(text_);
    else
      std::cout << text_;
    text_.clear();
  }

  int classes_;
  std::vector<std::string> names_;
  std::string none_;
  std::unique_ptr<AtomicFile> file_;
  std::string text_;
  std::uint64_t next_ = 1;
};

void say_notes(const Samples& samples) {
  for (const std::string& note : samples.notes()) std::cerr << "ecl: note: " + note + "\n";
}

/// The run's own test samples, as its config.ini says: scaled, and numbered as the model does.
ClassifierMeasures measure_own_tests(Predictor& predictor, const std::string& run) {
  const Spec spec = read_begun(run);
  LocalSites sites;
  const RunData data(spec, spec.nodes, sites, std::nullopt);
  ClassifierMeasures measures(predictor.classes());
  for (NodeId i = 0; i < (data.own_tests() ? spec.nodes : 1); ++i) {
    const Dataset& tests = data.test_of(i);
    const float* logits = predictor.logits_of_scaled(tests);
    for (const std::int32_t label : tests.labels()) measures.add(logits, label), logits += predictor.classes();
  }
  return measures;
}

ClassifierMeasures measure_file(Predictor& predictor, const std::string& path) {
  ClassifierMeasures measures(predictor.classes());
  const auto samples = open_samples(predictor, path, true);
  for (Samples::Block block; samples->next(block);) {
    const float* logits = predictor.logits(std::move(block.data));
    for (const std::int32_t label : block.labels) measures.add(logits, label), logits += predictor.classes();
  }
  if (measures.samples() == 0) throw Error("'" + path + "' has no labelled sample", Exit::io);
  say_notes(*samples);
  return measures;
}

nlohmann::ordered_json to_json(const ClassifierMeasures& measures, const Predictor& predictor) {
  using Json = nlohmann::ordered_json;
  const auto auc = measures.auc();
  Json classes = Json::array(), confusion = Json::array();
  for (int c = 0; c < measures.classes(); ++c) classes.push_back(predictor.class_name(c));
  for (int label = 0; measures.counts_confusion() && label < measures.classes(); ++label) {
    Json row = Json::array();
    for (int c = 0; c < measures.classes(); ++c) row.push_back(measures.confused(label, c));
    confusion.push_back(row);
  }
  return {{"samples", measures.samples()},
          {"accuracy", measures.accuracy()},
          {"balanced_accuracy", measures.balanced_accuracy()},
          {"macro_f1", measures.macro_f1()},
          {"auc", auc ? Json(auc->value) : Json(nullptr)},
          {"auc_error", auc ? Json(auc->error) : Json(nullptr)},
          {"log_loss", measures.log_loss()},
          {"baseline_accuracy", measures.baseline_accuracy()},
          {"baseline_log_loss", measures.baseline_log_loss()},
          {"classes", classes},
          {"confusion", measures.counts_confusion() ? confusion : Json(nullptr)}};
}

void print_confusion(std::ostream& out, const ClassifierMeasures& measures, const Predictor& predictor) {
  constexpr int kMostPrinted = 20;
  if (measures.classes() > kMostPrinted) return;
  std::size_t width = 6;
  for (int c = 0; c < measures.classes(); ++c) width = std::max(width, predictor.class_name(c).size());
  const auto cell = [&](const auto& value) { out << "  " << std::setw(static_cast<int>(width)) << value; };
  out << "label (rows) and prediction (columns)\n";
  cell("");
  for (int c = 0; c < measures.classes(); ++c) cell(predictor.class_name(c));
  out << '\n';
  for (int label = 0; label < measures.classes(); ++label) {
    cell(predictor.class_name(label));
    for (int c = 0; c < measures.classes(); ++c) cell(measures.confused(label, c));
    out << '\n';
  }
}

void print(std::ostream& out, const ClassifierMeasures& measures, const Predictor& predictor) {
  const auto line = [&](const char* format, auto... values) {
    char text[256];
    std::snprintf(text, sizeof text, format, values...);
    out << text << '\n';
  };
  line("%llu samples of %d classes; beside each measure what always saying '%s', the most frequent class, has",
       static_cast<unsigned long long>(measures.samples()), measures.classes(),
       predictor.class_name(measures.most_frequent()).c_str());
  line("  accuracy           %8.2f %%   %8.2f %%", measures.accuracy(), measures.baseline_accuracy());
  line("  balanced accuracy  %8.2f %%", measures.balanced_accuracy());
  line("  macro F1           %10.4f", measures.macro_f1());
  if (const auto auc = measures.auc())
    line("  AUC of '%s'  %.4f (within %.0e)   0.5", predictor.class_name(1).c_str(), auc->value, auc->error);
  line("  log loss           %10.6g   %10.6g (the classes' frequencies)", measures.log_loss(),
       measures.baseline_log_loss());
  print_confusion(out, measures, predictor);
}

}  // namespace

void predict_command(const std::vector<std::string>& arguments) {
  const auto use = read_use_options(
      arguments, "ecl predict",
      " RUN --data FILE [--out FILE.csv]: class and probabilities of each row, by the average model of a run\n\n",
      "rows to predict, of the format that the run's data had; a table's columns are found by name, and may have no "
      "label",
      "file for the predictions; else they go to standard output");
  if (!use) return;
  if (use->data.empty()) throw Error("ecl predict needs the rows to predict: --data FILE");
  Predictor predictor = load_predictor(use->run, use->node);
  const auto begin = std::chrono::steady_clock::now();
  const auto samples = open_samples(predictor, use->data, false);
  PredictionTable table(predictor, use->out);
  std::vector<float> values;
  for (Samples::Block block; samples->next(block);) {
    const std::vector<std::uint64_t> rows = block.rows;
    const float* logits = predictor.logits(std::move(block.data));
    values.assign(logits, logits + rows.size() * predictor.classes());
    for (std::size_t r = 0; r < rows.size(); ++r) table.add(rows[r], values.data() + r * predictor.classes());
  }
  table.finish(samples->rows());
  say_notes(*samples);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  if (!use->out.empty())
    std::fprintf(stderr, "%s: predictions for %llu rows, in %.2f s\n", use->out.c_str(),
                 static_cast<unsigned long long>(samples->rows()), taken.count());
}

void evaluate_command(const std::vector<std::string>& arguments) {
  const auto use = read_use_options(
      arguments, "ecl evaluate",
      " RUN [--data FILE] [--out FILE.json]: how good the average model of a run is on labelled samples\n\n",
      "labelled samples, of the format that the run's data had; else the run's own test samples",
      "file for the measures, as JSON, too");
  if (!use) return;
  Predictor predictor = load_predictor(use->run, use->node);
  const ClassifierMeasures measures =
      use->data.empty() ? measure_own_tests(predictor, use->run) : measure_file(predictor, use->data);
  print(std::cout, measures, predictor);
  if (!use->out.empty()) write_atomically(use->out, to_json(measures, predictor).dump(2) + "\n");
}

}  // namespace ecl
