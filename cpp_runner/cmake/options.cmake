# What can be chosen, and how everything here is compiled.
set(EDGE_RUNNER_ONNXRUNTIME AUTO CACHE STRING "Backend for ONNX artifacts: AUTO, ON, OFF")
set(EDGE_RUNNER_LIBTORCH AUTO CACHE STRING "Backend for TorchScript artifacts: AUTO, ON, OFF")
option(EDGE_RUNNER_TOOL "Build the program edge-runner" ON)
option(EDGE_RUNNER_TESTS "Build the tests" OFF)
option(EDGE_RUNNER_BENCH "Build bare programs to compare with" OFF)
option(EDGE_RUNNER_FUZZ "Build the fuzz targets; needs clang" OFF)
option(EDGE_RUNNER_WERROR "Warnings are errors" OFF)
set(EDGE_RUNNER_SANITIZE "" CACHE STRING "Sanitizers, such as address,undefined or thread")
set(EDGE_RUNNER_PYTHON python3 CACHE STRING "A Python that has torch and onnxruntime")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# The time is the backends'. With these, instead of -O3, the files are a seventh to a sixth smaller.
add_compile_options("$<$<CONFIG:Release>:-O2;-ffunction-sections;-fdata-sections>")
add_link_options($<$<CONFIG:Release>:-Wl,--gc-sections>)

include(GNUInstallDirs)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Modules are looked for beside the library: in the build folder as in an installed one.
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${CMAKE_INSTALL_LIBDIR})
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${CMAKE_INSTALL_BINDIR})
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")

add_library(edge_options INTERFACE)
target_compile_features(edge_options INTERFACE cxx_std_20)
target_compile_options(edge_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # GCC 12 finds it in std::string's own operator+
  $<$<BOOL:${EDGE_RUNNER_WERROR}>:-Werror>)
if(EDGE_RUNNER_SANITIZE)
  add_compile_options(-fsanitize=${EDGE_RUNNER_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${EDGE_RUNNER_SANITIZE})
endif()
# What a module may leave unresolved. With a sanitizer nothing is said: its symbols are the program's.
if(NOT EDGE_RUNNER_SANITIZE)
  set(EDGE_UNRESOLVED_NONE -Wl,--no-undefined)
  set(EDGE_UNRESOLVED_IN_LIBRARIES -Wl,--unresolved-symbols=ignore-in-shared-libs)
endif()
if(EDGE_RUNNER_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# A shared library exports what a version script lists, whatever else is linked into it.
function(edge_export_only target map)
  target_link_options(${target} PRIVATE -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/${map})
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${map})
endfunction()

# The folder of a Python package, without importing it; empty if there is none.
function(edge_python_package name result)
  execute_process(
    COMMAND ${EDGE_RUNNER_PYTHON} -c
      "import importlib.util as u; s = u.find_spec('${name}'); print(*(s.submodule_search_locations if s else []), end='')"
    OUTPUT_VARIABLE folder ERROR_QUIET)
  set(${result} "${folder}" PARENT_SCOPE)
endfunction()

# Says what a backend lacks: an error where it must be built.
function(edge_lacks option what)
  if(${option} STREQUAL AUTO)
    message(STATUS "Not built: ${what}")
  else()
    message(FATAL_ERROR "${what}")
  endif()
endfunction()
