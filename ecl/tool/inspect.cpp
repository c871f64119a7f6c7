#include "ecl/tool/inspect.hpp"

#include <boost/program_options.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>

#include "ecl/base/check.hpp"
#include "ecl/base/host.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/model.hpp"
#include "ecl/contracts/solver.hpp"
#include "ecl/data/agreement.hpp"
#include "ecl/data/placement.hpp"
#include "ecl/data/site_path.hpp"
#include "ecl/run/mpi_sites.hpp"
#include "ecl/run/run_data.hpp"
#include "ecl/run/spec.hpp"
#include "ecl/tool/graph_report.hpp"
#include "ecl/tool/parse.hpp"

namespace ecl {
namespace {

namespace po = boost::program_options;
using Arguments = std::vector<std::string>;

/// Parses `arguments` of `command`; false if it was --help, which is then printed under `usage`, unless
/// that is empty.
bool parse(const Arguments& arguments, po::options_description& options, const Arguments& positional,
           const std::string& command, const std::string& usage) {
  options.add_options()("help", "this text");
  po::variables_map values;
  parse_arguments(arguments, options, positional, command, values);
  po::notify(values);
  if (values.count("help") && !usage.empty()) std::cout << usage << " [options]\n" << options;
  return values.count("help") == 0;
}

/// What an entry reads, when it is made on so many nodes; whether it is made does not matter.
template <class Entry, class Make>
auto parameters_of(const Entry& entry, const Make& make, NodeId nodes) {
  Params params(entry.name);
  try {
    make(entry, params, nodes);
  } catch (const Error&) {
  }
  return std::vector(params.declared());
}

/// Prints a registry. `make` builds an entry so that it declares its parameters. A default that is another one on other
/// numbers of nodes is left to the help of the parameter.
template <class Factory, class Make>
void print_registry(const std::string& title, const Registry<Factory>& registry, Make make) {
  std::cout << title << '\n';
  for (const auto& entry : registry.entries()) {
    std::printf("  %-15s %s\n", entry.name.c_str(), entry.description.c_str());
    const auto declared = parameters_of(entry, make, 16), on_more = parameters_of(entry, make, 36);
    for (std::size_t p = 0; p < declared.size(); ++p) {
      const auto& [key, fallback, help] = declared[p];
      const bool fixed = p >= on_more.size() || fallback == on_more[p].fallback;
      const std::string shown = !fixed ? "" : fallback.empty() ? " = ..." : " = " + fallback;
      std::printf("  %-15s   %s%s: %s\n", "", key.c_str(), shown.c_str(), help.c_str());
    }
    std::fflush(stdout);
  }
  std::cout << '\n';
}

std::string bar(std::size_t count, std::size_t largest) {
  constexpr std::size_t kWidth = 8;
  const std::size_t filled = largest == 0 ? 0 : (count * kWidth + largest - 1) / largest;
  return std::string(filled, '#') + std::string(kWidth - filled, '.');
}

using Counts = std::vector<std::vector<std::uint64_t>>;  // of each node's training samples, by class

/// Column titles: the classes' names, shortened, or their numbers.
std::string class_title(const Schema& schema, std::size_t c) {
  constexpr std::size_t kWidth = 8;
  return schema.classes.empty() ? "class " + std::to_string(c) : schema.classes[c].substr(0, kWidth);
}

void print_shards(const Counts& counts, const std::vector<std::size_t>& sizes, const Dataset& example) {
  std::uint64_t largest = 0;
  for (const auto& of_node : counts)
    for (const std::uint64_t count : of_node) largest = std::max(largest, count);
  std::printf("%6s %9s", "node", "samples");
  for (int c = 0; c < example.classes(); ++c) std::printf(" %8s", class_title(example.schema, c).c_str());
  std::printf("\n");
  for (std::size_t i = 0; i < counts.size(); ++i) {
    std::printf("%6zu %9zu", i, sizes[i]);
    for (const std::uint64_t count : counts[i]) std::printf(" %8llu", static_cast<unsigned long long>(count));
    std::printf("\n");
    if (example.classes() == 0) continue;
    std::printf("%16s", "");
    for (const std::uint64_t count : counts[i]) std::printf(" %s", bar(count, largest).c_str());
    std::printf("\n");
  }
}

void print_data(const Spec& spec, const RunData& data) {
  const Counts& counts = data.class_counts();
  const Dataset& example = data.example();
  std::printf("%s: %zu training samples, %zu test samples", spec.dataset.c_str(), data.train_samples(),
              data.test_samples());
  if (data.groups_to_test() > 0) std::printf(" (%zu whole groups)", data.groups_to_test());
  std::printf(", %d features, %d %s\n", example.features(), example.classes(),
              example.multi_label() ? "labels" : "classes");
  const std::size_t nodes = counts.size();
  if (spec.own_data())
    std::printf("each of %zu nodes reads its own: %s\n\n", nodes, spec.data.c_str());
  else if (data.samples_moved() > 0)
    std::printf("%s over %d devices, %s: %llu samples left their device, %.1f MB as stored\n\n", spec.partition.c_str(),
                data.devices(), spec.placement.c_str(), static_cast<unsigned long long>(data.samples_moved()),
                static_cast<double>(data.raw_bytes_moved()) / 1e6);
  else
    std::printf("%s over %zu nodes\n\n", spec.partition.c_str(), nodes);
  print_shards(counts, data.shard_sizes(), example);
  for (const std::string& note : data.notes()) std::printf("\nnote: %s\n", note.c_str());
  if (spec.own_data() || !data.everything()) return;
  Partition partition;
  for (NodeId i = 0; i < static_cast<NodeId>(nodes); ++i) partition.push_back(data.shard(i).rows);
  std::printf("\n%zu of %zu samples held; disjoint and complete: %s\n", data.train_samples(), data.everything()->size(),
              disjoint_and_complete(partition, data.everything()->size()) ? "yes" : "NO");
}

std::string place_of(const mpi::Comm* world) {
  return world ? "rank " + std::to_string(world->rank()) + " on " + host_name() : host_name();
}

/// An argument a line.
std::string text_of(const Arguments& arguments) {
  std::string text;
  for (const std::string& argument : arguments) text += argument + '\n';
  return text;
}

}  // namespace

void list_command(const Arguments& arguments) {
  po::options_description options;
  if (!parse(arguments, options, {}, "ecl list", "ecl list")) return;
  const Graph pair(2, {{0, 1}}, "pair");
  const float origin[1] = {0};
  const Dataset sample(1, 2, std::vector<float>{0, 1}, {0, 1});
  const DatasetRequest nowhere{"/nonexistent", 2, 1};  // files are not read for a list
  print_registry("solvers (--solver NAME --set KEY=VALUE)", solvers(), [&](const auto& entry, Params& params, NodeId) {
    entry.make({pair, 0, origin, 1.0, 8}, params);
  });
  print_registry("topologies (--topology NAME:VALUE,...)", topologies(),
                 [](const auto& entry, Params& params, NodeId nodes) { entry.make(nodes, 1, params); });
  print_registry("models (--model NAME)", models(), [](const auto& entry, Params& params, NodeId) {
    entry.make({3, 2}, params);
  });
  print_registry("data sets (--dataset NAME:KEY=VALUE,... --data DIR)", datasets(),
                 [&](const auto& entry, Params& params, NodeId) { entry.make(nowhere, params); });
  print_registry("partitions (--partition NAME:VALUE,...)", partitions(),
                 [&](const auto& entry, Params& params, NodeId) { entry.make(sample, 2, 1, params); });
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

void data_command(const Arguments& arguments, const mpi::Comm* world) {
  Spec spec;
  std::optional<NodeId> given;
  po::options_description options("Options");
  options.add_options()("dataset", po::value(&spec.dataset)->default_value(spec.dataset), "as for ecl train")(
      "data", po::value(&spec.data), "directory or file; with {node} in it, under mpirun each rank reads its own")(
      "test", po::value(&spec.test), "as for ecl train")("partition", po::value(&spec.partition), "as for ecl train")(
      "placement", po::value(&spec.placement)->default_value(spec.placement), "as for ecl train")(
      "devices", po::value(&spec.devices)->default_value(spec.devices), "as for ecl train")(
      "nodes,n", po::value<NodeId>()->notifier([&](NodeId n) { given = n; }),
      "number of nodes; else what mpirun, or --placement and --devices say, or 8")(
      "seed", po::value(&spec.seed)->default_value(spec.seed), "of the split")("loss", po::value(&spec.loss),
                                                                               "as for ecl train: what the labels are");
  std::string partition;
  std::swap(partition, spec.partition);
  const bool first = !world || world->rank() == 0;
  std::optional<MpiSites> ranks;
  if (world) ranks.emplace(*world);
  LocalSites one;
  Sites& sites = world ? static_cast<Sites&>(*ranks) : one;
  bool wanted = true;
  sites.together([&] { wanted = parse(arguments, options, {}, "ecl data", first ? "ecl data" : ""); });
  if (!wanted) return;
  agree_on_settings(sites, place_of(world), text_of(arguments));
  if (spec.partition.empty()) spec.partition = is_pattern(spec.data, "--data") ? "own" : partition;
  if (given && *given < 1) throw Error("-n " + std::to_string(*given) + " is not at least 1");
  const bool on_ranks = world && world->size() > 1;
  spec.simulated = !on_ranks;
  if (on_ranks && given && *given != world->size())
    throw Error("-n " + std::to_string(*given) + ": mpirun has started " + std::to_string(world->size()) + " nodes");
  const NodeId nodes =
      on_ranks ? world->size() : given.value_or(Placement(spec.placement, spec.devices).nodes(spec.nodes));
  check(spec);
  partitions().find(Choice::parse(spec.partition).name);
  if (!on_ranks) {
    const RunData data(spec, nodes, one, std::nullopt);
    return print_data(spec, data);
  }
  const NodeId rank = world->rank();
  const RunData data(spec, nodes, sites, rank);
  if (rank == 0) print_data(spec, data);
}

}  // namespace ecl
