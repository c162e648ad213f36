// The memory of this process, as Linux counts it.
#pragma once

#include <cstdint>

namespace edge_runner::tool {

// Makes the peak start again at what is held now, where the system allows it.
void reset_peak();

// The most resident memory since the start or the last reset; 0 where the system does not tell.
std::uint64_t peak_bytes();

}  // namespace edge_runner::tool
