#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "ecl/base/build.hpp"
#include "ecl/base/check.hpp"
#include "ecl/c/ecl.h"
#include "ecl/c/guarded.hpp"
#include "ecl/c/rank_node.hpp"
#include "ecl/mpi/session.hpp"

/// The functions of ecl.h: what C knows, turned into what C++ knows, and exceptions into codes.

struct ecl_node {  // NOLINT(readability-identifier-naming): of C
  ecl::RankNode part;
  mutable std::exception_ptr helpers_error;  ///< for the next call
};

namespace {

using ecl::c::given;
using ecl::c::guarded;
using ecl::c::require_unbroken;

thread_local std::string last_error;

void look_after_nodes() noexcept;

/// MPI and the open nodes of this process: its host language has only one.
struct Process {
  std::optional<ecl::mpi::Session> session;
  std::optional<ecl::mpi::Comm> world;
  std::vector<std::unique_ptr<ecl_node>> nodes;  ///< in the order of opening, which is that of all ranks
  /// Why the ranks cannot go on, nor leave MPI together. What the call that found it left under way has nowhere to
  /// arrive: nothing is to move MPI any more.
  std::optional<ecl::Error> broken;
  ecl::Helper helper{look_after_nodes};
  pid_t id = 0;  ///< of the process that started MPI

  bool forked_off() const { return world && id != getpid(); }
};

Process& process() {
  static Process* const the_one = new Process;  // never destroyed: MPI has ended by then, or is not to be touched
  return *the_one;
}

/// What the helper does.
void look_after_nodes() noexcept {
  if (process().broken) return;
  for (const auto& node : process().nodes) {
    if (!node->part.helped() || node->helpers_error) continue;
    try {
      node->part.exchange();
    } catch (...) {
      node->helpers_error = std::current_exception();
    }
  }
}

void start_helper() {
  static const bool once = (ecl::mpi::before_end([] { process().helper.stop(); }), true);
  static_cast<void>(once);
  process().helper.start();
}

/// Whether all ranks end with the one that has this error.
bool ends_all(const ecl::Error& error) {
  return error.code() == ecl::Exit::rank_lost || error.code() == ecl::Exit::internal;
}

/// A call that uses MPI, or a node: it has the turn.
template <class Call>
int in_turn(Call call) {
  return guarded([&] {
    const auto turn = ecl::c::turn();
    try {
      call();
    } catch (const ecl::Error& error) {
      if (ends_all(error) && !process().broken) process().broken = error;
      throw;
    }
  });
}

/// A call on an open node.
template <class Call>
int on(const ecl_node* node, Call call) {
  return in_turn([&] {
    if (!node) throw ecl::Error("the node is a null pointer; ecl_open() makes one");
    require_unbroken();
    if (node->helpers_error) std::rethrow_exception(std::exchange(node->helpers_error, nullptr));
    call();
  });
}

const ecl::mpi::Comm& world() {
  if (!process().world) throw ecl::Error("MPI does not run yet; call ecl_init() first");
  return *process().world;
}

void close(std::vector<std::unique_ptr<ecl_node>>::iterator node) {
  if (process().broken || ecl::mpi::has_ended()) {
    static_cast<void>(node->release());  // freeing is collective, and others may never come
    process().nodes.erase(node);
    return;
  }
  if ((*node)->helpers_error) std::rethrow_exception(std::exchange((*node)->helpers_error, nullptr));
  (*node)->part.leave();
  process().nodes.erase(node);
}

}  // namespace

int ecl::c::fail(const std::string& what, Exit code) {
  last_error = what;
  return static_cast<int>(code);
}

ecl::Helper::Turn ecl::c::turn() {
  if (process().forked_off())
    throw Error("this process was forked off one that uses MPI, and is no rank: only its parent may call this");
  return process().helper.turn();
}

void ecl::c::require_unbroken() {
  if (process().broken) throw *process().broken;
}

const char* ecl_error(void) { return last_error.c_str(); }

const char* ecl_version(void) {
  static const std::string text = ecl::version();
  return text.c_str();
}

int ecl_c_version(void) { return ECL_C_VERSION_MAJOR << 16 | ECL_C_VERSION_MINOR; }

const char* ecl_mpi(void) {
  static const std::string text = ecl::mpi::library_version();
  return text.c_str();
}

int ecl_init(void) {
  return guarded([] {
    if (process().world) return;
    if (!process().session) process().session.emplace();
    process().id = getpid();
    process().world.emplace(ecl::mpi::Comm::world());
  });
}

