#include "ecl/exchange/mpi_port.hpp"

#include "ecl/base/check.hpp"

namespace ecl {

MpiPort::MpiPort(const mpi::Comm& comm, const Graph& graph, std::size_t message_floats, Mode mode, Exchange exchange)
    : mode_(mode),
      payload_bytes_(message_floats * sizeof(float)),
      start_(mpi::Comm::clock_s()),
      edges_(graph.degree(comm.rank())) {
  ECL_CHECK(graph.size() == comm.size());
  if (message_floats == 0 || graph.edge_count() == 0) return;
  Transports transports = make_transports(comm, graph, message_floats, mode, exchange);
  exchange_ = std::move(transports.description);
  channels_ = std::move(transports.channels);
  for (std::size_t e = 0; e < edges_.size(); ++e) edges_[e].channel = transports.of_edge[e];
  start_ = mpi::Comm::clock_s();
}

double MpiPort::now() const { return mpi::Comm::clock_s() - start_; }

Arrival MpiPort::take(int e) {
  ECL_CHECK(mode_ == Mode::async);
  const double start = mpi::Comm::clock_s();
  const Arrival arrival = edges_[e].channel->take(e);
  if (!arrival) return arrival;
  const double end = mpi::Comm::clock_s();
  traffic_.exchange_seconds += end - start;
  if (tracer_) told(TraceEvent::Kind::take, e, arrival.number, start, end);
  return counted(e, arrival);
}

Arrival MpiPort::take(int e, Stamp number) {
  ECL_CHECK(mode_ == Mode::lock_step && arrived(e) >= number);
  const double start = tracer_ ? mpi::Comm::clock_s() : 0;
  const Arrival arrival = edges_[e].channel->take(e, number);
  if (tracer_) told(TraceEvent::Kind::take, e, number, start, mpi::Comm::clock_s());
  return counted(e, arrival);
}

Arrival MpiPort::counted(int e, const Arrival& arrival) {
  EdgeUse& edge = edges_[e];
  ECL_CHECK(arrival.number > edge.taken);
  ++traffic_.messages_taken;
  traffic_.messages_overwritten += arrival.number - edge.taken - 1;
  edge.taken = arrival.number;
  return arrival;
}

void MpiPort::post(int e, Stamp step) {
  const double start = mpi::Comm::clock_s();
  edges_[e].channel->post(e, ++edges_[e].posted, step);
  ++traffic_.messages_sent;
  traffic_.bytes_sent += payload_bytes_;
  const double end = mpi::Comm::clock_s();
  traffic_.exchange_seconds += end - start;
  if (tracer_) told(TraceEvent::Kind::post, e, edges_[e].posted, start, end);
}

void MpiPort::told(TraceEvent::Kind kind, int e, Stamp number, double start, double end) {
  tracer_->add({.start_s = start - start_, .end_s = end - start_, .number = number, .edge = e, .kind = kind});
}

void MpiPort::poke() {
  for (const auto& channel : channels_) channel->poke();
}

}  // namespace ecl
