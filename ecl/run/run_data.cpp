#include "ecl/run/run_data.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <numeric>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/checksum.hpp"
#include "ecl/base/host.hpp"
#include "ecl/base/memory.hpp"
#include "ecl/data/placement.hpp"
#include "ecl/data/site_path.hpp"

namespace ecl {
namespace {

/// Two ranks of a host that read one file would train on its rows twice, and each be tested on rows of the other.
void refuse_shared_files(Sites& sites, const std::string& path, const std::string& place) {
  std::error_code failed;
  const std::string whole = std::filesystem::canonical(path, failed).string();
  const std::string mine = host_name() + ':' + (failed ? path : whole);
  std::map<std::string, std::string> readers;  // by file
  const auto places = sites.gather({place}), files = sites.gather({mine});
  for (std::size_t i = 0; i < files.size(); ++i)
    if (const auto [found, added] = readers.emplace(files[i], places[i]); !added)
      throw Error(places[i] + " and " + found->second + " both read '" + path +
                  "' as their own; give each rank a file of its own with {node}, or start one rank a host");
}

/// " (node 0: 3, node 2: 1)": the first few.
std::string at_nodes(const std::vector<std::uint64_t>& counts) {
  constexpr std::size_t kMost = 8;
  std::string text;
  std::size_t told = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0 || ++told > kMost) continue;
    text += (told == 1 ? " (node " : ", node ") + std::to_string(i) + ": " + std::to_string(counts[i]);
  }
  return text + (told > kMost ? ", ...)" : ")");
}

std::string identity_of(const TrainedModel& model) {
  const std::string json = model_json(model);  // which may hold a site's own scaling: a checksum tells nothing of it
  return std::to_string(checksum(std::as_bytes(std::span(json)))) + ' ' +
         std::to_string(checksum(std::as_bytes(std::span(model.parameters))));
}

std::string identity_of(const Dataset& data) {
  return std::to_string(data.size()) + ' ' + std::to_string(data.checksum());
}

}  // namespace

/// What the constructor works on.
struct RunData::Reading {
  std::vector<TrainTest> held;  ///< of each node here; or the one data set that is dealt, or this rank's part of it
  PlacedData placed;            ///< of the data that are dealt
  std::string dealt;            ///< which these are
};

RunData::RunData(const Spec& spec, NodeId nodes, Sites& sites, std::optional<NodeId> rank)
    : rank_(rank), first_(rank.value_or(0)), own_(spec.own_data()), own_tests_(spec.own_tests()), shards_(nodes) {
  Reading reading;
  sites.together([&] {
    if (!spec.init.empty()) earlier_ = read_earlier(spec.init);
    const bool binary = spec.label_kind() == LabelKind::binary;
    if (earlier_ && (earlier_->setup.loss == Loss::logistic) != binary)
      throw Error("--init " + spec.init + ": the earlier model was trained " + (binary ? "without" : "with") +
                  " --loss logistic; " + (binary ? "leave it out" : "say it again"));
    reading = read(spec, nodes, sites);
  });
  agree(sites, reading);
  make_shards(reading);
}

TrainedModel RunData::read_earlier(const std::string& run) const {
  try {
    return read_model(model_folder(run));
  } catch (const Error& error) {
    throw Error("--init, " + place_of(first_) + ": " + error.what(), error.code());
  }
}

std::string RunData::place_of(NodeId i) const {
  return rank_ ? "rank " + std::to_string(i) + " on " + host_name() : "node " + std::to_string(i);
}

RunData::Reading RunData::read(const Spec& spec, NodeId nodes, Sites& sites) {
  Reading reading;
  devices_ = Placement(spec.placement, spec.devices).devices(nodes);
  return within_memory("dataset " + spec.dataset, [&] {
    if (own_)
      for (NodeId i = first_; i < first_ + here(); ++i) reading.held.push_back(read_site(spec, nodes, i));
    else
      reading.held.push_back(read_all(spec, nodes, sites, reading));
    return std::move(reading);
  });
}

/// Node i's own files.
TrainTest RunData::read_site(const Spec& spec, NodeId nodes, NodeId i) const {
  DatasetRequest request{site_path(spec.data, i, host_name()), nodes, spec.seed};
  request.test = site_path(spec.test, i, host_name());
  request.site = i;
  request.labels = spec.label_kind();
  try {
    TrainTest data = read_dataset(Choice::parse(site_path(spec.dataset, i, host_name())), request);
    if (!own_tests_ && i != first_) data.test = data.test.subset({});  // there is one test set, and it is here already
    return data;
  } catch (const Error& error) {
    throw Error(place_of(i) + ": " + error.what(), error.code());
  }
}

