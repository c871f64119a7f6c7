// Speed of a model on one core. Prints images per second of gradient and step together, the best of several spells:
//   models MODEL CHANNELS HEIGHT WIDTH BATCH SECONDS
//   models product SECONDS      GFLOP/s of a 1024 x 1024 matrix product
// bench/models.py runs it beside PyTorch.
#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"
#include "ecl/contracts/model.hpp"

namespace {

using namespace ecl;

constexpr int kSpells = 5;

/// Seconds that one call takes: the least of kSpells means.
template <class Call>
double seconds_per(Call call, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  call(), call();
  double best = seconds;
  for (int spell = 0; spell < kSpells; ++spell) {
    const Clock::time_point start = Clock::now();
    int calls = 0;
    do call(), ++calls;
    while (since(start) < seconds / kSpells);
    best = std::min(best, since(start) / calls);
  }
  return best;
}

double images_per_second(const std::string& name, const ImageShape& image, int rows, double seconds) {
  const Choice choice = Choice::parse(name);
  Params params = models().params(choice);
  const int pixels = image.channels * image.height * image.width;
  const auto model = models().find(choice.name).make({pixels, 10, image}, params);
  params.finish();
  Floats x(model->dim()), g(model->dim());
  Random random(1, Purpose::initial_model);
  model->init(x, random);
  Batch batch;
  for (int i = 0; i < rows * pixels; ++i) batch.features.push_back(static_cast<float>(random.uniform() - 0.5));
  for (int n = 0; n < rows; ++n) batch.labels.push_back(n % 10);
  const auto step = [&] {
    model->gradient(x, batch, g);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] -= 0.001f * g[i];
  };
  return rows / seconds_per(step, seconds);
}

double gigaflops(double seconds) {
  constexpr int kSize = 1024;
  const Eigen::MatrixXf a = Eigen::MatrixXf::Random(kSize, kSize), b = Eigen::MatrixXf::Random(kSize, kSize);
  Eigen::MatrixXf c(kSize, kSize);
  return 2e-9 * kSize * kSize * kSize / seconds_per([&] { c.noalias() = a * b; }, seconds);
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 2 && words[0] == "product") {
    std::printf("%.1f\n", gigaflops(std::stod(words[1])));
  } else if (words.size() == 6) {
    const ImageShape image{std::stoi(words[1]), std::stoi(words[2]), std::stoi(words[3])};
    std::printf("%.1f\n", images_per_second(words[0], image, std::stoi(words[4]), std::stod(words[5])));
  } else {
    std::fprintf(stderr, "usage: models MODEL CHANNELS HEIGHT WIDTH BATCH SECONDS, or models product SECONDS\n");
    return 2;
  }
  return 0;
} catch (const Error& error) {
  std::fprintf(stderr, "models: %s\n", error.what());
  return static_cast<int>(error.code());
}
