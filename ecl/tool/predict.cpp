#include "ecl/tool/predict.hpp"

#include <algorithm>
#include <array>
#include <charconv>
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
#include "ecl/base/text_lines.hpp"
#include "ecl/contracts/sites.hpp"
#include "ecl/inference/confusion.hpp"
#include "ecl/inference/measures.hpp"
#include "ecl/inference/predictor.hpp"
#include "ecl/inference/samples.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/run_data.hpp"
#include "ecl/tool/chosen_model.hpp"
#include "ecl/tool/options.hpp"
#include "ecl/tool/parse.hpp"

namespace ecl {
namespace {

namespace po = boost::program_options;

/// What both commands take.
struct UseOptions : ModelOptions {
  std::string data, out, confusion;
};

/// Nothing if it was --help or --checkpoint list, which is then printed. `does`: what the command does; `out`: what
/// --out is.
std::optional<UseOptions> read_use_options(const std::vector<std::string>& arguments, const std::string& command,
                                           const char* does, const char* data, const char* out) {
  UseOptions use;
  po::options_description options("Options");
  use.add_to(options);
  options.add_options()("data", po::value(&use.data), data)("out", po::value(&use.out), out);
  if (command == "ecl evaluate")
    options.add_options()("confusion", po::value(&use.confusion),
                          "file for the confusion matrix, as csv: labels in rows, predictions in columns");
  options.add_options()("help", "this text");
  po::variables_map values;
  parse_arguments(arguments, options, {"run"}, command, values);
  po::notify(values);
  if (values.count("help")) {
    std::cout << command << does << options;
    return std::nullopt;
  }
  if (use.run.empty()) throw Error(command + " needs the directory of a run, as in " + command + " runs/a");
  if (use.listed()) return std::nullopt;
  return use;
}

/// Predictions as text, to a file that is there when all are, or to standard output.
class PredictionTable {
 public:
  PredictionTable(const Predictor& predictor, const std::string& path)
      : predictor_(predictor), classes_(predictor.classes()) {
    if (!path.empty()) file_ = std::make_unique<AtomicFile>(path);
    for (int c = 0; c < classes_; ++c) names_.push_back(csv_cell(predictor.class_name(c)));
    none_.assign((predictor.multi_label() ? classes_ : 1) + classes_, ',');
    text_ = "row";
    if (predictor.multi_label())
      for (const std::string& name : names_) text_ += ',' + name;
    else
      text_ += ",prediction";
    for (int c = 0; c < classes_; ++c) text_ += ',' + csv_cell("probability of " + predictor.class_name(c));
    text_ += '\n';
  }

