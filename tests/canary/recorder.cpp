// To be preloaded into a rank: keeps every byte that the program hands to MPI to be sent, in the file
// $ECL_SENT/<rank>. `canary_test` checks that ecl sends by no other function.
#include <cstdio>
#include <cstdlib>
#include <mpi.h>
#include <string>

namespace {

void record(const void* data, int count, MPI_Datatype type) {
  static std::FILE* const file = [] {
    int rank = 0;
    PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const char* directory = std::getenv("ECL_SENT");
    std::FILE* opened =
        directory ? std::fopen((std::string(directory) + "/" + std::to_string(rank)).c_str(), "ab") : nullptr;
    if (!opened) std::abort();
    return opened;
  }();
  int size = 0;
  PMPI_Type_size(type, &size);
  std::fwrite(data, size, count, file);
  std::fflush(file);
}

}  // namespace

extern "C" {

int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request* request) {
  record(data, count, type);
  return PMPI_Isend(data, count, type, to, tag, comm, request);
}

int MPI_Issend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request* request) {
  record(data, count, type);
  return PMPI_Issend(data, count, type, to, tag, comm, request);
}

int MPI_Iallreduce(const void* data, void* result, int count, MPI_Datatype type, MPI_Op operation, MPI_Comm comm,
                   MPI_Request* request) {
  record(data, count, type);
  return PMPI_Iallreduce(data, result, count, type, operation, comm, request);
}

int MPI_Iallgather(const void* data, int count, MPI_Datatype type, void* all, int each, MPI_Datatype all_type,
                   MPI_Comm comm, MPI_Request* request) {
  record(data, count, type);
  return PMPI_Iallgather(data, count, type, all, each, all_type, comm, request);
}

int MPI_Iallgatherv(const void* data, int count, MPI_Datatype type, void* all, const int* counts, const int* places,
                    MPI_Datatype all_type, MPI_Comm comm, MPI_Request* request) {
  record(data, count, type);
  return PMPI_Iallgatherv(data, count, type, all, counts, places, all_type, comm, request);
}

int MPI_Igather(const void* data, int count, MPI_Datatype type, void* all, int each, MPI_Datatype all_type, int root,
                MPI_Comm comm, MPI_Request* request) {
  record(data, count, type);
  return PMPI_Igather(data, count, type, all, each, all_type, root, comm, request);
}

int MPI_Ibcast(void* data, int count, MPI_Datatype type, int root, MPI_Comm comm, MPI_Request* request) {
  int rank = 0;
  PMPI_Comm_rank(comm, &rank);
  if (rank == root) record(data, count, type);
  return PMPI_Ibcast(data, count, type, root, comm, request);
}

int MPI_Put(const void* data, int count, MPI_Datatype type, int to, MPI_Aint place, int to_count, MPI_Datatype to_type,
            MPI_Win window) {
  record(data, count, type);
  return PMPI_Put(data, count, type, to, place, to_count, to_type, window);
}

int MPI_Fetch_and_op(const void* data, void* result, MPI_Datatype type, int to, MPI_Aint place, MPI_Op operation,
                     MPI_Win window) {
  record(data, 1, type);
  return PMPI_Fetch_and_op(data, result, type, to, place, operation, window);
}

}  // extern "C"
