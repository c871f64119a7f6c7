// The layers of ecl/models/layers: gradients in double, oneDNN's convolutions against plain loops, and PyTorch's
// losses.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <memory>
#include <numeric>
#include <ostream>
#include <string>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/models/layers/objective.hpp"
#include "ecl/models/network.hpp"

namespace ecl::layers {
namespace {

/// Numbers first, first + 1, ... of the sequence that torch_reference.py draws from, too.
template <class T>
std::vector<T> noise(std::uint64_t first, std::size_t count) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t h = (first + i) * 2654435761u & 0xFFFFFFFF;
    h ^= h >> 15;
    h = h * 2246822519u & 0xFFFFFFFF;
    h ^= h >> 13;
    values[i] = static_cast<T>(static_cast<double>(h) / 2147483648.0 - 1);
  }
  return values;
}

/// Parameters as torch_reference.py sets them.
template <class T>
std::vector<T> parameters(const std::vector<Slice>& slices) {
  std::vector<T> all;
  for (const Slice& slice : slices) {
    const double fan_in = static_cast<double>(slice.size()) / slice.shape[0];
    const bool matrix = slice.shape.size() > 1;
    const T scale = static_cast<T>(matrix ? std::sqrt(6 / fan_in) : 0.1);
    const T shift = !matrix && slice.name.ends_with("weight") ? T(1) : T(0);
    for (const T unit : noise<T>(all.size(), slice.size())) all.push_back(shift + scale * unit);
  }
  return all;
}

std::vector<std::int32_t> labels_of(int first, int count, int classes) {
  std::vector<std::int32_t> labels(count);
  for (int n = 0; n < count; ++n) labels[n] = 7 * (first + n) / 3 % classes;
  return labels;
}

struct Case {
  std::string name;
  Shape in;
  Architecture layers;
};

std::ostream& operator<<(std::ostream& out, const Case& it) { return out << it.name; }

/// Every layer, in odd shapes, between layers with parameters, so that its gradients in both directions count.
std::vector<Case> cases() {
  const Linear last{"last", 3};
  const Conv2d first{.name = "first", .outputs = 4, .kernel = 3, .padding = 1};
  return {
      {"linear", {1, 1, 7}, {Linear{"a", 5}, Relu{}, last}},
      {"convolutions",
       {7, 6, 2},
       {first, Conv2d{.name = "b", .outputs = 5, .kernel = 3, .stride = 2}, Flatten{}, last}},
      {"convolution_with_stride_and_padding",
       {7, 6, 3},
       {first, Conv2d{.name = "b", .outputs = 3, .kernel = 5, .stride = 2, .padding = 2, .bias = false}, Flatten{},
        last}},
      {"group_norm", {5, 4, 2}, {first, GroupNorm{"n", 2}, Flatten{}, last}},
      {"group_norm_of_one_group", {3, 3, 1}, {first, GroupNorm{"n", 1}, Relu{}, Flatten{}, last}},
      {"group_norm_of_many_channels",
       {3, 3, 1},
       {Conv2d{.name = "wide", .outputs = 36, .kernel = 1}, GroupNorm{"n", 9}, Relu{}, GlobalMeanPool{}, last}},
      {"max_pool", {7, 5, 2}, {first, MaxPool{2}, Flatten{}, last}},
      {"max_pool_of_three", {7, 6, 1}, {first, MaxPool{3}, Relu{}, Flatten{}, last}},
      {"global_mean_pool", {4, 5, 2}, {first, GlobalMeanPool{}, last}},
      {"channels_last", {4, 3, 3}, {ChannelsLast{}, first, Flatten{}, last}},
      {"residual",
       {4, 4, 4},
       {first, Residual{{first, GroupNorm{"n", 2}, Relu{}, first}, {}}, Relu{}, Flatten{}, last}},
      {"residual_with_shortcut",
       {6, 5, 2},
       {first,
        Residual{{Conv2d{.name = "b", .outputs = 6, .kernel = 3, .stride = 2, .padding = 1}, GroupNorm{"n", 3}},
                 {Conv2d{.name = "s", .outputs = 6, .kernel = 1, .stride = 2, .bias = false}}},
        Relu{}, GlobalMeanPool{}, last}},
  };
}

class Layers : public testing::TestWithParam<Case> {};

