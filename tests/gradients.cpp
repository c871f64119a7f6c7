// For loops that are not ecl's, the gradients that ecl's own model has: gradients CONFIG.INI NODE writes the first
// model of the run, then reads a model (floats, as in memory) and writes the gradient of the node's next batch, again
// and again.
#include <cstdio>
#include <cstdlib>

#include "ecl/run/experiment.hpp"
#include "ecl/tool/options.hpp"

namespace {

void write(ecl::CVec values) {
  std::fwrite(values.data(), sizeof(float), values.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return EXIT_FAILURE;
  // A directory, which nobody makes: runs that keep each node's model name one.
  const ecl::Spec spec = ecl::read_options("simulate", {"--config", argv[1], "--out", "nowhere"}).spec;
  const int node = std::atoi(argv[2]);
  ecl::LocalSites sites;
  const ecl::Experiment experiment(spec, spec.nodes, sites);
  ecl::Batches batches = experiment.make_batches(node);
  ecl::Batch batch;
  ecl::Floats x(experiment.initial.begin(), experiment.initial.end()), gradient(x.size());
  write(x);
  while (std::fread(x.data(), sizeof(float), x.size(), stdin) == x.size()) {
    batches.next(batch);
    experiment.model->gradient(x, batch, gradient);
    for (float& g : gradient) g *= batches.shard().weight;
    write(gradient);
  }
  return EXIT_SUCCESS;
}
