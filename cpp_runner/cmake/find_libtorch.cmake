# EDGE_HAS_LIBTORCH, the target edge_libtorch, LIBTORCH_LIBRARY_DIR.
#
# The torch wheel is a LibTorch. Its own package file wants a CUDA toolkit where it was built with
# CUDA, so headers and libraries are looked for by themselves; CUDA is not used.
set(EDGE_HAS_LIBTORCH OFF)
if(EDGE_RUNNER_LIBTORCH)
  if(NOT LibTorch_ROOT AND NOT CMAKE_CROSSCOMPILING)
    edge_python_package(torch LibTorch_ROOT)
  endif()
  if(LibTorch_ROOT AND EXISTS ${LibTorch_ROOT}/include/torch/csrc/jit/api/module.h
      AND EXISTS ${LibTorch_ROOT}/lib/libtorch_cpu.so)
    set(EDGE_HAS_LIBTORCH ON)
    set(LIBTORCH_LIBRARY_DIR ${LibTorch_ROOT}/lib)
    add_library(edge_libtorch INTERFACE)
    target_include_directories(edge_libtorch SYSTEM INTERFACE ${LibTorch_ROOT}/include)
    target_link_libraries(edge_libtorch INTERFACE
      ${LIBTORCH_LIBRARY_DIR}/libtorch_cpu.so ${LIBTORCH_LIBRARY_DIR}/libc10.so)
    # What LibTorch itself needs (CUDA's runtime, for one) is its own folder's to find.
    target_link_options(edge_libtorch INTERFACE ${EDGE_UNRESOLVED_IN_LIBRARIES})
  else()
    edge_lacks(EDGE_RUNNER_LIBTORCH "the backend for LibTorch: no LibTorch. Let \
EDGE_RUNNER_PYTHON be a Python that has torch, or LibTorch_ROOT the folder with include/ and lib/")
  endif()
endif()
