#include "ecl/tool/options.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <set>
#include <sstream>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"
#include "ecl/data/placement.hpp"
#include "ecl/data/site_path.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/tool/ini_value.hpp"
#include "ecl/tool/parse.hpp"

namespace ecl {
namespace {

namespace po = boost::program_options;

/// An option that is bound to a field of the Spec, whose present value is the default.
template <class T>
po::typed_value<T>* field(T& value) {
  std::ostringstream shown;
  shown << value;  // a double as a person writes it
  return po::value<T>(&value)->default_value(value, shown.str());
}

using Group = po::options_description;

// clang-format off
Group data_options(Spec& spec) {
  Group group("Data");
  group.add_options()
    ("dataset", field(spec.dataset),
     "digits, fashion-mnist, mnist, cifar10, csv, libsvm, npy, hdf5, synthetic, quadratic; NAME:key=value,...; a value "
     "with a comma, colon or equals sign in \"quotes\"")
    ("data", field(spec.data),
     "file or directory that the data set is read from; with {node} (or {host}) in it each node reads only its own: "
     "'visits-{node}.csv'")
    ("test", field(spec.test),
     "file or directory of the samples to test on; with {node} each node's own. Else the data set draws them: test=0.2")
    ("partition", field(spec.partition),
     "iid, classes:K, dirichlet:A, quantity:A, by-column:NAME, file:PATH; own: nothing is dealt, as {node} says too")
    ("placement", field(spec.placement),
     "device: train where the samples are; edge:S: on S servers, with their nearest devices' samples; cloud: on one")
    ("devices", field(spec.devices),
     "number of devices that the partition deals to; 0: as many as nodes. Needed for edge and cloud")
    ("augment", field(spec.augment),
     "none; crop-flip: training pictures moved by up to 4 pixels and mirrored at random, anew each epoch");
  return group;
}

Group training_options(Spec& spec) {
  Group group("Model and training");
  group.add_options()
    ("model", field(spec.model), "softmax, linear, mlp, cnn, resnet:N, quadratic; see ecl list")
    ("hidden", field(spec.hidden), "hidden widths of mlp: 128 or 256,128")
    ("init", field(spec.init),
     "RUN: go on from the model of an earlier run, with its columns, levels, classes and scaling")
    ("loss", field(spec.loss),
     "cross-entropy; mse, mae, huber: the label is a number, to be predicted; its deviation over all sites is the "
     "unit; logistic: label=a|b, columns that are 0 or 1, each learnt by itself. usual: cross-entropy, or mse after "
     "label-kind=number")
    ("class-weights", field(spec.class_weights),
     "weight of each sample's loss in training: none; balanced: all classes count the same, n / (classes n_c), by the "
     "counts of all sites; NAME=WEIGHT,...: 1 for those that are not named. Under logistic loss of a label where it is "
     "1")
    ("epochs", field(spec.epochs),
     "epochs to train, of n/N samples on each node: together one pass over all the data. 0: 10, or for few samples as "
     "many as make 800 steps, at most 200")
    ("steps", field(spec.steps), "steps per node instead of epochs; 0: by epochs")
    ("batch", field(spec.batch), "samples per step")
    ("node-batch", field(spec.node_batch),
     "NODE:SAMPLES,...: other batches of nodes that are slow, so that they keep pace")
    ("optimizer", field(spec.optimizer),
     "sgd; adam, adamw (then --weight-decay is decoupled): NAME:beta1=0.9,beta2=0.999,eps=1e-8, of the gradient with "
     "the neighbours' corrections. For solvers ecl, led, k_gt, lt_admm, scaffold, dpsgd, fedavg, local")
    ("lr", field(spec.learning_rate), "learning rate; under adam and adamw 0.001 where none is given")
    ("lr-schedule", field(spec.schedule), "constant, cosine, linear:FROM, step:AT,FACTOR")
    ("momentum", field(spec.momentum), "heavy ball, 0 <= momentum < 1")
    ("clip-norm", field(spec.clip_norm),
     "longest gradient, with the neighbours' corrections: longer ones are shortened to this L2 norm; 0: none")
    ("weight-decay", field(spec.weight_decay), "lambda of lambda/2 |x|^2; of adamw's decay")
    ("seed", field(spec.seed), "of data split, initial model, batches and random graphs");
  return group;
}

Group exchange_options(Spec& spec) {
  Group group("Algorithm and exchange");
  group.add_options()
    ("solver", field(spec.solver), "ecl, dpsgd, fedavg, scaffold, ..., local: see ecl list")
    ("set", po::value<std::vector<std::string>>(&spec.settings)->composing(),
     "KEY=VALUE: a solver's parameter, repeatable; see ecl list")
    ("topology", field(spec.topology), "ring, chain, star, complete, torus, exponential, ...: see ecl list")
    ("mode", field(spec.mode), "async: no exchange waits longer than --patience; lock-step: rounds in step")
    ("local-steps", field(spec.local_steps),
     "K: steps between two exchanges; the last round may be shorter. 0: 8, or in a short run as few as make 200 rounds")
    ("exchanges", field(spec.exchanges),
     "R: exchanges after each round's steps. usual: 4 for ecl, 1 for the others; auto or auto:PERCENT: as many, from 2 "
     "to 16, as the links carry in PERCENT (25) of the time of the round's steps, by each node's own clock")
    ("patience", field(spec.patience),
     "longest wait of each exchange but a round's first for the neighbours, under --mode async: as a multiple of the "
     "time of the round's own steps; 0: none")
    ("overlap", po::bool_switch(&spec.overlap),
     "make all exchanges but a round's first while the next gradients are computed, and wait for nobody")
    ("settle", field(spec.settle),
     "after the last step the nodes exchange, without new gradients, until they agree: at most so often; 0: never")
    ("settle-s", field(spec.settle_s), "and they exchange so for at most so many seconds")
    ("consensus-error", field(spec.consensus_error),
     "the nodes agree, and the run has converged, if their models' relative distance to the mean is at most this")
    ("node-speed", field(spec.node_speed), "NODE:FACTOR,...: steps of NODE take FACTOR times as long");
  return group;
}

Group evaluation_options(Spec& spec) {
  Group group("Evaluations and checkpoints");
  group.add_options()
    ("eval-every", field(spec.eval_every), "epochs between evaluations; 0: only at the end")
    ("checkpoint-every", field(spec.checkpoint_every),
     "epochs between checkpoints in --out; 0: only when a signal stops the run")
    ("node-models", po::bool_switch(&spec.node_models),
     "at the end keep each node's own model in --out, too, for ecl predict --node")
    ("compare-local", po::bool_switch(&spec.compare_local),
     "with own data: at the end each node trains once more, alone, for sites.csv");
  return group;
}

Group network_options(Spec& spec) {
  Group group("The simulated network");
  group.add_options()
    ("nodes", field(spec.nodes), "number of nodes; --placement and --devices may say it too")
    ("step-time-s", field(spec.step_time_s), "virtual seconds of a step on a node of factor 1")
    ("latency-s", field(spec.links.latency_s), "virtual seconds of a message's way")
    ("bandwidth-bytes-s", field(spec.links.bandwidth_bytes_s), "bytes per second of each directed edge; 0: infinite")
    ("jitter", field(spec.links.jitter), "0 .. 1: share of step and transit times that is exponentially distributed")
    ("drop", field(spec.links.drop), "probability that a message is lost")
    ("duplicate", field(spec.links.duplicate), "probability that it arrives twice")
    ("tear", field(spec.links.tear), "probability that it arrives damaged (detected, rejected)");
  return group;
}

Group call_options(const std::string& command, Spec& spec) {
  Group group("This call");
  group.add_options()
    ("out", field(spec.out), "directory for config.ini, metrics.csv, summary.json, model/; must be new")
    ("resume", po::value<std::string>(),
     "DIR: go on with the run in DIR that was stopped or killed, as it was started: no other options but --quiet, "
     "--verbose, --trace (train: --exchange, --stall-warn-s)")
    ("config", po::value<std::string>(),
     "FILE: options as KEY=VALUE lines (a run's config.ini); the command line wins")
    ("print-config", "print all options as they would be used, and stop")
    ("dry-run", po::bool_switch(&spec.dry_run), "build everything, say what a node holds and sends, and stop")
    ("trace", field(spec.trace),
     "FILE for a time line of all nodes: gradients, messages, waits ...; for ui.perfetto.dev or chrome://tracing")
    ("quiet", po::bool_switch(&spec.quiet), "no progress lines")
    ("verbose", po::bool_switch(&spec.verbose), "say what was built before training")
    ("help", "this text");
  if (command == "train") group.add_options()
    ("exchange", field(spec.exchange),
     "what carries messages. auto: shared memory within a host, between hosts what waits for nobody; "
     "shared, window, messages: only that (over TCP a window's puts wait for the target's program)")
    ("stall-warn-s", field(spec.stall_warn_s), "seconds after which a silent neighbour is named; 0: never")
    ("record", po::bool_switch(&spec.record), "keep the order of deliveries in DIR/deliveries/, for ecl replay DIR");
  return group;
}
// clang-format on

struct Options {
  Group run;  ///< these make config.ini
  Group tool;