/// The data set that is dealt. Readers that can let each rank keep its own part only. What rank 0 misses all may miss;
/// what another rank alone misses is its host's.
TrainTest RunData::read_all(const Spec& spec, NodeId nodes, Sites& sites, Reading& reading) {
  const Placement placement(spec.placement, spec.devices);
  const auto deal = [&](const Dataset& labels) {
    std::uint32_t sum = labels.checksum();
    for (const auto& [name, groups] : labels.columns) sum = ecl::checksum(std::as_bytes(std::span(groups)), sum);
    reading.dealt = std::to_string(labels.size()) + ' ' + std::to_string(sum);
    reading.placed = place(placement, Choice::parse(spec.partition), labels, nodes, spec.seed);
    return rank_ ? reading.placed.partition[*rank_] : all_rows(labels.size());
  };
  DatasetRequest request{spec.data, devices_, spec.seed};
  request.test = spec.test;
  request.labels = spec.label_kind();
  request.deal = deal;
  request.open = [&](const std::string& path, const std::string& advice) { return sites.open(path, advice); };
  try {
    TrainTest data = read_dataset(Choice::parse(spec.dataset), request);
    if (!data.dealt) deal(data.train);
    return data;
  } catch (const Error& error) {
    if (first_ == 0) throw;
    throw Error(place_of(first_) + ": " + error.what(), error.code());
  }
}

/// One test set cannot be scaled as each site's own rows are.
void RunData::refuse_own_scaling() const {
  throw Error(std::string("each site's features are scaled by themselves (") +
              (earlier_ ? "as in the model of --init" : "standardise=own") +
              "), and the test samples are the same for all sites; give each site test samples of its own, with --test "
              "'x-{node}.csv', or let them be drawn from its data with the data set's test=0.2");
}

void RunData::agree(Sites& sites, Reading& reading) {
  auto& held = reading.held;
  std::vector<std::string> places;
  for (std::size_t h = 0; h < held.size(); ++h) places.push_back(place_of(first_ + static_cast<NodeId>(h)));
  if (own_ && rank_) refuse_shared_files(sites, held[0].source, places[0]);
  if (!own_) agree_on_copies(sites, places, "training samples", reading.dealt);
  own_scaling_ = earlier_ ? !earlier_->scale : held[0].scaling == Scaling::own;
  if (own_scaling_ && !own_tests_) refuse_own_scaling();
  if (!own_tests_) agree_on_copies(sites, std::span(places).first(1), "test samples", identity_of(held[0].test));
  if (earlier_) agree_on_copies(sites, places, "the model of --init", identity_of(*earlier_));
  const SiteSizes sizes = agree_on_tables(sites, held, places, earlier_ ? &earlier_->schema : nullptr);
  if (earlier_) sites.together([&] { fit_to_earlier(held); });
  groups_to_test_ = own_ ? std::accumulate(sizes.groups_to_test.begin(), sizes.groups_to_test.end(), std::size_t{0})
                         : sizes.groups_to_test[0];
  only_tested_ = sizes.only_tested;
  take_notes(sizes);
  test_sizes_ = own_tests_ ? sizes.test : std::vector<std::size_t>{sizes.test[0]};
  if (own_)
    shard_sizes_ = sizes.train;
  else
    for (const auto& rows : reading.placed.partition) shard_sizes_.push_back(rows.size());
  samples_moved_ = reading.placed.samples_moved;

  // Each node's rows by themselves, wherever they are: then the sums do not depend on that.
  const bool dealt_here = !own_ && !(rank_ && held[0].dealt);
  std::vector<SiteRows> rows;
  std::vector<std::vector<std::int32_t>> all;
  for (const TrainTest& data : held) all.push_back(all_rows(data.train.size()));
  if (dealt_here)
    for (const auto& of_node : reading.placed.partition) rows.push_back({&held[0].train, of_node});
  else
    for (std::size_t h = 0; h < held.size(); ++h) rows.push_back({&held[h].train, all[h]});
  LocalSites alone;
  Sites& holders = dealt_here ? alone : sites;
  count_classes(holders, rows);
  find_only_tested(held[0].train);
  scale_weights(holders, held, rows);
  scale(holders, held, rows);
}

