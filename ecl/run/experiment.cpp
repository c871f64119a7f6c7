#include "ecl/run/experiment.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <numeric>
#include <sstream>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/checksum.hpp"
#include "ecl/base/memory.hpp"
#include "ecl/inference/trained_model.hpp"
#include "ecl/node/solver_fit.hpp"

namespace ecl {
namespace {

constexpr double kVectors = 4;  // of d floats that a node has at least: model, gradient, solver's, a neighbour's

// Where nobody says how long to train, and how often to exchange. What a run of few rounds learns depends on which
// message came when, and duals need tens of them; small data are the case: 100 rows make four steps an epoch.
constexpr double kEpochs = 10, kMostEpochs = 200, kLeastSteps = 800, kRounds = 200, kLocalSteps = 8;

/// The spec, if it names what there is: a misspelt name is reported at once, not after a minute of loading.
const Spec& checked_names(const Spec& spec) {
  models().find(Choice::parse(spec.model).name);
  solvers().find(Choice::parse(spec.solver).name);
  partitions().find(Choice::parse(spec.partition).name);
  topologies().find(Choice::parse(spec.topology).name);
  Schedule::parse(spec.schedule);
  return spec;
}

}  // namespace

std::string model_name(const Spec& spec) {
  if (spec.hidden.empty()) return spec.model;
  return spec.model + (Choice::parse(spec.model).arguments.empty() ? ':' : ',') + "hidden=\"" + spec.hidden + '"';
}

Experiment::Experiment(const Spec& the_spec, NodeId nodes, Sites& sites, std::optional<NodeId> rank)
    : spec(checked_names(the_spec)), mode(the_spec.parsed_mode()), data(the_spec, nodes, sites, rank), rank_(rank) {
  sites.together([&] { build(nodes); });
  agree_on_scale(sites);
  data.forget_others();
}

void Experiment::build(NodeId nodes) {
  if (augmentation_named(spec.augment) != Augmentation::none && data.example().image.channels == 0)
    throw Error("--augment " + spec.augment + ": the samples of dataset " + spec.dataset +
                " are no pictures; leave the option out");
  // After the data, which bound the number of nodes: a graph of too many takes long, or all memory.
  graph = make_graph(Choice::parse(spec.topology), nodes, spec.seed);
  slowness = node_speeds(spec.node_speed, nodes);
  batch_sizes = node_batches(spec.node_batch, nodes, spec.batch);

  const Dataset& samples = data.example();
  if (loss() == Loss::logistic && samples.classes() == 0) throw Error("no row of any site has a label", Exit::io);
  model = make_model(model_name(spec), {samples.features(), samples.classes(), samples.image, loss(), class_weights()});
  if (!model->takes_sparse()) data.make_dense();
  require_memory(kVectors * sizeof(float) * static_cast<double>(model->dim()) * nodes_here(),
                 "model " + spec.model + ", " + std::to_string(model->dim()) + " parameters" +
                     (nodes_here() > 1 ? " on " + std::to_string(nodes_here()) + " nodes," : ""),
                 "use a smaller model" + std::string(nodes_here() > 1 ? ", or fewer nodes" : ""));
  initial.resize(model->dim());
  Random random(spec.seed, Purpose::initial_model);
  model->init(initial, random);
  if (data.earlier()) start_from(*data.earlier());
  if (data.everything() && spec.weight_decay == 0) optimum = model->optimum(*data.everything());
  count_steps();

  choose_exchanges();
}

void Experiment::start_from(const TrainedModel& earlier) {
  const auto before = make_model(earlier.model, earlier.setup);
  const auto same = [](const Slice& a, const Slice& b) { return a.name == b.name && a.shape == b.shape; };
  const auto ours = model->slices(), theirs = before->slices();
  if (!std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(), same) || model->dim() != before->dim())
    throw Error("--init " + spec.init + ": that is a model " + earlier.model + ", which has other parameters than " +
                model_name(spec) + "; give the same --model and --hidden");
  initial.assign(earlier.parameters.begin(), earlier.parameters.end());
}

