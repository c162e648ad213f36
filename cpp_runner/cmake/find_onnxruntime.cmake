# EDGE_HAS_ONNXRUNTIME, the target edge_onnxruntime (headers), ONNXRUNTIME_LIBRARY_DIR.
#
# Only headers are needed to build: the library is loaded when it is first used.
set(EDGE_HAS_ONNXRUNTIME OFF)
if(EDGE_RUNNER_ONNXRUNTIME)
  set(cache $ENV{XDG_CACHE_HOME})
  if(NOT cache)
    set(cache $ENV{HOME}/.cache)
  endif()
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/onnxruntime-version.txt version)
  find_path(ONNXRUNTIME_HEADERS onnxruntime_cxx_api.h
    HINTS ${cache}/edge-pipeline/onnxruntime-headers-${version} PATH_SUFFIXES onnxruntime
    DOC "Folder of onnxruntime_cxx_api.h")
  if(ONNXRUNTIME_HEADERS AND EXISTS ${ONNXRUNTIME_HEADERS}/onnxruntime_cxx_api.h)
    set(EDGE_HAS_ONNXRUNTIME ON)
    add_library(edge_onnxruntime INTERFACE)
    target_include_directories(edge_onnxruntime SYSTEM INTERFACE ${ONNXRUNTIME_HEADERS})
    # Its header has functions that want the library linked; none may be used.
    target_link_options(edge_onnxruntime INTERFACE ${EDGE_UNRESOLVED_NONE})
  else()
    edge_lacks(EDGE_RUNNER_ONNXRUNTIME "the backend for ONNX Runtime: no headers of it. \
`pipeline runner build` fetches them into the cache; or -DONNXRUNTIME_HEADERS=FOLDER")
  endif()
  if(NOT DEFINED ONNXRUNTIME_LIBRARY_DIR AND NOT CMAKE_CROSSCOMPILING)
    edge_python_package(onnxruntime package)
    if(package)
      set(ONNXRUNTIME_LIBRARY_DIR ${package}/capi CACHE PATH "Folder of libonnxruntime.so")
    endif()
  endif()
endif()
