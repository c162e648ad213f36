/* The C header as C sees it. */
#include "edge_runner/edge_runner.h"

edge_status open_null(const char* folder, edge_runner_t** runner, edge_error* error);

edge_status open_null(const char* folder, edge_runner_t** runner, edge_error* error) {
  edge_options options = {0};
  options.backend = EDGE_NULL;
  return edge_open(folder, &options, runner, error);
}