/// The largest difference of so many entries of dw to central differences of the loss, relative to the largest entry of
/// dw.
double gradient_error(Objective<double>& objective, const std::vector<double>& start, const std::vector<double>& x,
                      const Truth& truth, std::size_t entries) {
  constexpr double kStep = 1e-5;
  std::vector<double> w = start, dw(w.size()), unused(w.size());
  objective.gradient(w.data(), x.data(), truth, dw.data());
  const auto loss_at = [&](std::size_t i, double value) {
    w[i] = value;
    const double loss = objective.gradient(w.data(), x.data(), truth, unused.data());
    w[i] = start[i];
    return loss;
  };
  double error = 0, largest = 0;
  const std::size_t stride = std::max<std::size_t>(1, w.size() / entries);
  for (std::size_t i = 0; i < w.size(); i += stride) {
    const double slope = (loss_at(i, start[i] + kStep) - loss_at(i, start[i] - kStep)) / (2 * kStep);
    error = std::max(error, std::abs(slope - dw[i]));
    largest = std::max(largest, std::abs(dw[i]));
  }
  return error / largest;
}

TEST_P(Layers, GradientsMatchFiniteDifferencesInDouble) {
  const Case& it = GetParam();
  Objective<double> objective(it.name, it.layers, it.in);
  const auto w = parameters<double>(objective.slices());
  const auto x = noise<double>(w.size(), 5 * it.in.size());
  EXPECT_LT(gradient_error(objective, w, x, {labels_of(0, 5, 3)}, 300), 1e-7);
}

TEST(Losses, OfNumbersHaveTheGradientsOfFiniteDifferences) {
  const std::vector<std::int32_t> none(6, 0);
  const std::vector<float> targets = {0.3f, -2.5f, 4, 0, 1.2f, -0.7f};  // near and far, for both halves of huber
  for (const Loss loss : {Loss::mse, Loss::mae, Loss::huber}) {
    Objective<double> objective("mlp", {Linear{"fc1", 5}, Relu{}, Linear{"fc2", 1}}, {1, 1, 4}, loss);
    const auto w = parameters<double>(objective.slices());
    const auto x = noise<double>(w.size(), 6 * 4);
    EXPECT_LT(gradient_error(objective, w, x, {none, targets}, 100), 1e-7) << name_of(loss);
  }
}

TEST(Losses, OfLabelsHaveTheGradientsOfFiniteDifferences) {
  const std::vector<std::int32_t> none(4, 0);
  const std::vector<float> present = {1, 0, 0, 1, 1, 1, 0, 0}, weights = {1, 0.5f, 3, 0};
  for (const std::vector<float>& of_labels : {std::vector<float>(), {3, 0.25f}}) {
    Objective<double> objective("mlp", {Linear{"fc1", 5}, Relu{}, Linear{"fc2", 2}}, {1, 1, 3}, Loss::logistic,
                                of_labels);
    const auto w = parameters<double>(objective.slices());
    const auto x = noise<double>(w.size(), 4 * 3);
    EXPECT_LT(gradient_error(objective, w, x, {none, present}, 100), 1e-7);
    EXPECT_LT(gradient_error(objective, w, x, {none, present, weights}, 100), 1e-7);
  }
}

TEST(Losses, OfLabelsAreTorchs) {
  const std::vector<std::int32_t> none(2, 0);
  const std::vector<float> present = {1, 0, 0, 1};
  const std::vector<double> w = {1, -1, 0, 0.5}, x = {2, -300};  // logits 2 and -1.5, -300 and 300.5
  const double first = std::log1p(std::exp(-2.0)) + std::log1p(std::exp(-1.5));
  Objective<double> plain("linear", {Linear{"linear", 2}}, {1, 1, 1}, Loss::logistic),
      positive("linear", {Linear{"linear", 2}}, {1, 1, 1}, Loss::logistic, {7, 1});
  std::vector<double> dw(4);
  EXPECT_NEAR(plain.gradient(w.data(), x.data(), {none, present}, dw.data()), first / 2, 1e-12)
      << "torch.nn.BCEWithLogitsLoss(reduction='none')(...).sum(1).mean(); no large logit overflows";
  EXPECT_NEAR(dw[0], (1 / (1 + std::exp(-2.0)) - 1) * 2 / 2, 1e-12);
  EXPECT_NEAR(positive.gradient(w.data(), x.data(), {none, present}, dw.data()),
              (first + 6 * std::log1p(std::exp(-2.0))) / 2, 1e-12)
      << "pos_weight = [7, 1]";
  const auto score = plain.evaluate(w.data(), x.data(), {none, present});
  EXPECT_DOUBLE_EQ(score.hits, 2);
  const std::vector<float> others = {0, 0, 0, 1};
  EXPECT_DOUBLE_EQ(plain.evaluate(w.data(), x.data(), {none, others}).hits, 1.5) << "of four labels three";
  const std::vector<double> wrong = {1000, -1000, 0, 0};
  EXPECT_DOUBLE_EQ(plain.evaluate(wrong.data(), x.data(), {{none.data(), 1}, {others.data(), 2}}).loss, 2000);
}

