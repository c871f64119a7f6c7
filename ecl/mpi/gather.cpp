#include "ecl/mpi/gather.hpp"

#include <algorithm>
#include <cstdint>

#include "ecl/mpi/error.hpp"

namespace ecl::mpi {
namespace {

constexpr int kLengthTag = 1, kPieceTag = 2;
constexpr std::size_t kPiece = 1 << 22;

void send(const Comm& comm, std::span<const std::byte> bytes, int tag) {
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Isend(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, 0, tag, comm.handle(), &request),
        "MPI_Isend");
  comm.wait(request);
}

void receive(const Comm& comm, std::span<std::byte> bytes, int rank, int tag) {
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Irecv(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, rank, tag, comm.handle(), &request),
        "MPI_Irecv");
  comm.wait(request);
}

}  // namespace

std::vector<std::vector<std::byte>> gather_to_first(const Comm& comm, std::span<const std::byte> mine) {
  const Comm apart = comm.duplicate();
  std::uint64_t length = mine.size();
  if (apart.rank() > 0) {
    send(apart, std::as_bytes(std::span(&length, 1)), kLengthTag);
    for (; !mine.empty(); mine = mine.subspan(std::min(kPiece, mine.size())))
      send(apart, mine.first(std::min(kPiece, mine.size())), kPieceTag);
    return {};
  }
  std::vector<std::vector<std::byte>> all = {{mine.begin(), mine.end()}};
  for (int rank = 1; rank < apart.size(); ++rank) {
    receive(apart, std::as_writable_bytes(std::span(&length, 1)), rank, kLengthTag);
    std::span<std::byte> rest = all.emplace_back(length);
    for (; !rest.empty(); rest = rest.subspan(std::min(kPiece, rest.size())))
      receive(apart, rest.first(std::min(kPiece, rest.size())), rank, kPieceTag);
  }
  return all;
}

}  // namespace ecl::mpi
