#include "ecl/tool/inspect.hpp"

#include <boost/program_options.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>

#include "ecl/base/check.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/model.hpp"
#include "ecl/contracts/solver.hpp"
#include "ecl/data/placement.hpp"
#include "ecl/run/spec.hpp"
#include "ecl/tool/graph_report.hpp"
#include "ecl/tool/parse.hpp"

namespace ecl {
namespace {

namespace po = boost::program_options;
using Arguments = std::vector<std::string>;

/// Parses `arguments` of `command`; false if it was --help, which is then printed under `usage`.
bool parse(const Arguments& arguments, po::options_description& options, const Arguments& positional,
           const std::string& command, const std::string& usage) {
  options.add_options()("help", "this text");
  po::variables_map values;
  parse_arguments(arguments, options, positional, command, values);
  po::notify(values);
  if (values.count("help")) std::cout << usage << " [options]\n" << options;
  return values.count("help") == 0;
}

/// Prints a registry. `make` builds an entry so that it declares its parameters; whether it succeeds does not matter.
template <class Factory, class Make>
void print_registry(const std::string& title, const Registry<Factory>& registry, Make make) {
  std::cout << title << '\n';
  for (const auto& entry : registry.entries()) {
    std::printf("  %-15s %s\n", entry.name.c_str(), entry.description.c_str());
    Params params(registry.kind() + " " + entry.name);
    try {
      make(entry, params);
    } catch (const Error&) {
    }
    for (const auto& parameter : params.declared())
      std::printf("  %-15s   %s = %s: %s\n", "", parameter.key.c_str(),
                  parameter.fallback.empty() ? "..." : parameter.fallback.c_str(), parameter.help.c_str());
    std::fflush(stdout);
  }
  std::cout << '\n';
}

std::string bar(std::size_t count, std::size_t largest) {
  constexpr std::size_t kWidth = 8;
  const std::size_t filled = largest == 0 ? 0 : (count * kWidth + largest - 1) / largest;
  return std::string(filled, '#') + std::string(kWidth - filled, '.');
}

void print_shards(const Partition& partition, const Dataset& data) {
  std::vector<std::vector<std::size_t>> counts(partition.size(), std::vector<std::size_t>(std::max(1, data.classes())));
  std::size_t largest = 0;
  for (std::size_t i = 0; i < partition.size(); ++i)
    for (const std::int32_t row : partition[i]) largest = std::max(largest, ++counts[i][data.labels()[row]]);
  std::printf("%6s %9s", "node", "samples");
  for (int c = 0; c < data.classes(); ++c) std::printf(" %8s", ("class " + std::to_string(c)).c_str());
  std::printf("\n");
  for (std::size_t i = 0; i < partition.size(); ++i) {
    std::printf("%6zu %9zu", i, partition[i].size());
    for (int c = 0; c < data.classes(); ++c) std::printf(" %8zu", counts[i][c]);
    std::printf("\n");
    if (data.classes() == 0) continue;
    std::printf("%16s", "");
    for (int c = 0; c < data.classes(); ++c) std::printf(" %s", bar(counts[i][c], largest).c_str());
    std::printf("\n");
  }
}

}  // namespace

void list_command(const Arguments& arguments) {
  po::options_description options;
  if (!parse(arguments, options, {}, "ecl list", "ecl list")) return;
  const Graph pair(2, {{0, 1}}, "pair");
  const float origin[1] = {0};
  const Dataset sample(1, 2, std::vector<float>{0, 1}, {0, 1});
  const DatasetRequest nowhere{"/nonexistent", 2, 1};  // files are not read for a list
  print_registry("solvers (--solver NAME --set KEY=VALUE)", solvers(), [&](const auto& entry, Params& params) {
    entry.make({pair, 0, origin, 1.0, 8}, params);
  });
  print_registry("topologies (--topology NAME:VALUE,...)", topologies(),
                 [](const auto& entry, Params& params) { entry.make(16, 1, params); });
  print_registry("models (--model NAME)", models(), [](const auto& entry, Params& params) {
    entry.make({3, 2}, params);
  });
  print_registry("data sets (--dataset NAME:KEY=VALUE,... --data DIR)", datasets(),
                 [&](const auto& entry, Params& params) { entry.make(nowhere, params); });
  print_registry("partitions (--partition NAME:VALUE,...)", partitions(),
                 [&](const auto& entry, Params& params) { entry.make(sample, 2, 1, params); });
}

void topology_command(const Arguments& arguments) {
  std::string name, dot;
  NodeId nodes = 8;
  std::uint64_t seed = 1;
  po::options_description options("Options");
  options.add_options()("name", po::value(&name), "topology, with its parameters: ring, torus, random_regular:4, ...")(
      "nodes,n", po::value(&nodes)->default_value(nodes), "number of nodes")(
      "seed", po::value(&seed)->default_value(seed), "of random graphs")("dot", po::value(&dot),
                                                                         "FILE for Graphviz; - is standard output");
  if (!parse(arguments, options, {"name"}, "ecl topology", "ecl topology NAME -n N")) return;
  if (name.empty()) throw Error("ecl topology needs a name, as in ecl topology ring -n 8 (see ecl list)");
  if (nodes < 1) throw Error("-n " + std::to_string(nodes) + " is not at least 1");
  const Graph graph = make_graph(Choice::parse(name), nodes, seed);
  if (dot != "-") print(std::cout, analyse(graph));
  if (dot == "-") std::cout << to_dot(graph, name);
  if (dot.empty() || dot == "-") return;
  std::ofstream file(dot);
  file << to_dot(graph, name);
  if (!file.flush()) throw Error("--dot " + dot + ": cannot be written", Exit::io);
}

void data_command(const Arguments& arguments) {
  Spec spec;
  std::optional<NodeId> given;
  po::options_description options("Options");
  options.add_options()("dataset", po::value(&spec.dataset)->default_value(spec.dataset), "as for ecl train")(
      "data", po::value(&spec.data), "directory or file")(
      "partition", po::value(&spec.partition)->default_value(spec.partition), "as for ecl train")(
      "placement", po::value(&spec.placement)->default_value(spec.placement), "as for ecl train")(
      "devices", po::value(&spec.devices)->default_value(spec.devices), "as for ecl train")(
      "nodes,n", po::value<NodeId>()->notifier([&](NodeId n) { given = n; }),
      "number of nodes; else what --placement and --devices say, or 8")(
      "seed", po::value(&spec.seed)->default_value(spec.seed), "of the split");
  if (!parse(arguments, options, {}, "ecl data", "ecl data")) return;
  if (given && *given < 1) throw Error("-n " + std::to_string(*given) + " is not at least 1");
  const Placement placement(spec.placement, spec.devices);
  const NodeId nodes = given.value_or(placement.nodes(spec.nodes)), devices = placement.devices(nodes);
  const TrainTest data = load_dataset(Choice::parse(spec.dataset), {spec.data, devices, spec.seed});
  const PlacedData placed = place(placement, Choice::parse(spec.partition), data.train, nodes, spec.seed);
  const Partition& partition = placed.partition;
  std::printf("%s: %zu training samples, %zu test samples, %d features, %d classes\n", spec.dataset.c_str(),
              data.train.size(), data.test.size(), data.train.features(), data.train.classes());
  if (placement.moves())
    std::printf("%s over %d devices, %s: %llu samples left their device, %.1f MB as stored\n\n", spec.partition.c_str(),
                devices, spec.placement.c_str(), static_cast<unsigned long long>(placed.samples_moved),
                static_cast<double>(placed.samples_moved * data.train.bytes_per_sample()) / 1e6);
  else
    std::printf("%s over %d nodes\n\n", spec.partition.c_str(), nodes);
  print_shards(partition, data.train);
  std::size_t held = 0;
  for (const auto& rows : partition) held += rows.size();
  std::printf("\n%zu of %zu samples held; disjoint and complete: %s\n", held, data.train.size(),
              disjoint_and_complete(partition, data.train.size()) ? "yes" : "NO");
}

}  // namespace ecl