/// Of class c: n / (classes n_c), or what the user says. A class without training samples has none to weigh. Of a label
/// (PyTorch's pos_weight): the rows without it, for each with it.
std::vector<float> Experiment::class_weights() const {
  const std::string& wanted = spec.class_weights;
  if (wanted == "none") return {};
  std::vector<std::uint64_t> counts(data.example().classes());
  for (const auto& of_node : data.class_counts())
    for (std::size_t c = 0; c < counts.size(); ++c) counts[c] += of_node[c];
  if (counts.empty()) throw Error("--class-weights " + wanted + ": there are no classes here; leave the option out");
  std::vector<float> weights(counts.size(), 1.0f);
  if (wanted == "balanced") {
    const auto present = static_cast<double>(std::ranges::count_if(counts, [](auto count) { return count > 0; }));
    const auto samples = static_cast<double>(data.train_samples());
    for (std::size_t c = 0; c < counts.size(); ++c) {
      const auto count = static_cast<double>(counts[c]);
      if (loss() == Loss::logistic && count > 0 && count < samples)
        weights[c] = static_cast<float>((samples - count) / count);
      if (loss() != Loss::logistic && count > 0) weights[c] = static_cast<float>(samples / (present * count));
    }
    return weights;
  }
  std::vector<std::string> names = data.example().schema.classes;
  for (std::size_t c = names.size(); c < counts.size(); ++c) names.push_back(std::to_string(c));
  for (std::string rest = wanted; !rest.empty();) {
    std::size_t best = names.size();  // the longest name that fits: names may have commas and equals signs
    for (std::size_t c = 0; c < names.size(); ++c)
      if (rest.starts_with(names[c] + '=') && (best == names.size() || names[c].size() > names[best].size())) best = c;
    const std::size_t equals = best < names.size() ? names[best].size() : rest.find('=');
    if (equals == std::string::npos)
      throw Error("--class-weights '" + wanted + "' is none of none, balanced, NAME=WEIGHT,...");
    const std::string name = rest.substr(0, equals);
    if (best == names.size()) throw Error("--class-weights: no class is '" + name + "'" + suggestion(name, names));
    const std::size_t end = std::min(rest.size(), rest.find(',', equals));
    const std::string text = rest.substr(equals + 1, end - equals - 1);
    const double weight = to_number(text, "--class-weights " + name);
    if (!(weight >= 0)) throw Error("--class-weights " + name + "=" + text + ": a weight is at least 0");
    weights[best] = static_cast<float>(weight);
    rest.erase(0, end + 1);
  }
  return weights;
}

Loss Experiment::loss() const { return spec.parsed_loss(data.target_scale().has_value()); }

std::optional<Measures> Experiment::no_measures(std::size_t bins) const {
  if (model->outputs() == 0) return std::nullopt;
  return Measures::of(loss(), data.example().classes(), data.target_scale(), bins);
}

std::optional<Measures> Experiment::measure(CVec x, const Dataset& data_to_test) const {
  auto measures = no_measures(data.own_tests() ? ClassifierMeasures::kBinsBetweenSites : ClassifierMeasures::kBins);
  if (measures) measures->add(*model, x, data_to_test);
  return measures;
}

/// And checks the solver's parameters, before anything is written.
void Experiment::choose_exchanges() {
  std::unique_ptr<Solver> solver;
  first_exchanges({spec.solver, spec.exchanges, mode, spec.patience, spec.overlap, OptionStyle::command_line},
                  [&](int exchanges) -> const Solver& {
                    exchanges_ = exchanges;
                    return *(solver = make_solver(rank_.value_or(0)));
                  });
  message_floats_ = solver->message_size();
  require_fit(*solver, "solver " + spec.solver, graph, mode);
}

/// How large gradients are at first, where the solver wants to know: once, before training.
void Experiment::agree_on_scale(Sites& sites) {
  if (!spec.parsed_optimizer() || make_solver(first_here())->step_lengths() != StepLengths::bounded) return;
  std::vector<FirstGradients> mine(nodes_here());
  sites.together([&] {
    for (NodeId i = 0; i < nodes_here(); ++i) see_first_gradients(first_here() + i, mine[i]);
  });
  scale_ = agreed_scale(model->dim(), mine, [&](auto said) { return sites.gather(std::move(said)); });
}

void Experiment::see_first_gradients(NodeId i, FirstGradients& first) {
  Batches batches = make_batches(i);
  Workspace workspace;
  workspace.gradient.resize(model->dim());
  const float weight = static_cast<float>(batches.shard().weight);
  for (int batch = 0; batch < FirstGradients::kUsual; ++batch) {
    batches.next(workspace.batch);
    model->gradient(initial, workspace.batch, workspace.gradient);
    for (float& g : workspace.gradient) g *= weight;
    first.add(workspace.gradient);
  }
}

