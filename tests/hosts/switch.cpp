// hosts_switch HOSTS DELAY_MS: a switch whose every frame takes a while, for kernels that cannot delay by themselves.
// Makes the interfaces cable0, cable1, ... in its network namespace, says so on stdout, and forwards between them until
// it is killed. tests/hosts/run moves each into the namespace of its host.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <map>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Address = std::string;  // six bytes
constexpr std::size_t kAddressBytes = 6, kFrameBytes = 65536;

struct Frame {
  Clock::time_point due;
  std::size_t port;  ///< where it goes out
  std::vector<char> bytes;
};

/// The other end of an interface: reads what its host sends, writes what it shall receive.
int open_cable(const std::string& name) {
  const int cable = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  if (cable < 0 || ioctl(cable, TUNSETIFF, &request) != 0) {
    std::perror(("hosts_switch: " + name).c_str());
    std::exit(1);
  }
  return cable;
}

class Switch {
 public:
  Switch(int hosts, std::chrono::microseconds delay) : delay_(delay) {
    for (int i = 0; i < hosts; ++i) ports_.push_back({open_cable("cable" + std::to_string(i)), POLLIN, 0});
  }

  /// Waits for a frame, or until one is due, and moves what there is to move.
  void turn() {
    timespec patience{1, 0};
    if (!waiting_.empty()) {
      const auto left = std::max(Clock::duration::zero(), waiting_.front().due - Clock::now());
      patience = {0, std::chrono::duration_cast<std::chrono::nanoseconds>(left).count()};
    }
    ppoll(ports_.data(), ports_.size(), &patience, nullptr);
    for (std::size_t port = 0; port < ports_.size(); ++port)
      if (ports_[port].revents & POLLIN) receive(port);
    for (; !waiting_.empty() && waiting_.front().due <= Clock::now(); waiting_.pop_front()) {
      const Frame& frame = waiting_.front();
      (void)!write(ports_[frame.port].fd, frame.bytes.data(),
                   frame.bytes.size());  // a full queue loses it: as networks do
    }
  }

 private:
  void receive(std::size_t from) {
    for (int frames = 0; frames < 64; ++frames) {
      const ssize_t bytes = read(ports_[from].fd, buffer_.data(), buffer_.size());
      if (bytes < static_cast<ssize_t>(2 * kAddressBytes)) return;
      const Address to(buffer_.data(), kAddressBytes), sender(buffer_.data() + kAddressBytes, kAddressBytes);
      port_of_[sender] = from;
      const auto known = port_of_.find(to);
      for (std::size_t port = 0; port < ports_.size(); ++port)
        if (port != from && (known == port_of_.end() || known->second == port))
          waiting_.push_back({Clock::now() + delay_, port, {buffer_.data(), buffer_.data() + bytes}});
    }
  }

  std::chrono::microseconds delay_;
  std::vector<pollfd> ports_;
  std::map<Address, std::size_t> port_of_;
  std::deque<Frame> waiting_;  ///< all wait equally long, so the first is due first
  std::array<char, kFrameBytes> buffer_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: hosts_switch HOSTS DELAY_MS\n");
    return 2;
  }
  Switch network(std::atoi(argv[1]), std::chrono::microseconds(static_cast<long>(1000 * std::atof(argv[2]))));
  std::puts("ready");
  std::fflush(stdout);
  for (;;) network.turn();
}
