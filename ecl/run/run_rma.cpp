#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ecl/base/build.hpp"
#include "ecl/base/host.hpp"
#include "ecl/base/params.hpp"
#include "ecl/data/agreement.hpp"
#include "ecl/mpi/hosts.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/run/directory/keepers.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/directory/run_lock.hpp"
#include "ecl/run/directory/saved_models.hpp"
#include "ecl/run/lost_ranks.hpp"
#include "ecl/run/mpi_sites.hpp"
#include "ecl/run/rank_run.hpp"
#include "ecl/run/run.hpp"
#include "ecl/run/summary.hpp"
#include "ecl/termination/survivors.hpp"

namespace ecl {
namespace {

std::string place_of(const mpi::Comm& comm) { return "rank " + std::to_string(comm.rank()) + " on " + host_name(); }

/// What the ranks make together, and so must take apart together.
struct Job {
  explicit Job(const mpi::Comm& parent) : hosts(parent), survivors(parent, hosts), comm(parent.duplicate()) {}

  /// Opens the run's directory, one on each file system: makes a new run's. Collective.
  void open_directories(const Spec& spec);

  const mpi::Hosts hosts;
  Survivors survivors;
  mpi::Comm comm;
  Keepers keepers;
  std::unique_ptr<RunDirectory> directory;  ///< of a keeper, and of rank 0
  std::optional<RunLock> lock;
  std::unique_ptr<Experiment> experiment;
  std::optional<RankRun> run;
};

/// While any of the ranks lives, no other job trains there.
void Job::open_directories(const Spec& spec) {
  const auto open = [&] {
    directory = std::make_unique<RunDirectory>(spec, comm.size());
    lock.emplace(spec.out);
  };
  const auto at_this_rank = [&](auto task) {
    try {
      task();
    } catch (const Error& error) {
      if (comm.rank() == 0) throw;
      throw Error(place_of(comm) + ": " + error.what(), error.code());
    }
  };
  comm.together([&] {
    if (hosts.here().rank() == 0) at_this_rank([&] { RunDirectory::check(spec); });
    if (comm.rank() == 0 && !spec.trace.empty()) check_trace_path(spec.trace, spec.out);
  });
  if (!spec.out.empty())
    keepers = Keepers(comm, hosts, spec.out, [&] { at_this_rank(open); });
  else if (comm.rank() == 0)
    open();
  comm.together([&] {
    if (lock) lock->share();
  });
  comm.together([&] {
    if (!lock) at_this_rank([&] { lock.emplace(spec.out, RunLock::Kind::shared); });
  });
}

/// What must be the same on all ranks. Data of each rank's own may lie anywhere.
std::string settings_of(const Spec& spec) {
  std::string text = "ecl " + version() + "\n";
  for (const std::string& line : split(spec.config, '\n'))
    if (!spec.own_data() || line.rfind("data = ", 0) != 0) text += line + '\n';
  text += "out = " + spec.out + "\nexchange = " + spec.exchange + "\ntrace = " + spec.trace + '\n';
  for (const auto& [name, given] :
       {std::pair{"resume", spec.resume}, std::pair{"record", spec.record}, std::pair{"dry-run", spec.dry_run}})
    if (given) text += std::string(name) + '\n';
  return text;
}

/// Collective. Throws what Comm::together throws, on every rank.
Exit carry_out(Job& job, const Spec& spec) {
  Survivors& survivors = job.survivors;
  mpi::Comm& comm = job.comm;
  std::unique_ptr<Experiment>& experiment = job.experiment;
  comm.watch([&] {  // outside the training loop there is no going on
    for (const int rank : survivors.newly_dead()) give_up(comm, survivors, spec, rank);
  });
  MpiSites sites(comm);
  agree_on_settings(sites, place_of(comm), settings_of(spec));
  if (spec.resume) job.open_directories(spec);
  experiment = std::make_unique<Experiment>(spec, comm.size(), sites, comm.rank());
  if (spec.dry_run && comm.rank() == experiment->largest_node()) std::cout << experiment->footprint();
  if (spec.dry_run) return Exit::ok;
  if (spec.verbose && comm.rank() == 0)
    std::cerr << "MPI       " << mpi::library_version() << (mpi::oversubscribed() ? ", more ranks than cores" : "")
              << '\n'
              << experiment->describe();
  RankRun& run = job.run.emplace(comm, survivors, *experiment);
  if (spec.resume) {
    run.resume();
    if (run.checkpoint() == 0 && comm.rank() == 0) std::cerr << no_checkpoint_yet(spec.out);
  }

  if (!spec.resume) job.open_directories(spec);  // last of all: whatever is refused leaves nothing behind
  run.keep_by(job.keepers);
  const std::vector<std::string> hosts = sites.gather({host_name()});
  comm.together([&] {
    if (job.directory) job.directory->begin(*experiment, hosts, run.checkpoint_s());
  });
  std::unique_ptr<Recorder> recorder;
  comm.together([&] {
    write_own_inputs(*experiment);
    if (comm.rank() != 0) return;
    recorder = std::make_unique<Recorder>(job.directory->path("metrics.csv"), run.rows_written());
    run.write_to(*recorder, *job.directory);
  });
  if (spec.record) comm.together([&] { run.record(spec.out); });
  run.train();
  const Summary summary = run.summary(sites);
  comm.together([&] {
    run.check_written();
    write_node_model(*experiment, comm.rank(), run.model());
  });
  comm.together([&] {
    if (comm.rank() != 0) {
      if (job.directory) job.directory->write_model(*experiment, run.mean());
      return;
    }
    job.directory->finish(summary, *experiment, run.mean(), run.checkpoint());
    print(std::cout, std::cerr, summary, *experiment);
  });
  if (!spec.trace.empty()) {
    const auto nodes = run.gather_trace();
    comm.together([&] {
      if (comm.rank() == 0) finish_trace(*experiment, nodes);
    });
  }
  return summary.exit_code();
}

}  // namespace

Exit run_rma(const mpi::Comm& parent, const Spec& spec) {
  if (spec.resume && spec.nodes != parent.size())
    throw Error("--resume " + spec.out + ": that run has " + std::to_string(spec.nodes) +
                " nodes; go on with mpirun -n " + std::to_string(spec.nodes));
  std::optional<Error> error;  // of all ranks: they free their windows first, without which MPICH does not end well
  {
    Job job(parent);
    try {
      return carry_out(job, spec);
    } catch (const Error& agreed) {
      error = agreed;
    }
  }
  throw *error;
}

}  // namespace ecl
