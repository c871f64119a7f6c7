// What a node trains on: every sample once an epoch, and pictures cut and mirrored by seed, sample and epoch alone.
#include "ecl/node/batches.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

constexpr ImageShape kShape = {2, 5, 6};
constexpr int kPixels = 2 * 5 * 6, kPlane = 5 * 6;
const std::vector<Normalisation> kChannels = {{0.5f, 0.25f}, {0.1f, 2.0f}};

/// Pictures of two channels in which no two pixels are alike; sample n has label n.
Dataset pictures(int samples) {
  std::vector<std::uint8_t> bytes(samples * kPixels);
  for (std::size_t n = 0; n < bytes.size(); ++n) bytes[n] = static_cast<std::uint8_t>(1 + n % kPixels + n / kPixels);
  std::vector<std::int32_t> labels(samples);
  std::iota(labels.begin(), labels.end(), 0);
  Dataset data(kPixels, samples, std::move(bytes), kChannels, std::move(labels));
  data.image = kShape;
  return data;
}

using Picture = std::vector<float>;

Picture picture(const Dataset& data, std::size_t row) {
  Picture values(data.features());
  data.gather(row, 1, values.data());
  return values;
}

/// The definition, in words of pixels: sample 0 of `pictures` in a margin of black, cut out, mirrored; then normalised.
Picture cut_out(const CropFlip& change) {
  std::vector<std::uint8_t> bytes(kPixels);
  for (int c = 0; c < kShape.channels; ++c)
    for (int y = 0; y < kShape.height; ++y)
      for (int x = 0; x < kShape.width; ++x) {
        const int from_y = y + change.down, from_x = (change.flip ? kShape.width - 1 - x : x) + change.right;
        const bool inside = from_y >= 0 && from_y < kShape.height && from_x >= 0 && from_x < kShape.width;
        bytes[c * kPlane + y * kShape.width + x] =
            static_cast<std::uint8_t>(inside ? 1 + c * kPlane + from_y * kShape.width + from_x : 0);
      }
  return picture(Dataset(kPixels, 1, bytes, kChannels, {0}), 0);
}

TEST(CropFlip, GivesTheExactPictureForEveryPlace) {
  const Dataset data = pictures(1);
  constexpr int kMargin = CropFlip::kMargin;
  for (int down = -kMargin; down <= kMargin; ++down)
    for (int right = -kMargin; right <= kMargin; ++right)
      for (const bool flip : {false, true}) {
        const CropFlip change{down, right, flip};
        Picture changed = picture(data, 0);
        change.apply(data, changed.data());
        EXPECT_EQ(changed, cut_out(change)) << down << ", " << right << ", " << flip;
      }
}

TEST(CropFlip, PadsWithBlackAsItIsAfterNormalisation) {
  const Dataset data = pictures(1);
  Picture changed = picture(data, 0);
  CropFlip{-1, 4, true}.apply(data, changed.data());
  for (int x = 0; x < kShape.width; ++x) {
    EXPECT_FLOAT_EQ(changed[x], -0.5f / 0.25f);
    EXPECT_FLOAT_EQ(changed[kPlane + x], -0.1f / 2.0f);
  }
  // The first row of pixels, 1 2 3 4 5 6 of 255, is now the second: 5 and 6 are left of it, mirrored.
  EXPECT_FLOAT_EQ(changed[kShape.width + 4], (6 / 255.0f - 0.5f) / 0.25f);
  EXPECT_FLOAT_EQ(changed[kShape.width + 5], (5 / 255.0f - 0.5f) / 0.25f);
  EXPECT_FLOAT_EQ(changed[kShape.width + 3], -0.5f / 0.25f);
}

TEST(CropFlip, IsDrawnEvenly) {
  std::map<std::array<int, 3>, int> counts;
  constexpr int kSamples = 9000, kEpochs = 9, kPlaces = 81 * 2;
  for (int sample = 0; sample < kSamples; ++sample)
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      const CropFlip drawn = CropFlip::draw(1, sample, epoch);
      ++counts[{drawn.down, drawn.right, drawn.flip}];
    }
  EXPECT_EQ(counts.size(), kPlaces);
  constexpr double kExpected = 1.0 * kSamples * kEpochs / kPlaces;  // 500
  double chi_square = 0;
  for (const auto& [place, count] : counts) {
    EXPECT_LE(std::max(std::abs(place[0]), std::abs(place[1])), CropFlip::kMargin);
    chi_square += (count - kExpected) * (count - kExpected) / kExpected;
  }
  EXPECT_LT(chi_square, 241);  // 161 degrees of freedom: above that with probability 5e-5
  EXPECT_GT(chi_square, 97);   // below that with the same: too even
}

TEST(CropFlip, IsDrawnAnewForEverySeedSampleAndEpoch) {
  constexpr int kDraws = 16'200;  // of which one in 162 is the same by chance: 100, deviation 10
  const auto place = [](const CropFlip& drawn) { return std::array{drawn.down, drawn.right, int{drawn.flip}}; };
  int by_seed = 0, by_sample = 0, by_epoch = 0;
  for (int n = 0; n < kDraws; ++n) {
    const auto drawn = place(CropFlip::draw(7, n, n % 10));
    EXPECT_EQ(drawn, place(CropFlip::draw(7, n, n % 10)));
    by_seed += drawn == place(CropFlip::draw(8, n, n % 10));
    by_sample += drawn == place(CropFlip::draw(7, n + 1, n % 10));
    by_epoch += drawn == place(CropFlip::draw(7, n, n % 10 + 1));
  }
  for (const int same : {by_seed, by_sample, by_epoch}) EXPECT_NEAR(same, 100, 45);
}