TEST(Losses, OfClassesAreWeighted) {
  const Architecture layers = {Linear{"linear", 3}};
  Objective<double> plain("softmax", layers, {1, 1, 4}),
      weighted("softmax", layers, {1, 1, 4}, Loss::cross_entropy, {2, 0, 5});
  const auto w = parameters<double>(plain.slices());
  const auto x = noise<double>(w.size(), 4 * 4);
  const std::vector<std::int32_t> labels = {0, 1, 2, 2};
  EXPECT_LT(gradient_error(weighted, w, x, {labels}, 100), 1e-7);
  double expected = 0;
  std::vector<double> dw(w.size());
  for (int r = 0; r < 4; ++r)
    expected += std::vector<double>{2, 0, 5}[labels[r]] *
                plain.gradient(w.data(), x.data() + 4 * r, {{labels.data() + r, 1}}, dw.data());
  EXPECT_NEAR(weighted.gradient(w.data(), x.data(), {labels}, dw.data()), expected / 4, 1e-12);
  EXPECT_NEAR(weighted.evaluate(w.data(), x.data(), {labels}).loss, plain.evaluate(w.data(), x.data(), {labels}).loss,
              1e-12)
      << "as it is";
}

TEST(Losses, OfNumbersAreTorchs) {
  const std::vector<std::int32_t> none(3, 0);
  const std::vector<float> targets = {0, 2, -0.5f};
  const std::vector<double> w = {1, 0}, x = {0.5, 0, 0};  // outputs 0.5, 0, 0; errors 0.5, -2, 0.5
  for (const auto& [loss, expected] : {std::pair{Loss::mse, (0.25 + 4 + 0.25) / 3},
                                       {Loss::mae, (0.5 + 2 + 0.5) / 3},
                                       {Loss::huber, (0.125 + 1.5 + 0.125) / 3}}) {
    Objective<double> objective("linear", {Linear{"linear", 1}}, {1, 1, 1}, loss);
    std::vector<double> dw(2);
    EXPECT_NEAR(objective.gradient(w.data(), x.data(), {none, targets}, dw.data()), expected, 1e-12) << name_of(loss);
  }
}

/// Loss and gradient in float against double: oneDNN's convolutions against plain loops.
void expect_the_same(const Architecture& architecture, Shape in, int rows, int classes) {
  Objective<float> fast("model", architecture, in);
  Objective<double> exact("model", architecture, in);
  const auto w = parameters<float>(fast.slices());
  const std::vector<double> wd(w.begin(), w.end());
  const auto x = noise<float>(w.size(), rows * in.size());
  const std::vector<double> xd(x.begin(), x.end());
  const auto labels = labels_of(0, rows, classes);
  std::vector<float> dw(w.size());
  std::vector<double> dwd(w.size());
  EXPECT_NEAR(fast.gradient(w.data(), x.data(), {labels}, dw.data()),
              exact.gradient(wd.data(), xd.data(), {labels}, dwd.data()), 1e-5);
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < dw.size(); ++i) error += std::pow(dw[i] - dwd[i], 2), norm += dwd[i] * dwd[i];
  EXPECT_LT(std::sqrt(error / norm), 1e-5);
}

TEST_P(Layers, InFloatTheyAreTheSameFunction) { expect_the_same(GetParam().layers, GetParam().in, 7, 3); }

INSTANTIATE_TEST_SUITE_P(All, Layers, testing::ValuesIn(cases()), [](const auto& test) { return test.param.name; });

std::unique_ptr<Model> make(const std::string& choice, const ImageShape& image, Loss loss = Loss::cross_entropy) {
  const Choice chosen = Choice::parse(choice);
  Params params = models().params(chosen);
  auto model = models().find(chosen.name).make({image.channels * image.height * image.width, 10, image, loss}, params);
  params.finish();
  return model;
}

TEST(Models, GradientsMatchFiniteDifferencesInDouble) {
  for (const std::string name : {"softmax", "mlp:12,9", "cnn", "cnn:groups=0,channels=3/4,hidden=7", "resnet:8"}) {
    const auto model = make(name, {1, 16, 16});
    const auto& network = dynamic_cast<const Network&>(*model);
    const Shape in{16, 16, 1};
    Objective<double> objective(name, network.architecture(), in);
    ASSERT_EQ(objective.dim(), model->dim());
    const auto w = parameters<double>(objective.slices());
    const auto x = noise<double>(w.size(), 3 * in.size());
    EXPECT_LT(gradient_error(objective, w, x, {labels_of(0, 3, 10)}, 40), 1e-6) << name;
    expect_the_same(network.architecture(), in, 5, 10);
  }
}

