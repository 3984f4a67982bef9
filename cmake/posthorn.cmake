# Dependencies and the three functions every CMakeLists.txt below uses:
#   posthorn_library(NAME SOURCES ... [PUBLIC libs] [PRIVATE libs])
#   posthorn_test(NAME SOURCES ... LIBS ...)      one GoogleTest binary, registered with CTest
#   posthorn_executable(NAME SOURCES ... LIBS ...)

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
if(NOT POSTHORN_FUZZ AND NOT POSTHORN_PURE_ONLY)
  find_package(Protobuf REQUIRED)
  find_package(gRPC CONFIG REQUIRED)
endif()
if(BUILD_TESTING)
  find_package(GTest REQUIRED)
endif()

add_library(posthorn_options INTERFACE)
target_compile_options(posthorn_options INTERFACE
  -Wall -Wextra -Werror -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives of these from inlined library code at -O1 and above.
  target_compile_options(posthorn_options INTERFACE
    -Wno-maybe-uninitialized -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow
    -Wno-stringop-overread -Wno-dangling-pointer -Wno-psabi -Wno-tsan)
endif()
target_include_directories(posthorn_options INTERFACE ${PROJECT_SOURCE_DIR})

function(posthorn_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC posthorn_options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

function(posthorn_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE posthorn_options ${ARG_LIBS})
endfunction()

function(posthorn_test name)
  if(NOT BUILD_TESTING)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE posthorn_options ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS unit)
endfunction()