void RunData::count_classes(Sites& sites, std::span<const SiteRows> rows) {
  std::vector<std::string> mine;
  for (const SiteRows& site : rows) {
    std::vector<std::uint64_t> counts(site.data->classes());
    for (const std::int32_t row : counts.empty() ? std::span<const std::int32_t>() : site.rows) {
      if (!site.data->multi_label()) ++counts[site.data->labels()[row]];
      for (std::size_t k = 0; site.data->multi_label() && k < counts.size(); ++k)
        counts[k] += site.data->targets()[row * counts.size() + k] > 0;
    }
    mine.emplace_back(reinterpret_cast<const char*>(counts.data()), counts.size() * sizeof counts[0]);
  }
  for (const std::string& bytes : sites.gather(std::move(mine))) {
    auto& counts = class_counts_.emplace_back(bytes.size() / sizeof(std::uint64_t));
    if (!counts.empty()) std::memcpy(counts.data(), bytes.data(), bytes.size());
  }
}

/// A class may have rows at all sites, and all of them drawn for the test.
void RunData::find_only_tested(const Dataset& example) {
  if (earlier_ || example.multi_label()) return;
  const auto& classes = example.schema.classes;
  only_tested_.clear();
  for (std::size_t c = 0; c < classes.size(); ++c)
    if (std::ranges::all_of(class_counts_, [c](const auto& counts) { return counts[c] == 0; }))
      only_tested_.push_back(classes[c]);
}

/// Throws Error where the samples are none of the earlier model's.
void RunData::fit_to_earlier(std::vector<TrainTest>& held) const {
  const ModelSetup& setup = earlier_->setup;
  const bool numbers = setup.loss != Loss::cross_entropy;  // targets
  for (TrainTest& data : held)
    for (Dataset* half : {&data.train, &data.test}) {
      if (data.any_features && half->features() < setup.features) half->widen(setup.features);
      if (half->features() != setup.features || half->classes() != setup.classes ||
          half->multi_label() != (setup.loss == Loss::logistic) ||
          (half->size() > 0 && half->targets().empty() == numbers))
        throw Error("the samples have " + std::to_string(half->features()) + " features and " +
                    std::to_string(half->classes()) + " classes, and the model of --init has " +
                    std::to_string(setup.features) + " and " + std::to_string(setup.classes) +
                    "; it goes on with data of the same kind");
    }
}

void RunData::scale_as_earlier(std::vector<TrainTest>& held) {
  Scale scale = *earlier_->scale;
  const Missing missing = held[0].train.schema.missing;
  if (scale.fill.empty() && (missing == Missing::mean || missing == Missing::indicator)) {
    if (scale.mean.empty())
      throw Error(
          "the model of --init has no means to fill missing cells with (standardise=0, and none was missing "
          "then); use missing=drop");
    scale.fill = scale.mean;
  }
  if (!scale.mean.empty() || !scale.fill.empty())
    for (TrainTest& data : held)
      for (Dataset* half : {&data.train, &data.test}) half->make_dense(), half->scale(scale);
  scales_ = {scale};
}

/// As the earlier model did, whose parameters mean nothing otherwise; or by these samples.
void RunData::scale(Sites& sites, std::vector<TrainTest>& held, std::span<const SiteRows> rows) {
  const bool numbers = held[0].train.is_regression();
  if (!earlier_ || own_scaling_) {
    if (earlier_)
      sites.together([&] {
        for (TrainTest& data : held) data.scaling = Scaling::own, data.train.make_dense(), data.test.make_dense();
      });
    scales_ = scale_features(sites, held, rows);
    if (numbers && !earlier_) target_scale_ = scale_targets(sites, held, rows);
  } else {
    sites.together([&] { scale_as_earlier(held); });
  }
  if (!numbers || !earlier_) return;
  target_scale_ = earlier_->target;
  for (TrainTest& data : held) data.train.scale_targets(*target_scale_), data.test.scale_targets(*target_scale_);
}

