#pragma once

#include "ecl/contracts/port.hpp"

namespace ecl {

/// The port of one node on a network whose nodes are all in this process: a handle. Network has the calls of Port, with
/// the node before the other arguments.
template <class Network>
class NetworkPort {
 public:
  NetworkPort(Network& network, NodeId node) : network_(&network), node_(node) {}

  double now() const { return network_->now(node_); }
  Stamp arrived(int e) const { return network_->arrived(node_, e); }
  Arrival take(int e) { return network_->take(node_, e); }
  Arrival take(int e, Stamp number) { return network_->take(node_, e, number); }
  Vec outbox(int e) { return network_->outbox(node_, e); }
  void post(int e, Stamp step) { network_->post(node_, e, step); }
  const Traffic& traffic() const { return network_->traffic(node_); }

 private:
  Network* network_;
  NodeId node_;
};

}  // namespace ecl