  Options(const std::string& command, Spec& spec) : tool(call_options(command, spec)) {
    run.add(data_options(spec)).add(training_options(spec)).add(exchange_options(spec)).add(evaluation_options(spec));
    if (command == "simulate") run.add(network_options(spec));
  }
};

/// Whether an option names something that cannot be left empty: its default is not.
bool must_be_named(const po::option_description& option) {
  boost::any fallback;
  if (!option.semantic()->apply_default(fallback)) return false;
  const auto* name = boost::any_cast<std::string>(&fallback);
  return name && !name->empty();
}

/// The resolved options as an ini text that --config reads again.
std::string to_ini(const po::options_description& options, const po::variables_map& values, const Spec& spec) {
  std::string text;
  for (const auto& option : options.options()) {
    const std::string& name = option->long_name();
    if (!values.count(name) || name == (spec.steps != 0 ? "epochs" : "steps")) continue;
    const boost::any& value = values[name].value();
    const auto add = [&](const std::string& shown) {
      if (shown.empty() && must_be_named(*option))
        throw Error("--" + name + " is empty; name one, or leave the option out");
      if (shown.empty()) return;
      text += name + " = " + to_ini_value(shown) + "\n";
    };
    if (const auto* s = boost::any_cast<std::string>(&value))
      add(*s);
    else if (boost::any_cast<std::vector<std::string>>(&value))
      for (const auto& setting : spec.settings) add(setting);
    else if (const auto* f = boost::any_cast<double>(&value)) {
      char digits[32];  // the fewest that give the same double again
      add({digits, std::to_chars(digits, digits + sizeof digits, *f).ptr});
    } else if (const auto* b = boost::any_cast<bool>(&value)) {
      if (*b) add("true");
    } else if (const auto* u = boost::any_cast<std::uint64_t>(&value))
      add(std::to_string(*u));
    else if (const auto* i = boost::any_cast<int>(&value))
      add(std::to_string(name == "nodes" ? spec.nodes : *i));  // that one may follow from the placement
    else
      ECL_CHECK(false && "an option of a type that to_ini does not know");
  }
  return text;
}

/// An option that only the other command has deserves better than "unknown". `where`: the file that names it, if one
/// does.
void refuse_others(const std::string& command, const std::vector<std::string>& arguments,
                   const std::string& where = "") {
  const bool train = command == "train";
  Spec spec;
  const Options ours(command, spec), others(train ? "simulate" : "train", spec);
  const auto has = [](const Options& options, const std::string& name) {
    return options.run.find_nothrow(name, false) || options.tool.find_nothrow(name, false);
  };
  for (const std::string& argument : arguments) {
    const std::string name = argument.substr(0, argument.find('='));
    if (name.size() < 3 || name.substr(0, 2) != "--" || has(ours, name.substr(2)) || !has(others, name.substr(2)))
      continue;
    const std::string why = !train              ? "simulate all nodes are in one process"
                            : name == "--nodes" ? "train mpirun -n N makes N nodes"
                                                : "train the network is a real one";
    throw Error(where + name + " is an option of ecl " + (train ? "simulate" : "train") + "; under ecl " + why);
  }
}

bool given(const po::variables_map& values, const std::string& name) {
  return values.count(name) && !values[name].defaulted();
}

/// Adds the options of a file to `values`, which holds those of the command line already: that one wins.
void read_config(const std::string& path, const Options& options, const std::string& command, po::variables_map& values,
                 Spec& spec) {
  std::ifstream file(path);
  if (!file || (file.peek(), file.bad())) throw Error("--config " + path + ": cannot be read; is the path right?");
  std::vector<std::string> first;
  if (values.count("set")) first = values["set"].as<std::vector<std::string>>();
  const bool by_epochs = given(values, "epochs") && !given(values, "steps");
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  refuse_placeholders(content, path);
  std::istringstream text(content);
  try {
    po::parsed_options parsed = po::parse_config_file(text, options.run, true);
    for (po::option& option : parsed.options) {
      for (std::string& value : option.value) value = from_ini_value(value, path + ": " + option.string_key + " = ");
      check_number(option, options.run, path + ": ");
      if (!option.unregistered) continue;
      refuse_others(command, {"--" + option.string_key}, path + ": ");
      throw po::unknown_option(option.string_key);
    }
    const auto names = [&](const char* key) {
      return std::ranges::any_of(parsed.options, [&](const auto& option) {
        return option.string_key == key && !(key == std::string("steps") && option.value[0] == "0");
      });
    };
    if (names("steps") && names("epochs"))
      throw Error(path + ": steps and epochs both say how long to train; keep one");
    po::store(parsed, values);
    po::notify(values);
  } catch (const po::error& error) {
    fail(error, options.run, "ecl " + command, path + ": ");
  }
  if (by_epochs) spec.steps = 0;
  // Boost appends the file's settings to those of the command line.
  std::erase_if(spec.settings, [&, at = std::size_t{0}](const std::string& setting) mutable {
    const std::string key = setting.substr(0, setting.find('=') + 1);
    return at++ >= first.size() && std::any_of(first.begin(), first.end(), [&](const std::string& s) {
             return s.compare(0, key.size(), key) == 0;
           });
  });
}

/// Beside --resume: they change nothing of what is trained.
const std::set<std::string> kOfTheCall = {"resume", "quiet", "verbose", "exchange", "trace", "stall-warn-s"};

/// A run goes on as it was started, or it would be another one.
void refuse_beside_resume(const po::variables_map& values) {
  for (const auto& [name, value] : values)
    if (!value.defaulted() && !kOfTheCall.contains(name))
      throw Error("--resume goes on with the options that the run was started with; leave out --" + name);
}

/// --resume DIR: the options of the run in DIR.
void take_up(const std::string& directory, const std::string& command, const Options& options,
             po::variables_map& values, Spec& spec) {
  const StartedRun run = started_run(directory, command);
  read_config(run.config_path, options, command, values, spec);
  spec.command = run.command_line;
  spec.nodes = run.nodes;
  spec.out = directory;
  spec.resume = true;
}

/// The options and the file that they may name; not yet whether a run can write what it is to keep.
Request read_run(const std::string& command, const std::vector<std::string>& arguments) {
  Request request;
  Spec& spec = request.spec;
  spec.simulated = command == "simulate";
  Options options(command, spec);
  po::options_description all;
  all.add(options.run).add(options.tool);
  po::variables_map values;
  refuse_others(command, arguments);
  parse_arguments(arguments, all, {}, "ecl " + command, values);
  if (values.count("help")) {
    request.help = true;
    return request;
  }
  try {
    po::notify(values);
  } catch (const po::error& error) {
    fail(error, all, "ecl " + command);
  }
  if (values.count("resume")) {
    refuse_beside_resume(values);
    take_up(values["resume"].as<std::string>(), command, options, values, spec);
    spec.config = to_ini(options.run, values, spec);
    check(spec);
    return request;
  }
  if (given(values, "steps") && given(values, "epochs") && spec.steps != 0)
    throw Error("--steps and --epochs both say how long to train; give one");
  if (values.count("config")) read_config(values["config"].as<std::string>(), options, command, values, spec);
  if (is_pattern(spec.data, "--data") && !given(values, "partition"))
    values.find("partition")->second.value() = boost::any(spec.partition = "own");
  if (!given(values, "lr") && spec.parsed_optimizer())
    values.find("lr")->second.value() = boost::any(spec.learning_rate = kAdamRate);
  if (!given(values, "nodes")) spec.nodes = Placement(spec.placement, spec.devices).nodes(spec.nodes);
  request.print_config = values.count("print-config") > 0;
  spec.config = to_ini(options.run, values, spec);
  check(spec);
  return request;
}

}  // namespace

void print_options(std::ostream& out, const std::string& command) {
  Spec spec;
  const Options options(command, spec);
  out << "ecl " << command
      << (command == "train" ? ": train over MPI, one node per rank.   mpirun -n 8 ecl train [options]\n\n"
                             : ": the same experiment in one process, in virtual time.   ecl simulate [options]\n\n")
      << options.run << '\n'
      << options.tool;
}

/// What a run that begins would do nothing with. Of one that is there, which may be of an ecl that took it, nobody
/// asks.
static void refuse_what_has_no_effect(const Spec& spec) {
  if (spec.checkpoint_every > 0 && spec.out.empty())
    throw Error("--checkpoint-every needs a directory for the checkpoints: give --out DIR");
  if (spec.node_models && spec.out.empty())
    throw Error("--node-models needs a directory for the models: give --out DIR");
  if (spec.compare_local && !spec.own_data() && !spec.resume)
    throw Error(
        "--compare-local trains each site alone on its own data, and here the data are dealt; leave it out, or "
        "give each node files of its own, with {node} in --data");
}

Request read_options(const std::string& command, const std::vector<std::string>& arguments) {
  Request request = read_run(command, arguments);
  if (!request.help && !request.print_config) refuse_what_has_no_effect(request.spec);
  return request;
}

Spec read_begun(const std::string& directory) {
  const StartedRun run = begun_run(directory);
  Spec spec = read_run(run.command == "simulate" ? run.command : "train", {"--config", run.config_path}).spec;
  spec.nodes = run.nodes;
  return spec;
}

std::optional<ReplayRequest> read_replay(const std::vector<std::string>& arguments, std::ostream& out) {
  std::string directory, copy;
  bool quiet = false;
  po::options_description options("Options");
  options.add_options()("directory", po::value(&directory), "the run's: what it gave to --out")(
      "out", po::value(&copy), "directory for a run directory of the replay's own; must be new")(
      "quiet", po::bool_switch(&quiet), "no progress lines")("help", "this text");
  po::variables_map values;
  parse_arguments(arguments, options, {"directory"}, "ecl replay", values);
  po::notify(values);
  if (values.count("help")) {
    out << "ecl replay DIR [options]: repeats, in one process, a run that was made with ecl train --record --out "
           "DIR\n\n"
        << options;
    return std::nullopt;
  }
  if (directory.empty()) throw Error("ecl replay needs the directory of a recorded run, as in ecl replay runs/a");
  if (!std::filesystem::exists(directory + "/deliveries"))
    throw Error("'" + directory + "' holds no recorded run; ecl train --record --out DIR makes one");
  std::vector<std::string> train = {"--config", directory + "/config.ini"};
  if (!copy.empty()) train.insert(train.end(), {"--out", copy});
  if (quiet) train.emplace_back("--quiet");
  return ReplayRequest{read_run("train", train).spec, directory};
}

}  // namespace ecl
