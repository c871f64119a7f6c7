#include "ecl/run/directory/rank_checkpoints.hpp"

#include <algorithm>
#include <utility>

#include "ecl/base/host.hpp"
#include "ecl/run/directory/run_directory.hpp"

namespace ecl {

RankCheckpoints::RankCheckpoints(const mpi::Comm& comm, const Experiment& experiment, State state)
    : comm_(comm.duplicate()),
      experiment_(experiment),
      state_(std::move(state)),
      files_(experiment.spec.out, experiment.spec.out.empty() ? "" : fingerprint(experiment)),
      times_(experiment.spec.checkpoint_every / experiment.epochs_per_step, experiment.round_steps()),
      saved_(comm),
      halt_(comm),
      next_(times_.after(0)) {}

std::uint64_t RankCheckpoints::resume() {
  LastTwo mine;
  comm_.together([&] {
    if (comm_.rank() == 0) mine = files_.last_two();
  });
  std::vector<LastTwo> all(comm_.size());
  comm_.gather_all(&mine, sizeof mine, all.data());
  number_ = published_ = load_latest(files_, all[0], [this](std::uint64_t number) {
    comm_.together([this, number] {
      try {
        Archive file = files_.load(number, name());
        archive(file, 0);
        file.finish();
      } catch (const Error& error) {
        if (comm_.rank() == 0) throw;
        throw Error("rank " + std::to_string(comm_.rank()) + " on " + host_name() + ": " + error.what(), error.code());
      }
    });
  });
  next_ = times_.after(stood_);
  return number_;
}

void RankCheckpoints::begin(const Keepers& keepers) {
  if (!kept()) return;
  latest_.emplace(comm_, keepers.others());
  keeps_ = keepers.here();
  if (!keeps_) return;
  try {
    files_.go_on_from(number_);
  } catch (const Error& error) {
    error_ = error;
  }
}

void RankCheckpoints::write_beside(Recorder& recorder, std::function<void()> published) {
  recorder_ = &recorder, on_published_ = std::move(published);
}

void RankCheckpoints::poke(std::uint64_t rows) {
  if (!kept()) return;
  heard_ = halt_.heard();
  saved_.poke();
  publish(rows);
  follow();
}

/// A keeper other than rank 0: its latest is rank 0's.
void RankCheckpoints::follow() {
  latest_->poke();
  if (!keeps_ || latest_->heard() <= published_ || error_) return;
  try {
    files_.follow(latest_->heard());
    published_ = latest_->heard();
  } catch (const Error& error) {
    error_ = error;
  }
}

bool RankCheckpoints::due(std::uint64_t step) const { return kept() && step == next_ && step < experiment_.steps; }

void RankCheckpoints::archive(Archive& archive, std::uint64_t complete) {
  state_(archive, complete);  // first: it begins with the model
  archive(stood_);
}

/// `stood`: a step that no rank's state is beyond, the same on all. `durable`: on disk when this returns, else soon to
/// be.
void RankCheckpoints::save(std::uint64_t number, std::uint64_t stood, std::uint64_t complete, bool durable) {
  number_ = number, stood_ = stood;
  next_ = times_.after(stood_);
  Archive file;
  file.reserve(bytes_);
  archive(file, complete);
  bytes_ = file.bytes().size();
  try {
    files_.save(number, name(), file, durable);
    saved_.report(number);
    waiting_.push_back({number, complete * experiment_.nodes()});
  } catch (const Error& error) {
    error_ = error;
  }
}

/// Rank 0: makes checkpoints that are whole the latest, one after the other. One that is not when a later one is never
/// will be: before a stop signal fast ranks were beyond it, and slow ones never came to it.
void RankCheckpoints::publish(std::uint64_t rows) {
  if (comm_.rank() != 0) return;
  const auto ready = [&](const Waiting& one) { return saved_.complete(one.number) && rows >= one.rows; };
  while (!error_) {
    const auto next = std::find_if(waiting_.begin(), waiting_.end(), ready);
    if (next == waiting_.end()) return;
    publish_one(next->number);
    waiting_.erase(waiting_.begin(), next + 1);
  }
}

void RankCheckpoints::publish_one(std::uint64_t number) {
  try {
    recorder_->sync();
    files_.publish(number);
    published_ = number;
    latest_->announce(published_);
    on_published_();
  } catch (const Error& error) {
    error_ = error;
  }
}

bool RankCheckpoints::halts(bool told, const Standing& now) {
  if (!halt_.announced()) {
    if (!kept() || !(told || heard_)) return false;
    halt_.announce({boundary_after(now.step), now.begun, number_});
  }
  const bool lock_step = experiment_.mode == Mode::lock_step;
  if (!halt_.reached()) return !lock_step || now.step == boundary_after(now.step);
  if (halted_at_ != 0) return true;
  std::uint64_t stand = 0, begun = now.begun, number = number_;
  for (const auto& [boundary, their_begun, their_number] : halt_.statements()) {
    stand = std::max(stand, boundary);
    if (!lock_step) begun = std::min(begun, their_begun), number = std::max(number, their_number);
  }
  if (lock_step) {
    if (stand >= experiment_.steps) return false;  // the foremost is in its last round: the run ends by itself
    if (now.step < stand || now.busy || due(now.step)) return false;
    if (!now.ready) return true;
  }
  halted_at_ = number + 1;
  save(halted_at_, stand, begun, false);  // mpirun may leave us a second: write first, then sync
  return true;
}

/// The end of the round that is under way after `step` steps.
std::uint64_t RankCheckpoints::boundary_after(std::uint64_t step) const {
  const std::uint64_t round = experiment_.round_steps();
  return (step + round - 1) / round * round;
}

void RankCheckpoints::finish(std::uint64_t rows) {
  halt_.finish({});
  saved_.finish();
  publish(rows);
  if (latest_) latest_->finish(), follow();
  if (halted_at_ == 0 || error_) return;
  try {
    files_.make_durable(halted_at_, name());
  } catch (const Error& error) {
    error_ = error;
  }
}

}  // namespace ecl