void Experiment::count_steps() {
  samples_per_step = 0;
  for (NodeId i = 0; i < nodes(); ++i)
    samples_per_step += static_cast<double>(std::min<std::size_t>(data.shard_sizes()[i], batch_sizes[i]));
  const double steps_per_epoch = static_cast<double>(data.train_samples()) / samples_per_step;
  const double wanted =
      spec.epochs != 0 ? spec.epochs : std::clamp(kLeastSteps / steps_per_epoch, kEpochs, kMostEpochs);
  steps = spec.steps != 0 ? spec.steps : static_cast<std::uint64_t>(std::ceil(wanted * steps_per_epoch));
  epochs_per_step = 1 / steps_per_epoch;
  const double epochs = static_cast<double>(steps) * epochs_per_step;
  if (spec.eval_every > 0) evaluations_ = std::max<std::uint64_t>(1, std::llround(epochs / spec.eval_every));
  evaluations_ = std::min(evaluations_, steps);
}

std::uint64_t Experiment::evaluation_step(std::uint64_t k) const {
  return (steps * k + evaluations_ - 1) / evaluations_;
}

int Experiment::round_steps() const {
  if (spec.local_steps != 0) return static_cast<int>(std::min<std::uint64_t>(spec.local_steps, steps));
  return static_cast<int>(std::clamp(static_cast<double>(steps) / kRounds, 1.0, kLocalSteps));
}

StepRule Experiment::rule() const {
  return {.learning_rate = spec.learning_rate,
          .momentum = spec.momentum,
          .weight_decay = spec.loss_decay(),
          .local_steps = round_steps(),
          .exchanges = exchanges_,
          .schedule = Schedule::parse(spec.schedule),
          .total_steps = steps,
          .overlap = spec.overlap};
}

ExchangeBudget Experiment::exchange_budget(NodeId i, double turns) const {
  return {Patience(spec.patience * turns, round_steps(), graph.degree(i)), spec.parsed_exchanges().share * turns,
          exchanges_};
}

std::string Experiment::exchanges_text() const {
  if (spec.parsed_exchanges().share == 0) return std::to_string(exchanges_);
  return std::to_string(ExchangeBudget::kLeast) + " .. " + std::to_string(ExchangeBudget::kMost);
}

std::unique_ptr<Solver> Experiment::make_solver(NodeId i) const {
  SolverSetup setup{graph, i, initial, rule().initial_step_size(), round_steps(), spec.momentum, spec.seed};
  setup.exchanges = exchanges_;
  setup.adam = spec.parsed_optimizer();
  setup.clip_norm = spec.clip_norm;
  setup.scale = scale_;
  setup.proximal_step = [this, i] { return proximal_step(i); };
  return ecl::make_solver(Choice::parse(spec.solver), setup, spec.settings);
}

ProximalStep Experiment::proximal_step(NodeId i) const {
  if (augmentation_named(spec.augment) != Augmentation::none)
    throw Error("solver " + spec.solver + " takes exact steps on the samples as they are; leave out --augment " +
                spec.augment);
  ProximalStep step = model->proximal_step(data.shard(i));
  if (!step) throw Error("model " + spec.model + " has no exact proximal step; use --solver ecl");
  if (spec.weight_decay == 0) return step;
  return [step = std::move(step), decay = spec.weight_decay](CVec pull, double curvature, Vec w) {
    step(pull, curvature + decay, w);
  };
}

Batches Experiment::make_batches(NodeId i) const {
  return {data.shard(i), batch_sizes[i], spec.seed, i, augmentation_named(spec.augment)};
}

/// With which the weights of a node's own samples have the mean 1.
double Experiment::lone_weight(const Shard& shard) {
  const auto& weights = shard.data->weights();
  double total = 0;
  for (const std::int32_t row : shard.rows) total += weights.empty() ? 1 : weights[row];
  return total > 0 ? static_cast<double>(shard.rows.size()) / total : 1;
}

DeliveryOrigin Experiment::delivery_origin(NodeId i) const {
  return {.node = i,
          .nodes = nodes(),
          .edges = graph.degree(i),
          .config = checksum(std::as_bytes(std::span(spec.config))),
          .data = data.checksum_of(i)};
}

