// A LibTorch module under ecl: the convolutional network, trained as torch's and as ecl's own, has one loss curve.
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/models/torch_model.hpp"

namespace ecl {
namespace {

struct LeNet : torch::nn::Module {
  LeNet() {
    register_module("conv1", conv1), register_module("norm1", norm1);
    register_module("conv2", conv2), register_module("norm2", norm2);
    register_module("fc1", fc1), register_module("fc2", fc2), register_module("fc3", fc3);
  }
  torch::Tensor forward(torch::Tensor x) {
    x = torch::max_pool2d(torch::relu(norm1(conv1(x))), 2);
    x = torch::max_pool2d(torch::relu(norm2(conv2(x))), 2);
    return fc3(torch::relu(fc2(torch::relu(fc1(x.flatten(1))))));
  }
  torch::nn::Conv2d conv1{torch::nn::Conv2dOptions(1, 6, 5)}, conv2{torch::nn::Conv2dOptions(6, 16, 5)};
  torch::nn::GroupNorm norm1{torch::nn::GroupNormOptions(2, 6)}, norm2{torch::nn::GroupNormOptions(2, 16)};
  torch::nn::Linear fc1{256, 120}, fc2{120, 84}, fc3{84, 10};
};

std::unique_ptr<Model> torchs() {
  torch::manual_seed(1);
  auto module = std::make_shared<LeNet>();
  return std::make_unique<TorchModel>(
      module, [module](const auto& x) { return module->forward(x); }, ImageShape{1, 28, 28});
}

std::unique_ptr<Model> ours() {
  Params params = models().params(Choice::parse("cnn"));
  return models().find("cnn").make({784, 10, {1, 28, 28}}, params);
}

/// Ten classes of noisy pictures: a bright square whose place tells the class.
Dataset pictures(std::size_t count) {
  Random random(3, Purpose::test);
  std::vector<float> values;
  std::vector<std::int32_t> labels;
  for (std::size_t n = 0; n < count; ++n) {
    labels.push_back(static_cast<std::int32_t>(n % 10));
    for (int y = 0; y < 28; ++y)
      for (int x = 0; x < 28; ++x) {
        const bool bright = y / 7 == labels.back() / 3 && x / 9 == labels.back() % 3;
        values.push_back(static_cast<float>((bright ? 1 : 0) + random.uniform() - 0.5));
      }
  }
  Dataset data(784, 10, std::move(values), std::move(labels));
  data.image = {1, 28, 28};
  return data;
}

TEST(Torch, TheSameNetworkHasTheSameLossCurve) {
  const Dataset data = pictures(200);
  const auto theirs = torchs(), own = ours();
  ASSERT_EQ(theirs->dim(), own->dim());
  const auto names = theirs->slices(), own_names = own->slices();
  ASSERT_EQ(names.size(), own_names.size());
  for (std::size_t s = 0; s < names.size(); ++s) {
    EXPECT_EQ(names[s].name, own_names[s].name);
    EXPECT_EQ(names[s].shape, own_names[s].shape);
  }
  std::vector<float> x(own->dim()), y, gx(x.size()), gy(x.size());
  Random random(1, Purpose::initial_model);
  theirs->init(x, random);
  y = x;
  double first = 0, last = 0;
  for (std::size_t step = 0; step < 100; ++step) {
    Batch batch;
    batch.features.resize(20 * 784);
    data.gather(step % 10 * 20, 20, batch.features.data());
    batch.labels.assign(data.labels().begin() + step % 10 * 20, data.labels().begin() + (step % 10 + 1) * 20);
    const double loss = theirs->gradient(x, batch, gx);
    EXPECT_NEAR(own->gradient(y, batch, gy), loss, 1e-4 * loss) << "step " << step;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] -= 0.02f * gx[i], y[i] -= 0.02f * gy[i];
    (step == 0 ? first : last) = loss;
  }
  EXPECT_LT(last, 0.5 * first);
  EXPECT_NEAR(theirs->score(x, data).loss, own->score(y, data).loss, 1e-4);
  EXPECT_EQ(theirs->score(x, data).accuracy, own->score(y, data).accuracy);
}

TEST(Torch, RefusesBatchNorm) {
  auto module = std::make_shared<torch::nn::BatchNorm2dImpl>(4);
  EXPECT_THROW(TorchModel(module, [module](const auto& x) { return module->forward(x); }, {4, 2, 2}), Error);
}

}  // namespace
}  // namespace ecl
