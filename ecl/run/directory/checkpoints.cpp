#include "ecl/run/directory/checkpoints.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/files.hpp"
#include "ecl/base/gzip.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;

/// 0 if the text is no number of a checkpoint.
std::uint64_t to_number(const std::string& text) {
  constexpr std::size_t kMostDigits = 18;
  const bool digits = std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return text.empty() || !digits || text.size() > kMostDigits ? 0 : std::stoull(text);
}

/// The numbers of the checkpoints in `folder`, whole or not.
std::vector<std::uint64_t> numbers(const std::string& folder) {
  std::vector<std::uint64_t> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (const std::uint64_t number = to_number(at->path().filename().string())) found.push_back(number);
  return found;
}

}  // namespace

Checkpoints::Checkpoints(const std::string& directory, std::string fingerprint)
    : folder_(directory.empty() ? "" : directory + "/checkpoints"), fingerprint_(std::move(fingerprint)) {}

void Checkpoints::make_durable(std::uint64_t number, const std::string& name) const {
  sync_file(path(number) + "/" + name);
}

void Checkpoints::save(std::uint64_t number, const std::string& name, const Archive& state, bool durable) const {
  make_folder(folder_);
  make_folder(path(number));
  save_archive(path(number) + "/" + name, fingerprint_, state, durable);
}

Archive Checkpoints::load(std::uint64_t number, const std::string& name) const {
  return load_archive(path(number) + "/" + name, fingerprint_);
}

std::uint64_t Checkpoints::latest() const {
  const std::string file = folder_ + "/latest";
  std::error_code error;
  if (!kept() || !fs::exists(file, error)) return 0;
  const Bytes text = read_file(file);
  const std::uint64_t number = to_number({text.begin(), std::find(text.begin(), text.end(), '\n')});
  if (number == 0)
    throw Error(file + " is damaged: it should hold the number of a checkpoint, the name of a folder beside it",
                Exit::io);
  return number;
}

std::vector<std::uint64_t> Checkpoints::whole() const {
  std::vector<std::uint64_t> all = numbers(folder_);
  std::erase_if(all, [last = latest()](std::uint64_t number) { return number > last; });
  std::sort(all.begin(), all.end());
  return all;
}

std::uint64_t Checkpoints::before(std::uint64_t number) const {
  std::uint64_t newest = 0;
  for (const std::uint64_t other : numbers(folder_))
    if (other < number) newest = std::max(newest, other);
  return newest;
}

void Checkpoints::publish(std::uint64_t number) const {
  const std::uint64_t last = latest();
  write_atomically(folder_ + "/latest", std::to_string(number) + "\n");
  remove([last, number](std::uint64_t other) { return other < number && other != last; });
}

void Checkpoints::follow(std::uint64_t number) const {
  const std::uint64_t last = latest();
  write_atomically(folder_ + "/latest", std::to_string(number) + "\n");
  remove([last](std::uint64_t other) { return other < last; });
}

void Checkpoints::go_on_from(std::uint64_t number) const {
  const std::string file = folder_ + "/latest";
  std::error_code ignored;
  if (number == 0)
    fs::remove(file, ignored);
  else if (latest() != number)
    write_atomically(file, std::to_string(number) + "\n");
  remove([number](std::uint64_t other) { return other > number; });
}

LastTwo Checkpoints::last_two() const {
  const std::uint64_t last = latest();
  return {last, before(last)};
}

/// Removing frees space and nothing else: where it fails the run goes on.
template <class Condition>
void Checkpoints::remove(Condition old) const {
  std::error_code ignored;
  for (const std::uint64_t number : numbers(folder_))
    if (old(number)) fs::remove_all(path(number), ignored);
}

std::uint64_t load_latest(const Checkpoints& checkpoints, const LastTwo& numbers,
                          const std::function<void(std::uint64_t)>& load) {
  const auto [latest, before] = numbers;
  if (latest == 0) return 0;
  try {
    load(latest);
  } catch (const Error& error) {
    if (before == 0) throw;
    try {
      load(before);
    } catch (const Error&) {
      throw error;
    }
    const std::string number = std::to_string(before);
    throw Error(std::string(error.what()) + "; checkpoint " + number + " is whole: to go on from there, write " +
                    number + " into " + checkpoints.folder() + "/latest",
                error.code());
  }
  return latest;
}

std::string no_checkpoint_yet(const std::string& directory) {
  return "ecl: there is no checkpoint in " + directory + " yet: starting from the beginning\n";
}

std::uint64_t CheckpointTimes::after(std::uint64_t step) const {
  if (interval_ <= 0) return std::numeric_limits<std::uint64_t>::max();
  for (double k = std::floor(static_cast<double>(step) / interval_);; ++k) {
    const auto rounds = static_cast<std::uint64_t>(std::ceil(k * interval_ / local_steps_));
    if (rounds * local_steps_ > step) return rounds * local_steps_;
  }
}

}  // namespace ecl
