// ONNX Runtime collects telemetry: it writes a log into the temporary folder and an id into the
// home folder, asks a shell for the disk's id, and looks up its maker's host. What it begins when
// its library is loaded no call ends; one variable of the environment, set before, keeps it from
// beginning.
#pragma once

namespace edge_runner {

// Sets that variable, whatever it was: nothing that this library loads calls home. Where it is set
// already, the environment is only read. False if there is no memory for it.
[[nodiscard]] bool telemetry_off() noexcept;

}  // namespace edge_runner