std::string Experiment::describe() const {
  const auto [smallest, largest] = std::ranges::minmax_element(data.shard_sizes());
  std::ostringstream text;
  text << "data      " << spec.dataset << ", " << data.train_samples() << " training samples, " << data.test_samples()
       << " to test"
       << (data.groups_to_test() > 0 ? " (" + std::to_string(data.groups_to_test()) + " whole groups), " : ", ")
       << (data.example().sparse() ? "sparse, " : "") << spec.partition << ": " << *smallest << " .. " << *largest
       << " a node, augmentation " << spec.augment << "\n"
       << "placement " << spec.placement << ", " << data.devices() << " devices, " << data.samples_moved()
       << " samples moved\n"
       << "model     " << spec.model << ", " << model->dim() << " parameters\n"
       << "graph     " << spec.topology << ", " << nodes() << " nodes, " << graph.edge_count() << " edges\n"
       << "solver    " << spec.solver << ", " << message_floats_ * sizeof(float) << " bytes a message, " << spec.mode
       << "\n"
       << "run       " << steps << " steps on each node, " << rounds() << " rounds of " << exchanges_text()
       << " exchanges, " << evaluations_ << " evaluations\n";
  return text.str();
}

NodeId Experiment::largest_node() const {
  const auto& sizes = data.shard_sizes();
  return static_cast<NodeId>(std::ranges::max_element(sizes) - sizes.begin());
}

std::string Experiment::footprint() const {
  const auto& sizes = data.shard_sizes();
  const NodeId i = largest_node();
  const Dataset& test = data.test_of(i);
  Batches batches(data.shard(i), *std::ranges::max_element(batch_sizes), spec.seed, i);
  Workspace workspace;
  batches.next(workspace.batch);
  workspace.gradient.resize(model->dim());
  model->gradient(initial, workspace.batch, workspace.gradient);
  const auto solver = make_solver(i);
  Archive state;
  solver->archive(state);

  std::vector<std::int32_t> some(std::min<std::size_t>(test.size(), 512));
  std::iota(some.begin(), some.end(), 0);
  model->score(initial, test.subset(some));

  const std::size_t vector = model->dim() * sizeof(float), message = message_floats_ * sizeof(float);
  const std::size_t samples = sizes[i] * data.example().bytes_per_sample(),
                    tests = test.size() * test.bytes_per_sample();
  const std::size_t batch = workspace.batch.features.size() * sizeof(float);
  const std::size_t slots = 6 * message * graph.degree(i) /* three a direction */;
  const double peak = peak_of_process(static_cast<double>(state.bytes().size()), static_cast<double>(slots));
  const auto megabytes = [](std::size_t bytes) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(bytes < 1'000'000 ? 3 : 1) << static_cast<double>(bytes) * 1e-6 << " MB";
    return text.str();
  };
  std::ostringstream text;
  text << "node " << i << ", which holds most, of " << nodes() << ":\n"
       << "  model        " << model->dim() << " parameters, " << megabytes(vector) << "; with gradient and momentum "
       << megabytes(3 * vector) << "\n"
       << "  activations  " << megabytes(model->scratch_bytes()) << " for batches of " << batches.size()
       << "; the batch " << megabytes(batch) << "\n"
       << "  solver       " << megabytes(state.bytes().size()) << " (" << spec.solver << ")\n"
       << "  messages     " << megabytes(message) << " to each of " << graph.degree(i) << " neighbours "
       << (exchanges_ > 1 ? exchanges_text() + " times " : std::string()) << "every " << round_steps()
       << " steps; mailboxes " << megabytes(slots) << "\n"
       << "  samples      " << sizes[i] << ", " << megabytes(samples) << "; to test " << test.size() << ", "
       << megabytes(tests) << "\n"
       << "memory: " << megabytes(static_cast<std::size_t>(peak)) << " a process at its peak"
       << (peak <= peak_memory_bytes() ? ", while the data are read" : "") << "\n"
       << "to do: " << steps << " steps on each node, in " << rounds() << (rounds() == 1 ? " round" : " rounds") << ", "
       << evaluations_ << " evaluations; nothing was trained or written\n";
  return text.str();
}

/// What a run takes at its peak, measured as far as it is the same here: the data were read, the model was made and
/// ran. To that comes what only a run has. `state`: of a solver; `slots`: a node's mailboxes; bytes.
double Experiment::peak_of_process(double state, double slots) const {
  const double vector = static_cast<double>(model->dim()) * sizeof(float), here = nodes_here();
  const double lengths = (spec.parsed_optimizer() ? 3 : spec.clip_norm > 0 ? 2 : 0) * vector;  // what is not state
  const double nodes_of_ours = here * (vector + state + lengths + (spec.momentum > 0 ? vector : 0));
  const double evaluation = 12 * vector;                   // sums in double, those of the consensus error too
  const double now = resident_memory_bytes() - 2 * state;  // footprint() has a solver, and its state once more
  const double mailboxes = here > 1 ? here * (slots / 3 + vector) : slots;
  return std::max(peak_memory_bytes(), now + nodes_of_ours + mailboxes + evaluation);
}

}  // namespace ecl