  /// The model's outputs for that row.
  void add(std::uint64_t row, const float* outputs) {
    fill_to(row);
    number(row);
    if (classes_ == 0)
      text_ += ',', number(predictor_.value(outputs[0]));
    else if (predictor_.multi_label())
      add_labels(outputs);
    else
      add_classes(outputs);
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

  void add_classes(const float* logits) {
    probabilities_.assign(logits, logits + classes_);
    softmax(probabilities_.data(), classes_);
    (text_ += ',') += names_[std::max_element(logits, logits + classes_) - logits];
    for (const float probability : probabilities_) text_ += ',', number(probability);
  }
  void add_labels(const float* logits) {
    for (int k = 0; k < classes_; ++k) text_ += logits[k] > 0 ? ",1" : ",0";
    for (int k = 0; k < classes_; ++k) text_ += ',', number(sigmoid(logits[k]));
  }
  void fill_to(std::uint64_t row) {
    for (; next_ < row; ++next_) number(next_), (text_ += none_) += '\n';
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

  const Predictor& predictor_;
  int classes_;
  std::vector<float> probabilities_;
  std::vector<std::string> names_;
  std::string none_;
  std::unique_ptr<AtomicFile> file_;
  std::string text_;
  std::uint64_t next_ = 1;
};

void say_notes(const Samples& samples) {
  for (const std::string& note : samples.notes()) std::cerr << "ecl: note: " + note + "\n";
}

void require_samples(const Measures& measures, const std::string& source, const std::string& none) {
  if (measures.samples() == 0) throw Error("'" + source + "' " + none, Exit::io);
  if (measures.weight() == 0) throw Error("'" + source + "': all samples have the weight 0: nothing counts", Exit::io);
}

/// Says so where the run's files are not those that it had.
void note_changes(const RunData& data, const TrainedModel& trained, const std::string& run) {
  if (const std::size_t then = trained.origin.train_samples; then != data.train_samples()) {
    std::cerr << "ecl: note: the model of " + run + " was trained on " + std::to_string(then) +
                     " samples, and its files have " + std::to_string(data.train_samples()) +
                     " to train on now: they have changed, and it may have been trained on what it is tested on here\n";
    return;
  }
  bool others = false;
  for (NodeId i = 0; i < static_cast<NodeId>(data.own_tests() ? data.shard_sizes().size() : 1); ++i)
    others |= has_other_tests(run, data, i);
  if (others)  // at one site, and by the common scaling at all
    std::cerr << "ecl: note: the test samples of " + run +
                     " are not those that it had: its files have changed, or the order of their rows (or this is "
                     "another kind of machine, which rounds differently), and the model may have been trained on what "
                     "it is tested on here\n";
}

/// The run's own test samples, as its config.ini says: scaled, and numbered as the model does. Of a node's own model
/// that node's, where each has some of its own.
Measures measure_own_tests(Predictor& predictor, const ModelOptions& use) {
  const Spec spec = read_begun(use.run);
  const bool each_host = (spec.data + spec.test + spec.dataset).find("{host}") != std::string::npos;
  if (spec.own_data() && spec.nodes > 1 && (each_host || spec.data.find("{node}") == std::string::npos))
    throw Error(
        "the test samples of that run lie on its nodes, under the same path on each; measure the model where the "
        "files are with --data FILE");
  LocalSites sites;
  RunData data(spec, spec.nodes, sites, std::nullopt);
  const TrainedModel& trained = predictor.trained();
  if (!make_model(trained.model, trained.setup)->takes_sparse()) data.make_dense();  // as they were in the run
  note_changes(data, trained, use.run);
  Measures measures = predictor.measures(data.own_tests() ? ClassifierMeasures::kBinsBetweenSites
                                                          : ClassifierMeasures::kBins);  // as the run counts
  for (NodeId i = 0; i < (data.own_tests() ? spec.nodes : 1); ++i)
    if (!data.own_tests() || use.choice.node.value_or(i) == i) predictor.measure_scaled(measures, data.test_of(i));
  require_samples(measures, use.run, "has no test sample of that model");
  return measures;
}

Measures measure_file(Predictor& predictor, const std::string& path) {
  Measures measures = predictor.measures();
  const auto samples = open_samples(predictor, path, true);
  bool weighted = true;
  for (Samples::Block block; samples->next(block);) {
    weighted &= !block.data.weights().empty();
    predictor.measure(measures, std::move(block.data));
  }
  require_samples(measures, path, "has no labelled sample");
  say_notes(*samples);
  if (const std::string& weight = predictor.trained().schema.weight; !weight.empty() && !weighted)
    std::cerr << "ecl: note: no weights here (" + ecl::quoted(weight) + " in training): every row counts the same\n";
  return measures;
}

nlohmann::ordered_json to_json(const Measures& measures, const Predictor& predictor) {
  using Json = nlohmann::ordered_json;
  Json json = {{"samples", measures.samples()}};
  for (const auto& [name, value] : measures.named()) json[name] = std::isfinite(value) ? Json(value) : Json(nullptr);
  const auto number = [](double value) {  // a count, where there are no weights
    return value == std::floor(value) ? Json(static_cast<std::uint64_t>(value)) : Json(value);
  };
  if (const LabelMeasures* labels = measures.labels())
    for (int k = 0; k < predictor.classes(); ++k) {
      const ClassifierMeasures& label = labels->each()[k];
      const auto auc = label.auc();
      const auto f1 = f1_of_label(label);
      json["labels"].push_back({{"label", predictor.class_name(k)},
                                {"present", number(label.confused(1, 0) + label.confused(1, 1))},
                                {"predicted", number(label.confused(0, 1) + label.confused(1, 1))},
                                {"accuracy", label.accuracy()},
                                {"f1", f1 ? Json(*f1) : Json(nullptr)},
                                {"auc", auc ? Json(auc->value) : Json(nullptr)}});
    }
  const ClassifierMeasures* classes = measures.classifier();
  if (!classes) return json;
  for (int c = 0; c < classes->classes(); ++c) json["classes"].push_back(predictor.class_name(c));
  for (int label = 0; classes->counts_confusion() && label < classes->classes(); ++label) {
    Json row = Json::array();
    for (int c = 0; c < classes->classes(); ++c) row.push_back(number(classes->confused(label, c)));
    json["confusion"].push_back(row);
  }
  return json;
}

/// Of samples; with weights their sum.
std::string count_text(double count) {
  char text[32];
  std::snprintf(text, sizeof text, count == std::floor(count) ? "%.0f" : "%.2f", count);
  return text;
}

void print_confusion(std::ostream& out, const ClassifierMeasures& measures, const Predictor& predictor) {
  constexpr int kMostPrinted = 10;
  if (measures.classes() > kMostPrinted) {
    if (measures.counts_confusion()) out << "which classes are taken for which: --confusion FILE.csv\n";
    return;
  }
  std::size_t width = 6;
  for (int c = 0; c < measures.classes(); ++c) width = std::max(width, predictor.class_name(c).size());
  const auto cell = [&](const std::string& text) { out << "  " << std::setw(static_cast<int>(width)) << text; };
  out << "label (rows) and prediction (columns)\n";
  cell("");
  for (int c = 0; c < measures.classes(); ++c) cell(predictor.class_name(c));
  out << '\n';
  for (int label = 0; label < measures.classes(); ++label) {
    cell(predictor.class_name(label));
    for (int c = 0; c < measures.classes(); ++c) cell(count_text(measures.confused(label, c)));
    out << '\n';
  }
}

/// What --confusion is to hold. Throws Error where there is no such matrix.
std::string confusion_text(const std::string& path, const Measures& measures, const Predictor& predictor) {
  const ClassifierMeasures* classes = measures.classifier();
  if (!classes)
    throw Error("--confusion " + path + ": the model predicts " +
                (measures.labels() ? "any number of labels" : "a number") + "; leave the option out");
  std::string text = confusion_csv(*classes, predictor.trained().schema.classes);
  if (text.empty())
    throw Error("--confusion " + path + ": " + std::to_string(classes->classes()) +
                " classes are too many to count; leave the option out");
  return text;
}

/// Prints lines in printf's format.
template <class... Values>
void say(std::ostream& out, const char* format, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  out << text << '\n';
}

void print(std::ostream& out, const ClassifierMeasures& measures, const Predictor& predictor) {
  say(out, "%llu samples of %d classes; beside it what always saying '%s', the most frequent class, has",
      static_cast<unsigned long long>(measures.samples()), measures.classes(),
      predictor.class_name(measures.most_frequent()).c_str());
  say(out, "  accuracy           %8.2f %%  %8.2f %%", measures.accuracy(), measures.baseline_accuracy());
  say(out, "  balanced accuracy  %8.2f %%  %8.2f %%", measures.balanced_accuracy(),
      measures.baseline_balanced_accuracy());
  say(out, "  macro F1           %8.4f", measures.macro_f1());
  if (const auto auc = measures.auc())
    say(out, "  AUC                %8.4f    %8.4f    of '%s'", auc->value, 0.5, predictor.class_name(1).c_str());
  say(out, "  log loss           %8.4f    %8.4f    that of the classes' frequencies", measures.log_loss(),
      measures.baseline_log_loss());
  print_confusion(out, measures, predictor);
}

void print(std::ostream& out, const LabelMeasures& measures, const Predictor& predictor) {
  constexpr int kMostPrinted = 20;
  const int labels = predictor.classes();
  say(out, "%llu samples, %d %s that each has or has not; beside it what always saying the more frequent has",
      static_cast<unsigned long long>(measures.samples()), labels, labels == 1 ? "label" : "labels");
  say(out, "  accuracy, of labels    %8.2f %%  %8.2f %%", measures.accuracy(), measures.baseline_accuracy());
  say(out, "  all labels right       %8.2f %%", measures.subset_accuracy());
  say(out, "  macro F1               %8.4f", measures.macro_f1());
  if (const auto auc = measures.auc()) say(out, "  AUC, mean of labels    %8.4f    %8.4f", auc->value, 0.5);
  say(out, "  log loss, of a sample  %8.4f    %8.4f    that of the labels' frequencies", measures.log_loss(),
      measures.baseline_log_loss());
  if (labels == 1 || labels > kMostPrinted) return;
  out << "label: samples with it, predictions of it, F1\n";
  for (int k = 0; k < labels; ++k) {
    const ClassifierMeasures& label = measures.each()[k];
    const double right = label.confused(1, 1);
    out << "  " << predictor.class_name(k) << ": " << count_text(label.confused(1, 0) + right) << ", "
        << count_text(label.confused(0, 1) + right);
    if (const auto f1 = f1_of_label(label))
      say(out, ", %.4f", *f1);
    else
      out << '\n';
  }
}

void print(std::ostream& out, const RegressionMeasures& measures, const Predictor& predictor) {
  const std::string& label = predictor.trained().schema.label;
  say(out, "%llu samples%s%s; beside it what always saying their mean has",
      static_cast<unsigned long long>(measures.samples()), label.empty() ? "" : ", label ", label.c_str());
  say(out, "  RMSE  %12.6g  %12.6g", measures.rmse(), measures.baseline_rmse());
  say(out, "  MAE   %12.6g", measures.mae());
  say(out, "  R2    %12.4f  %12.4f", measures.r2(), 0.0);
}

}  // namespace

void predict_command(const std::vector<std::string>& arguments) {
  auto use = read_use_options(
      arguments, "ecl predict",
      " RUN --data FILE [--out FILE.csv]: class and probabilities, or the number, of each row, by a model of a run: "
      "the "
      "nodes' average, or one's own\n\n",
      "rows to predict, of the format that the run's data had; a table's columns are found by name, and may have no "
      "label",
      "file for the predictions; else they go to standard output");
  if (!use) return;
  if (use->data.empty()) throw Error("ecl predict needs the rows to predict: --data FILE");
  Predictor predictor = use->load();
  const auto samples = open_samples(predictor, use->data, false);
  PredictionTable table(predictor, use->out);
  for (Samples::Block block; samples->next(block);) {
    const float* outputs = predictor.outputs(std::move(block.data));
    const int width = std::max(1, predictor.classes());
    for (std::size_t r = 0; r < block.rows.size(); ++r) table.add(block.rows[r], outputs + r * width);
  }
  table.finish(samples->rows());
  say_notes(*samples);
  if (!use->out.empty())
    std::fprintf(stderr, "%s: predictions for %llu rows\n", use->out.c_str(),
                 static_cast<unsigned long long>(samples->rows()));
}

void evaluate_command(const std::vector<std::string>& arguments) {
  auto use = read_use_options(
      arguments, "ecl evaluate",
      " RUN [--data FILE] [--out FILE.json]: how good a model of a run is on labelled samples: the nodes' average, or "
      "one's own\n\n",
      "labelled samples, of the format that the run's data had; else the run's own test samples",
      "file for the measures, as JSON, too");
  if (!use) return;
  Predictor predictor = use->load();
  const Measures measures = use->data.empty() ? measure_own_tests(predictor, *use) : measure_file(predictor, use->data);
  const std::string confusion =
      use->confusion.empty() ? "" : confusion_text(use->confusion, measures, predictor);  // before a word is printed
  if (const auto* classes = measures.classifier()) print(std::cout, *classes, predictor);
  if (const auto* labels = measures.labels()) print(std::cout, *labels, predictor);
  if (const auto* numbers = measures.regression()) print(std::cout, *numbers, predictor);
  if (!use->out.empty()) write_atomically(use->out, to_json(measures, predictor).dump(2) + "\n");
  if (!use->confusion.empty()) write_atomically(use->confusion, confusion);
}

}  // namespace ecl
