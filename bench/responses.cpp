// What one prediction takes, as ecl predict makes it: a row at a time, by the model that a run has left, warm, on one
// core. Prints microseconds, a line for each row.
//   responses RUN ROWS
// bench/architectures.py adds the way to where the model is.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/inference/measures.hpp"
#include "ecl/inference/predictor.hpp"

namespace {

using namespace ecl;

constexpr int kTries = 20;  // of each row: the least is its own time, not that of who else wants the core

double microseconds(Predictor& predictor, const Dataset& row, std::vector<float>& probabilities) {
  using Clock = std::chrono::steady_clock;
  double least = 1e300;
  for (int n = 0; n < kTries; ++n) {
    const Clock::time_point start = Clock::now();
    const float* logits = predictor.outputs(row);
    std::copy(logits, logits + predictor.classes(), probabilities.begin());
    softmax(probabilities.data(), predictor.classes());
    least = std::min(least, std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  return least;
}

void measure(const std::string& run, std::size_t rows) {
  Predictor predictor(read_model(model_folder(run)));
  const Dataset tests = load_dataset(Choice::parse(predictor.trained().dataset), {"", 1, 1}).test;
  std::vector<Dataset> singles;
  for (std::size_t n = 0; n < std::min(rows, tests.size()); ++n)
    singles.push_back(tests.subset(std::vector{static_cast<std::int32_t>(n)}));
  std::vector<float> probabilities(predictor.classes());
  for (const Dataset& row : singles) microseconds(predictor, row, probabilities);
  for (const Dataset& row : singles) std::printf("%.3f\n", microseconds(predictor, row, probabilities));
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: responses RUN ROWS\n");
    return 2;
  }
  measure(argv[1], std::stoul(argv[2]));
  return 0;
} catch (const Error& error) {
  std::fprintf(stderr, "responses: %s\n", error.what());
  return static_cast<int>(error.code());
}
