#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace edge {

// SHA-256 by libcrypto, which uses the CPU's instructions for it. Throws Failure if it is not
// there.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  [[nodiscard]] std::string hex();  // 64 digits in lower case; ends the computation

 private:
  struct Free {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, Free> context_;
};

}  // namespace edge