int ecl_finalise(void) {
  if (process().forked_off()) return ECL_OK;
  return in_turn([] {
    Process& all = process();
    if (!all.world) return;
    all.helper.stop();
    if (ecl::mpi::has_ended()) {  // by who started it: nothing of MPI may be touched any more
      for (auto& node : all.nodes) static_cast<void>(node.release());
      all.nodes.clear();
      static_cast<void>(new ecl::mpi::Comm(std::move(*all.world)));
      all.world.reset();
      return;
    }
    while (!all.nodes.empty() && !all.broken) close(all.nodes.begin());
    if (all.broken)
      throw ecl::Error(std::string("this rank cannot leave in good order: ") + all.broken->what(),
                       ecl::Exit::rank_lost);
    all.world.reset();
    all.session.reset();
  });
}

void ecl_abort(int code) {
  if (process().forked_off()) std::_Exit(code);
  const auto turn = process().helper.last_turn();
  ecl::mpi::abort_job(code);
}

int ecl_rank(void) { return process().world ? process().world->rank() : 0; }
int ecl_size(void) { return process().world ? process().world->size() : 1; }

int ecl_gather(const void* mine, size_t bytes, void* all) {
  return in_turn([&] {
    require_unbroken();
    if (bytes == 0) return;
    const char& first = given(static_cast<const char*>(mine), "mine");
    world().gather_all(&first, bytes, &given(static_cast<char*>(all), "all"));
  });
}

int ecl_neighbours(const char* topology, int nodes, uint64_t seed, int node, int* neighbours, size_t room,
                   size_t* count) {
  return guarded([&] {
    if (nodes < 1 || node < 0 || node >= nodes)
      throw ecl::Error("node " + std::to_string(node) + " is none of " + std::to_string(nodes) + " nodes");
    const ecl::Graph graph = ecl::make_graph(ecl::Choice::parse(&given(topology, "topology")), nodes, seed);
    std::size_t found = 0;
    for (const ecl::HalfEdge& edge : graph.edges(node)) {
      if (!edge.receives) continue;
      if (found < room) (&given(neighbours, "neighbours"))[found] = edge.peer;
      ++found;
    }
    given(count, "count") = found;
  });
}

int ecl_open(int comm, const char* const* options, float* x, size_t dim, ecl_node** node) {
  return in_turn([&] {
    ecl_node*& result = given(node, "node");
    result = nullptr;
    require_unbroken();
    const ecl::mpi::Comm& all = world();
    if (comm == ECL_COMM_WORLD) ecl::mpi::check_joined(all);
    std::vector<std::string> settings;
    for (; options && *options; ++options) settings.emplace_back(*options);
    const ecl::Vec model = x ? ecl::Vec(x, dim) : ecl::Vec();
    std::optional<ecl::mpi::Comm> handed_over;
    if (comm != ECL_COMM_WORLD) handed_over.emplace(ecl::mpi::comm_of_fortran(comm));
    std::unique_ptr<ecl_node> opened(new ecl_node{ecl::RankNode(handed_over ? *handed_over : all, model), nullptr});
    try {
      opened->part.open(settings);
    } catch (const ecl::Error& error) {
      if (!ends_all(error)) opened.reset(), handed_over.reset();  // it is of all ranks: they free together
      throw;
    }
    process().nodes.push_back(std::move(opened));
    result = process().nodes.back().get();
    if (result->part.helped()) start_helper();
  });
}

int ecl_begin(ecl_node* node) {
  return on(node, [&] { node->part.begin(); });
}

int ecl_step(ecl_node* node, const float* gradient) {
  return on(node, [&] { node->part.step({&given(gradient, "gradient"), node->part.dim()}); });
}

int ecl_exchange(ecl_node* node) {
  return on(node, [&] { node->part.exchange(); });
}

int ecl_set_lr(ecl_node* node, double lr) {
  return on(node, [&] { node->part.set_learning_rate(lr); });
}

int ecl_settle(ecl_node* node, double* error) {
  return on(node, [&] {
    const double found = node->part.settle();
    if (error) *error = found;
  });
}

int ecl_average(ecl_node* node, float* values, size_t count) {
  return on(node, [&] { node->part.average(count ? ecl::Vec(&given(values, "values"), count) : ecl::Vec()); });
}

int ecl_save(ecl_node* node, const void** state, size_t* bytes) {
  return on(node, [&] {
    const std::string& saved = node->part.save();
    given(state, "state") = saved.data();
    given(bytes, "bytes") = saved.size();
  });
}

int ecl_load(ecl_node* node, const void* state, size_t bytes) {
  return on(node, [&] { node->part.load({static_cast<const char*>(state), state ? bytes : 0}); });
}

int ecl_figure(const ecl_node* node, const char* name, double* value) {
  return on(node, [&] { given(value, "value") = node->part.figure(&given(name, "name")); });
}

int ecl_close(ecl_node* node) {
  return in_turn([&] {
    auto& nodes = process().nodes;
    const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const auto& one) { return one.get() == node; });
    if (node && found == nodes.end()) throw ecl::Error("this node is not open");
    if (node) close(found);
  });
}