/// Where all read the same file, each counts all of it.
void RunData::take_notes(const SiteSizes& sizes) {
  const auto note = [&](std::uint64_t Gaps::*gaps, const std::string& one, const std::string& many) {
    std::vector<std::uint64_t> counts;
    for (std::size_t i = 0; i < (own_ ? sizes.gaps.size() : 1); ++i)
      counts.push_back(sizes.gaps[i].*gaps + (own_tests_ ? sizes.test_gaps[i].*gaps : 0));
    const std::uint64_t tested = own_tests_ ? 0 : sizes.test_gaps[0].*gaps;
    const std::uint64_t all = std::accumulate(counts.begin(), counts.end(), tested);
    if (all == 0) return;
    notes_.push_back(std::to_string(all) + ' ' + (all == 1 ? one : many) +
                     (own_ && all > tested ? at_nodes(counts) : ""));
  };
  note(&Gaps::dropped_rows, "row with missing cells was left out", "rows with missing cells were left out");
  note(&Gaps::filled_cells, "missing cell was filled with its column's mean",
       "missing cells were filled with their column's mean");
  std::vector<std::pair<std::string, std::string>> said;  // a note, the nodes that say it
  for (std::size_t i = 0; i < sizes.notes.size(); ++i)
    for (const std::string& text : sizes.notes[i]) {
      auto at = std::ranges::find(said, text, &std::pair<std::string, std::string>::first);
      if (at == said.end()) at = said.insert(said.end(), {text, ""});
      (at->second += at->second.empty() ? "node " : ", ") += std::to_string(i);
    }
  notes_.insert(notes_.end(), sizes.notes_of_all.begin(), sizes.notes_of_all.end());
  for (const auto& [text, nodes] : said) notes_.push_back(own_ ? nodes + ": " + text : text);
  if (sizes.ignored_queries > 0) notes_.push_back("qid:N, the queries of a ranking, was left out of the rows");
}

void RunData::make_shards(Reading& reading) {
  auto& held = reading.held;
  if (own_tests_)
    for (TrainTest& data : held) tests_.push_back(std::move(data.test));
  else
    tests_.push_back(std::move(held[0].test));
  std::vector<std::shared_ptr<const Dataset>> trains;
  for (TrainTest& data : held) trains.push_back(std::make_shared<const Dataset>(std::move(data.train)));
  const bool part_only = own_ || (rank_ && held[0].dealt);
  if (!part_only) everything_ = trains[0];
  for (NodeId i = first_; i < first_ + here(); ++i) {
    const double weight = static_cast<double>(shard_sizes_[i]) * static_cast<double>(shards_.size()) /
                          static_cast<double>(train_samples());
    shards_[i] = {own_ ? trains[i - first_] : trains[0],
                  part_only ? all_rows(shard_sizes_[i]) : std::move(reading.placed.partition[i]), weight};
  }
}

void RunData::make_dense() {
  if (!example().sparse()) return;
  std::map<const Dataset*, std::shared_ptr<const Dataset>> copies;
  for (Shard& shard : shards_) {
    if (!shard.data) continue;
    std::shared_ptr<const Dataset>& copy = copies[shard.data.get()];
    if (!copy) {
      Dataset dense = *shard.data;
      dense.make_dense();
      copy = std::make_shared<const Dataset>(std::move(dense));
    }
    shard.data = copy;
  }
  if (everything_) everything_ = copies.at(everything_.get());
  for (Dataset& test : tests_) test.make_dense();
}

void RunData::forget_others() {
  if (!rank_ || !everything_) return;
  Shard& own = shards_[*rank_];
  own.data = std::make_shared<const Dataset>(everything_->subset(own.rows));
  own.rows = all_rows(own.rows.size());
  everything_.reset();
}

std::size_t RunData::train_samples() const {
  return std::accumulate(shard_sizes_.begin(), shard_sizes_.end(), std::size_t{0});
}

std::size_t RunData::test_samples() const {
  return std::accumulate(test_sizes_.begin(), test_sizes_.end(), std::size_t{0});
}

double RunData::largest_weight() const {
  float most = 1;
  for (const Shard& shard : shards_)
    if (shard.data && !shard.data->weights().empty())
      for (const std::int32_t row : shard.rows) most = std::max(most, shard.data->weights()[row]);
  return most;
}

std::uint32_t RunData::checksum() const {
  std::uint32_t sum = 0;
  const Dataset* last = nullptr;
  for (const Shard& shard : shards_) {
    if (shard.data && shard.data.get() != last) sum = shard.data->checksum(sum);
    if (shard.data) last = shard.data.get();
    sum = ecl::checksum(std::as_bytes(std::span(shard.rows)), sum);  // who holds what
  }
  for (const Dataset& test : tests_) sum = test.checksum(sum);
  return sum;
}

std::uint32_t RunData::checksum_of(NodeId i) const {
  return shards_[i].data->subset(shards_[i].rows).checksum(test_of(i).checksum());
}

}  // namespace ecl
