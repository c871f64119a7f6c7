// What a step of a training loop of one's own costs through the C interface: a million parameters, a gradient that is
// there already, one exchange a round. bench/own_loops starts it, beside the same from Python.
#include "bench/own_loops.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "ecl/c/ecl.h"

using namespace own_loops;

namespace {

constexpr int kSteps = 400;

}  // namespace

int main() {
  must(ecl_init());
  auto* x = static_cast<float*>(std::aligned_alloc(64, kParameters * sizeof(float)));
  std::fill(x, x + kParameters, 0.0f);
  const std::vector<float> gradient(kParameters, 1e-3f);
  const char* const options[] = {"exchanges=1", "lr=0.01", nullptr};
  ecl_node* node = nullptr;
  must(ecl_open(ECL_COMM_WORLD, options, x, kParameters, &node));
  std::vector<double> times;
  for (int step = 0; step < kSteps; ++step) {
    const double start = now_ms();
    must(ecl_begin(node));
    must(ecl_step(node, gradient.data()));
    times.push_back(now_ms() - start);
  }
  std::sort(times.begin(), times.end());
  if (ecl_rank() == 0)
    std::printf("ecl_begin, ecl_step\tleast %.2f ms\tmedian %.2f ms\n", times.front(), times[kSteps / 2]);
  must(ecl_close(node));
  must(ecl_finalise());
}
