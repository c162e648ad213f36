# Debian's cross compiler (g++-aarch64-linux-gnu). EDGE_RUNNER_SYSROOT is a folder with the libraries
# for arm64, which `pipeline runner build --arm64` fills; without it, those of the system (multiarch).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
if(EDGE_RUNNER_SYSROOT)
  list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EDGE_RUNNER_SYSROOT)
  set(CMAKE_FIND_ROOT_PATH ${EDGE_RUNNER_SYSROOT})
  set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
  set(libraries ${EDGE_RUNNER_SYSROOT}/lib/aarch64-linux-gnu:${EDGE_RUNNER_SYSROOT}/usr/lib/aarch64-linux-gnu)
  set(CMAKE_EXE_LINKER_FLAGS_INIT -Wl,-rpath-link=${libraries})
  set(CMAKE_SHARED_LINKER_FLAGS_INIT -Wl,-rpath-link=${libraries})
  # The C library's own headers are the compiler's.
  set(CMAKE_CXX_FLAGS_INIT "-isystem ${EDGE_RUNNER_SYSROOT}/usr/include/aarch64-linux-gnu")
endif()