/// What `batches` gave of each sample (the label is its number), in the order of the epochs.
using Seen = std::map<std::int32_t, std::vector<Picture>>;

void collect(Batches batches, int count, Seen& seen) {
  Batch batch;
  for (; count > 0; --count) {
    batches.next(batch);
    for (std::size_t i = 0; i < batch.labels.size(); ++i) {
      const auto begin = batch.features.begin() + static_cast<std::ptrdiff_t>(i) * kPixels;
      seen[batch.labels[i]].emplace_back(begin, begin + kPixels);
    }
  }
}

std::vector<std::int32_t> every_third(int samples, int first) {
  std::vector<std::int32_t> rows;
  for (int n = first; n < samples; n += 3) rows.push_back(n);
  return rows;
}

TEST(Batches, APictureDependsOnSeedSampleAndEpochAlone) {
  constexpr int kSamples = 30, kEpochs = 6, kSeed = 3;
  const auto data = std::make_shared<const Dataset>(pictures(kSamples));
  std::vector<std::int32_t> all(kSamples);
  std::iota(all.begin(), all.end(), 0);

  Seen central, shared, held,
      whole;  // by one node; by three in one process; by three, each on its own; without batches
  collect(Batches({data, all}, 4, kSeed, 0, Augmentation::crop_flip), kSamples * kEpochs / 4, central);
  for (int i = 0; i < 3; ++i) {
    const auto rows = every_third(kSamples, i);
    const auto own = std::make_shared<const Dataset>(data->subset(rows));
    std::vector<std::int32_t> own_rows(rows.size());
    std::iota(own_rows.begin(), own_rows.end(), 0);
    collect(Batches({data, rows}, 5, kSeed, i, Augmentation::crop_flip), 2 * kEpochs, shared);
    collect(Batches({own, own_rows}, 2, kSeed, i, Augmentation::crop_flip), 5 * kEpochs, held);
    collect(Batches({own, own_rows}, 10, kSeed, i, Augmentation::crop_flip), kEpochs, whole);
  }
  EXPECT_EQ(central, shared);
  EXPECT_EQ(central, held);
  EXPECT_EQ(central, whole);

  std::set<Picture> different;
  for (const auto& [sample, looks] : central) {
    ASSERT_EQ(looks.size(), kEpochs) << sample;
    different.insert(looks.begin(), looks.end());
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      Picture expected = picture(*data, sample);
      CropFlip::draw(kSeed, sample, epoch).apply(*data, expected.data());
      EXPECT_EQ(looks[epoch], expected) << sample << ", " << epoch;
    }
  }
  EXPECT_GT(different.size(), kSamples * kEpochs * 9 / 10);
}

TEST(Batches, GoOnBitForBitFromAnArchive) {
  const auto data = std::make_shared<const Dataset>(pictures(30));
  for (const std::size_t size : {4, 10, 64})
    for (const int done : {0, 1, 3, 11}) {
      const auto make = [&] { return Batches({data, every_third(30, 1)}, size, 5, 1, Augmentation::crop_flip); };
      Batches first = make(), second = make();
      Batch batch;
      for (int k = 0; k < done; ++k) first.next(batch);
      Archive saved;
      first.archive(saved);
      Archive loaded(saved.bytes(), "batches");
      second.archive(loaded);
      loaded.finish();
      Seen expected, seen;
      collect(first, 7, expected);
      collect(second, 7, seen);
      EXPECT_EQ(seen, expected) << size << ", " << done;
    }
}

TEST(Batches, RefuseAStateThatIsNone) {
  const auto data = std::make_shared<const Dataset>(pictures(3));
  for (auto [epoch, at] : {std::pair<std::uint64_t, std::uint64_t>{0, 0}, {1, 4}}) {
    Archive saved;
    saved(epoch, at);
    Archive loaded(saved.bytes(), "batches");
    Batches batches({data, {0, 1, 2}}, 2, 1, 0);
    EXPECT_THROW(batches.archive(loaded), Error);
  }
}

TEST(Batches, GiveEverySampleOnceAnEpochAsItIs) {
  const auto data = std::make_shared<const Dataset>(pictures(30));
  Seen seen;
  collect(Batches({data, every_third(30, 2)}, 4, 9, 0), 10, seen);  // four epochs of ten samples
  EXPECT_EQ(seen.size(), 10u);
  for (const auto& [sample, looks] : seen) EXPECT_EQ(looks, std::vector<Picture>(4, picture(*data, sample)));
}

TEST(Augmentation, HasNames) {
  EXPECT_EQ(augmentation_named("none"), Augmentation::none);
  EXPECT_EQ(augmentation_named("crop-flip"), Augmentation::crop_flip);
  EXPECT_THROW(augmentation_named("crop"), Error);
}

}  // namespace
}  // namespace ecl