TEST(Models, LearnLabelsThatAreThereOrNot) {
  for (const std::string name : {"linear", "mlp:12,9", "cnn", "resnet:8"}) {
    const auto model = make(name, {1, 16, 16}, Loss::logistic);
    const Shape in{16, 16, 1};
    Objective<double> objective(name, dynamic_cast<const Network&>(*model).architecture(), in, Loss::logistic);
    const auto w = parameters<double>(objective.slices());
    const auto x = noise<double>(w.size(), 3 * in.size());
    const std::vector<std::int32_t> none(3, 0);
    std::vector<float> present;
    for (int at = 0; at < 30; ++at) present.push_back(static_cast<float>(at % 7 < 3));
    EXPECT_LT(gradient_error(objective, w, x, {none, present}, 40), 1e-6) << name;
    const std::vector<float> wf(w.begin(), w.end());
    std::vector<float> dw(w.size());
    std::vector<double> dwd(w.size());
    const Batch batch{{x.begin(), x.end()}, none, {}, present};
    EXPECT_NEAR(model->gradient(wf, batch, dw), objective.gradient(w.data(), x.data(), {none, present}, dwd.data()),
                1e-4)
        << name;
  }
  EXPECT_THROW(make("softmax", {1, 16, 16}, Loss::logistic), Error);
}

TEST(Models, HaveTheNamesAndShapesOfTorchsLayers) {
  const auto model = make("cnn", {1, 28, 28});
  EXPECT_EQ(model->dim(), 44470u);
  std::string all;
  for (const Slice& slice : model->slices()) {
    all += slice.name + " ";
    for (const int extent : slice.shape) all += std::to_string(extent) + " ";
  }
  EXPECT_EQ(all,
            "conv1.weight 6 1 5 5 conv1.bias 6 norm1.weight 6 norm1.bias 6 conv2.weight 16 6 5 5 conv2.bias 16 "
            "norm2.weight 16 norm2.bias 16 fc1.weight 120 256 fc1.bias 120 fc2.weight 84 120 fc2.bias 84 "
            "fc3.weight 10 84 fc3.bias 10 ");
  EXPECT_EQ(make("resnet:20", {3, 32, 32})->dim(), 272474u);
}

struct Curve {
  std::string model;
  ImageShape image;
  int batch;
  float rate;
  std::vector<double> losses;
};

TEST(Models, ReproduceTorchsLosses) {
  // Printed by tests/torch_reference.py, PyTorch 1.13.1.
  const std::vector<Curve> curves = {
      {"mlp:256,128", {1, 28, 28}, 64, 0.05f, {2.4587297, 2.5389802, 2.4890258, 2.5057528, 2.5157905,
                                               2.4194396, 2.4914150, 2.4705570, 2.4269986, 2.4489548,
                                               2.3528361, 2.3672380, 2.3601539, 2.4149196, 2.4443576,
                                               2.3907626, 2.4292569, 2.3093383, 2.4858432, 2.4133081}},
      {"cnn", {1, 28, 28}, 64, 0.05f, {2.9878747, 2.6344473, 2.6188951, 2.3813071, 2.3240590, 2.4222677, 2.3106830,
                                       2.3618059, 2.3342860, 2.3267536, 2.3801427, 2.3004973, 2.3212345, 2.3141031,
                                       2.2890072, 2.3634598, 2.3130860, 2.2981684, 2.2919271, 2.3302317}},
      {"resnet:8", {3, 32, 32}, 16, 0.01f, {2.9484987, 2.8569973, 2.5390172, 2.6090403, 2.6547916, 2.4542885, 2.5401974,
                                            2.3760786, 2.5266385, 2.3788359, 2.4552450, 2.3629117, 2.5052657, 2.3277829,
                                            2.4200625, 2.4515307, 2.4475639, 2.3122635, 2.3893638, 2.3779705}},
  };
  for (const Curve& curve : curves) {
    const auto model = make(curve.model, curve.image);
    auto w = parameters<float>(model->slices());
    std::vector<float> dw(w.size());
    const std::size_t pixels = curve.image.channels * curve.image.height * curve.image.width;
    for (std::size_t step = 0; step < curve.losses.size(); ++step) {
      const auto x = noise<float>(w.size() + step * curve.batch * pixels, curve.batch * pixels);
      const Batch batch{{x.begin(), x.end()}, labels_of(static_cast<int>(step) * curve.batch, curve.batch, 10)};
      EXPECT_NEAR(model->gradient(w, batch, dw), curve.losses[step], 1e-4 * curve.losses[step])
          << curve.model << ", step " << step;
      for (std::size_t i = 0; i < w.size(); ++i) w[i] -= curve.rate * dw[i];
    }
  }
}

TEST(Models, RefuseWhatDoesNotFit) {
  EXPECT_THROW(make("cnn", {0, 0, 0}), Error);
  EXPECT_THROW(make("cnn", {1, 8, 8}), Error);
  EXPECT_THROW(make("cnn:groups=4", {1, 28, 28}), Error);
  EXPECT_THROW(make("resnet:21", {3, 32, 32}), Error);
}

}  // namespace
}  // namespace ecl::layers
