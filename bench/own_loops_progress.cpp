// What moves messages within long gradients of a training loop of one's own, and what that costs: calls between steps
// only, ecl_exchange() a hundred times in a gradient as between layers, or the helper thread (progress=thread). Two
// ranks; bench/own_loops starts it.
//
//     own_loops_progress calls|layers|thread MS0 MS1 STEPS    gradients of rank 0 and 1 take so many milliseconds
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "bench/own_loops.hpp"
#include "ecl/c/ecl.h"

using namespace own_loops;

namespace {

double processor_ms() { return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double figure(const ecl_node* node, const char* name) {
  double value = 0;
  must(ecl_figure(node, name, &value));
  return value;
}

/// In a hundred parts.
void compute(double ms, ecl_node* node, bool layers) {
  const double start = now_ms();
  for (int part = 1; part <= 100 && ms > 0; ++part) {
    volatile double work = 1;
    while (now_ms() < start + ms * part / 100) work = work * 1.0000001;
    if (layers) must(ecl_exchange(node));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const std::string way = argv[1];
  must(ecl_init());
  const double ms = std::atof(argv[2 + ecl_rank()]);
  const int steps = std::atoi(argv[4]);
  auto* x = static_cast<float*>(std::aligned_alloc(64, kParameters * sizeof(float)));
  std::fill(x, x + kParameters, 0.0f);
  const std::vector<float> gradient(kParameters, 1e-3f);
  const char* const options[] = {"lr=0.01", way == "thread" ? "progress=thread" : "progress=calls", nullptr};
  ecl_node* node = nullptr;
  must(ecl_open(ECL_COMM_WORLD, options, x, kParameters, &node));
  std::vector<double> times;
  const double begun_ms = processor_ms();
  const int own_steps = ecl_rank() == 0 ? steps : static_cast<int>(steps * std::atof(argv[2]) / std::max(ms, 1e-3));
  for (int step = 0; step < (ms > 0 ? own_steps : steps); ++step) {
    const double start = now_ms();
    must(ecl_begin(node));
    compute(ms, node, way == "layers");
    must(ecl_step(node, gradient.data()));
    times.push_back(now_ms() - start);
  }
  std::sort(times.begin(), times.end());
  const double count = static_cast<double>(times.size());
  std::printf(
      "%-6s  rank %d  gradient %4.0f ms  step: least %6.1f ms, median %6.1f ms, processor %6.1f ms  "
      "exchanges %5.1f  messages taken %4.1f\n",
      way.c_str(), ecl_rank(), ms, times.front(), times[times.size() / 2], (processor_ms() - begun_ms) / count,
      figure(node, "rounds") / count, figure(node, "messages_taken") / count);
  std::fflush(stdout);
  must(ecl_close(node));
  must(ecl_finalise());
}
