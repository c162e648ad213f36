#include "bundle/filling_hash.hpp"

#include <limits>
#include <system_error>

namespace edge_runner {
namespace {

// A thread takes some 50 µs to start, in which 0.1 MB are hashed.
constexpr std::size_t kWorthAThread = std::size_t{1} << 20U;
constexpr std::size_t kAbandoned = std::numeric_limits<std::size_t>::max();

}  // namespace

FillingHash::FillingHash(std::span<const std::byte> buffer) : buffer_(buffer) {
  if (buffer.size() < kWorthAThread || std::thread::hardware_concurrency() < 2) return;
  try {
    thread_ = std::thread([this] { follow(); });
  } catch (const std::system_error&) {
    // No more threads for this process: then it is hashed here.
  }
}

FillingHash::~FillingHash() {
  if (!thread_.joinable()) return;
  filled_.store(kAbandoned, std::memory_order_release);
  filled_.notify_one();
  thread_.join();
}

void FillingHash::filled(std::size_t bytes) noexcept {
  if (!thread_.joinable()) {
    hash_up_to(bytes);
    return;
  }
  filled_.store(bytes, std::memory_order_release);
  filled_.notify_one();
}

std::string FillingHash::hex() {
  if (thread_.joinable()) thread_.join();
  return hash_.hex();
}

void FillingHash::follow() noexcept {
  while (hashed_ < buffer_.size()) {
    filled_.wait(hashed_, std::memory_order_acquire);
    const std::size_t until = filled_.load(std::memory_order_acquire);
    if (until == kAbandoned) return;
    hash_up_to(until);
  }
}

void FillingHash::hash_up_to(std::size_t bytes) noexcept {
  hash_.update(buffer_.subspan(hashed_, bytes - hashed_));
  hashed_ = bytes;
}

}  // namespace edge_runner
