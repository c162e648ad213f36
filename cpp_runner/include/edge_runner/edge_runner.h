/* The runner for C, and for whatever calls C. runner.hpp has the same in C++, and says more.
 *
 *   edge_error error;
 *   edge_runner_t* runner = NULL;
 *   if (edge_open("digits.bundle", NULL, &runner, &error) != EDGE_OK) puts(error.message);
 *   uint8_t pixels[28 * 28] = {0};
 *   int64_t shape[] = {1, 28, 28, 1};
 *   edge_tensor input = {EDGE_UINT8, shape, 4, pixels, sizeof pixels};
 *   edge_outputs* outputs = NULL;
 *   if (edge_run(runner, &input, 1, &outputs, &error) == EDGE_OK) {
 *     edge_tensor answer = edge_output(outputs, 0);
 *     printf("%f\n", ((const float*)answer.data)[0]);
 *     edge_outputs_free(outputs);
 *   }
 *   edge_free(runner);
 *
 * Functions that can fail give an edge_status, and describe it in `error` unless that is NULL; what
 * they would have made is then NULL. Nothing else is changed by a failure: the next run may
 * succeed.
 *
 * Threads: edge_run may be called from any number of threads on one runner, edge_close as well; it
 * waits for runs that are under way. edge_free must be the last call.
 *
 * Environment: this library sets ORT_DISABLE_TELEMETRY to 1; runner.hpp says when, and what threads
 * must know of it.
 *
 * Ownership: inputs are only read, and only during the call. Texts, ports and the artifact's id
 * live as long as their runner, an output's shape and data as long as their edge_outputs.
 */
#ifndef EDGE_RUNNER_H
#define EDGE_RUNNER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum edge_status {
  EDGE_OK = 0,

  /* The bundle is refused: the codes of docs/bundle-format.md. */
  EDGE_NOT_A_BUNDLE = 100,
  EDGE_LINK,
  EDGE_HARD_LINK,
  EDGE_NOT_A_FILE,
  EDGE_UNSAFE_NAME,
  EDGE_CASE_COLLISION,
  EDGE_TOO_DEEP,
  EDGE_TOO_MANY_FILES,
  EDGE_EMPTY_FOLDER,
  EDGE_MANIFEST_TOO_LARGE,
  EDGE_NOT_UTF8,
  EDGE_NOT_JSON,
  EDGE_NESTED_TOO_DEEP,
  EDGE_DUPLICATE_KEY,
  EDGE_UNSUPPORTED_SCHEMA,
  EDGE_UNKNOWN_KEY,
  EDGE_MISSING_KEY,
  EDGE_BAD_VALUE,
  EDGE_TENSOR_TOO_LARGE,
  EDGE_LISTED_TWICE,
  EDGE_INCONSISTENT,
  EDGE_UNLISTED_FILE,
  EDGE_MISSING_FILE,
  EDGE_WRONG_SIZE,
  EDGE_WRONG_HASH,

  EDGE_UNSAFE_MODEL = 200,

  EDGE_CANNOT_READ = 300,
  EDGE_NO_SUCH_ARTIFACT,
  EDGE_NO_FITTING_ARTIFACT,
  EDGE_NO_BACKEND,
  EDGE_BACKEND_FAILED,
  EDGE_BAD_INPUT,
  EDGE_BAD_OUTPUT,
  EDGE_NOT_FINITE,
  EDGE_CLOSED,
  EDGE_BAD_ARGUMENT,
  EDGE_OUT_OF_MEMORY,

  EDGE_INTERNAL = 900 /* a mistake of this library */
} edge_status;

typedef struct edge_error {
  edge_status status;
  char message[1024]; /* one line, ended by a zero; a longer one is cut */
} edge_error;

typedef enum edge_dtype {
  EDGE_BOOL = 0, /* a byte of 0 or 1 */
  EDGE_UINT8,
  EDGE_INT8,
  EDGE_INT16,
  EDGE_INT32,
  EDGE_INT64,
  EDGE_FLOAT16,
  EDGE_FLOAT32,
  EDGE_FLOAT64
} edge_dtype;

/* Numbers in C order; somebody else's. */
typedef struct edge_tensor {
  edge_dtype dtype;
  const int64_t* shape; /* `rank` sizes */
  size_t rank;
  const void* data;
  size_t bytes;
} edge_tensor;

typedef enum edge_backend_kind {
  EDGE_AUTOMATIC = 0, /* the one that reads the artifact's format */
  EDGE_ONNXRUNTIME,
  EDGE_LIBTORCH,
  EDGE_NULL
} edge_backend_kind;

/* All zero is the default. */
typedef struct edge_options {
  const char* artifact; /* an id; NULL or "": the first that passed and is for this CPU */
  edge_backend_kind backend;
  int threads;      /* of one run; 0 is 1, -1 all cores */
  int spinning;     /* not 0: idle threads of ONNX Runtime burn their core */
  int allow_failed; /* not 0: take an artifact whose verdict is not pass */
} edge_options;

/* An input or output of the signature. An axis of any size is -1. */
typedef struct edge_port {
  const char* name;
  edge_dtype dtype;
  const int64_t* shape;
  size_t rank;
  int64_t batch_axis; /* counts samples; -1 where all samples of a batch share it */
} edge_port;

typedef struct edge_runner_t edge_runner_t;
typedef struct edge_outputs edge_outputs;

/* Opens the bundle in a folder and loads one artifact. `options` may be NULL. */
edge_status edge_open(const char* folder, const edge_options* options, edge_runner_t** runner,
                      edge_error* error);

edge_status edge_run(const edge_runner_t* runner, const edge_tensor* inputs, size_t count,
                     edge_outputs** outputs, edge_error* error);

/* Gives the model back; runs that begin after it fail with EDGE_CLOSED. NULL is allowed. */
void edge_close(edge_runner_t* runner);
/* Closes, and frees the handle. NULL is allowed. */
void edge_free(edge_runner_t* runner);

size_t edge_input_count(const edge_runner_t* runner);
size_t edge_output_count(const edge_runner_t* runner);
/* `index` is below the count. */
edge_port edge_input_port(const edge_runner_t* runner, size_t index);
edge_port edge_output_port(const edge_runner_t* runner, size_t index);
const char* edge_artifact_id(const edge_runner_t* runner);

/* As many as edge_output_count; `index` is below it. */
edge_tensor edge_output(const edge_outputs* outputs, size_t index);
void edge_outputs_free(edge_outputs* outputs); /* NULL is allowed */

/* "wrong-hash" */
const char* edge_status_name(edge_status status);

#ifdef __cplusplus
}
#endif

#endif
