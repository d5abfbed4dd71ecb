// A test runner in forty lines: TEST(name) { CHECK(...); } registers itself; main.cc runs all and prints the summary.
#pragma once
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace denim::testing {
struct Test {
  const char* name;
  void (*run)();
  Test* next;
};
inline Test* g_tests = nullptr;
inline int g_failed_checks = 0;
struct Register {
  Test test;
  Register(const char* name, void (*run)()) : test{name, run, g_tests} { g_tests = &test; }
};
}  // namespace denim::testing

#define TEST(name)                                                              \
  static void test_##name();                                                    \
  static denim::testing::Register register_##name(#name, test_##name);          \
  static void test_##name()
#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      printf("%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition);      \
      denim::testing::g_failed_checks++;                                        \
    }                                                                           \
  } while (0)
#define CHECK_NEAR(got, want, tolerance)                                                              \
  do {                                                                                                \
    double g_ = (got), w_ = (want);                                                                   \
    if (!(fabs(g_ - w_) <= (tolerance)) && !(isnan(g_) && isnan(w_)) && g_ != w_) {                   \
      printf("%s:%d: got %.9g, want %.9g (+-%g)\n", __FILE__, __LINE__, g_, w_, (double)(tolerance)); \
      denim::testing::g_failed_checks++;                                                              \
    }                                                                                                 \
  } while (0)
