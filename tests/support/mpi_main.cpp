// GoogleTest under MPI: every rank runs every test; rank 0 reports, the others speak only of failures. A failure on any
// rank fails that rank's process, and so the job.
#include <cstdio>
#include <gtest/gtest.h>

#include "ecl/mpi/session.hpp"
#include "world.hpp"

namespace {

const ecl::mpi::Comm* all_ranks = nullptr;

class FailuresOnly : public testing::EmptyTestEventListener {
 public:
  explicit FailuresOnly(int rank) : rank_(rank) {}
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.failed())
      std::fprintf(stderr, "rank %d: %s:%d: %s\n", rank_, result.file_name(), result.line_number(), result.message());
  }

 private:
  int rank_;
};

}  // namespace

const ecl::mpi::Comm& ecl::test::world() { return *all_ranks; }

int main(int argc, char** argv) {
  const ecl::mpi::Session session;
  const ecl::mpi::Comm world = ecl::mpi::Comm::world();
  all_ranks = &world;
  testing::InitGoogleTest(&argc, argv);
  GTEST_FLAG_SET(catch_exceptions, false);  // a rank that throws must end the job, not leave the others waiting
  if (world.rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailuresOnly(world.rank()));
  }
  const double failed = world.max(RUN_ALL_TESTS());
  return failed > 0 ? 1 : 0;
}
