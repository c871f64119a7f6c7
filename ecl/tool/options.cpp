#include "ecl/tool/options.hpp"

#include <boost/program_options.hpp>
#include <fstream>
#include <ostream>

#include "ecl/words/check.hpp"
#include "ecl/words/params.hpp"

namespace ecl {
namespace {

namespace po = boost::program_options;

/// An option that is bound to a field of the Spec, whose present value is the default.
template <class T>
po::typed_value<T>* field(T& value) {
  return po::value<T>(&value)->default_value(value);
}

struct Options {
  po::options_description run{"The experiment"};  ///< these make config.ini
  po::options_description tool{"This call"};

  Options(const std::string& command, Spec& spec) {
    // clang-format off
    run.add_options()
      ("dataset", field(spec.dataset), "digits, fashion-mnist, mnist, csv, libsvm, synthetic, quadratic; NAME:key=value,...")
      ("data", field(spec.data), "directory (or file) that the data set is read from")
      ("partition", field(spec.partition), "iid, classes:K, dirichlet:A, quantity:A, by-column:NAME, file:PATH")
      ("model", field(spec.model), "softmax, mlp, quadratic")
      ("hidden", field(spec.hidden), "hidden widths of mlp: 128 or 256,128")
      ("topology", field(spec.topology), "ring, chain, star, complete, torus, exponential, ...: see ecl list")
      ("solver", field(spec.solver), "ecl, dpsgd, local")
      ("set", po::value<std::vector<std::string>>(&spec.settings)->composing(), "KEY=VALUE: a solver's parameter, repeatable; see ecl list")
      ("mode", field(spec.mode), "async: nobody waits; lock-step: rounds in step")
      ("epochs", field(spec.epochs), "of n/N samples on each node: together one pass over all the data")
      ("steps", field(spec.steps), "steps per node instead of epochs; 0: by epochs")
      ("batch", field(spec.batch), "samples per step")
      ("local-steps", field(spec.local_steps), "K: steps between two exchanges")
      ("lr", field(spec.learning_rate), "learning rate")
      ("lr-schedule", field(spec.schedule), "constant, cosine, step:AT,FACTOR")
      ("momentum", field(spec.momentum), "heavy ball, 0 <= momentum < 1")
      ("weight-decay", field(spec.weight_decay), "lambda of lambda/2 |x|^2")
      ("seed", field(spec.seed), "of data split, initial model, batches and random graphs")
      ("node-speed", field(spec.node_speed), "NODE:FACTOR,...: a step of NODE takes FACTOR times as long")
      ("eval-every", field(spec.eval_every), "epochs between evaluations; 0: only at the end");
    if (command == "simulate") run.add_options()
      ("nodes", field(spec.nodes), "number of nodes")
      ("step-time-s", field(spec.step_time_s), "virtual seconds of a step on a node of factor 1")
      ("latency-s", field(spec.links.latency_s), "virtual seconds of a message's way")
      ("bandwidth-bytes-s", field(spec.links.bandwidth_bytes_s), "of each directed edge; 0: infinite")
      ("jitter", field(spec.links.jitter), "0 .. 1: share of step and transit times that is exponentially distributed")
      ("drop", field(spec.links.drop), "probability that a message is lost")
      ("duplicate", field(spec.links.duplicate), "probability that it arrives twice")
      ("tear", field(spec.links.tear), "probability that it arrives damaged (detected, rejected)");
    tool.add_options()
      ("out", field(spec.out), "directory for config.ini, metrics.csv, summary.json, model/; must be new")
      ("config", po::value<std::string>(), "FILE: options as KEY=VALUE lines (a run's config.ini); the command line wins")
      ("print-config", "print all options as they would be used, and stop")
      ("quiet", po::bool_switch(&spec.quiet), "no progress lines")
      ("verbose", po::bool_switch(&spec.verbose), "say what was built before training")
      ("help", "this text");
    // clang-format on
  }
};

std::vector<std::string> long_names(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back(option->long_name());
  return names;
}

/// The resolved options as an ini text that --config reads again.
std::string to_ini(const po::options_description& options, const po::variables_map& values) {
  std::string text;
  for (const auto& option : options.options()) {
    const std::string& name = option->long_name();
    if (!values.count(name)) continue;
    const boost::any& value = values[name].value();
    const auto add = [&](const std::string& shown) {
      if (!shown.empty()) text += name + " = " + shown + "\n";
    };
    if (const auto* s = boost::any_cast<std::string>(&value))
      add(*s);
    else if (const auto* list = boost::any_cast<std::vector<std::string>>(&value))
      for (const auto& part : *list) add(part);
    else if (const auto* f = boost::any_cast<double>(&value)) {
      char b[32];
      std::snprintf(b, sizeof b, "%.17g", *f);
      add(b);
    } else if (const auto* u = boost::any_cast<std::uint64_t>(&value))
      add(std::to_string(*u));
    else if (const auto* i = boost::any_cast<int>(&value))
      add(std::to_string(*i));
    else
      ECL_CHECK(false && "an option of a type that to_ini does not know");
  }
  return text;
}

[[noreturn]] void fail(const po::error& error, const po::options_description& all, const std::string& command,
                       const std::string& where) {
  if (const auto* unknown = dynamic_cast<const po::unknown_option*>(&error)) {
    std::string name = unknown->get_option_name();
    name.erase(0, name.find_first_not_of('-'));
    throw Error(where + "unknown option --" + name + suggestion(name, long_names(all)) + " (see ecl " + command +
                " --help)");
  }
  throw Error(where + error.what() + " (see ecl " + command + " --help)");
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

Request read_options(const std::string& command, const std::vector<std::string>& arguments) {
  Request request;
  Options options(command, request.spec);
  po::options_description all;
  all.add(options.run).add(options.tool);
  po::variables_map values;
  std::string where;
  try {
    using po::command_line_style::allow_guessing;
    po::command_line_parser parser(arguments);
    parser.options(all).positional({}).style(po::command_line_style::unix_style & ~allow_guessing);
    po::store(parser.run(), values);
    if (values.count("help")) {
      request.help = true;
      return request;
    }
    if (values.count("config")) {
      const std::string path = values["config"].as<std::string>();
      std::ifstream file(path);
      if (!file) throw Error("--config " + path + ": cannot be read; is the path right?");
      where = path + ": ";
      po::store(po::parse_config_file(file, options.run), values);
    }
    po::notify(values);
  } catch (const po::error& error) {
    fail(error, all, command, where);
  }
  if (!values["steps"].defaulted() && !values["epochs"].defaulted() && request.spec.steps != 0)
    throw Error("--steps and --epochs both say how long to train; give one");
  request.print_config = values.count("print-config") > 0;
  request.spec.config = to_ini(options.run, values);
  check(request.spec);
  return request;
}

}  // namespace ecl
