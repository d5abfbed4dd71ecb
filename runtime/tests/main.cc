// Runs every TEST of the program, or those whose name contains an argument; prints the failed checks and a summary.
#include "tests/test.h"

int main(int argc, char** argv) {
  using namespace denim::testing;
  int run = 0, failed = 0;
  for (const Test* t = g_tests; t != nullptr; t = t->next) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; i++) wanted = wanted || strstr(t->name, argv[i]) != nullptr;
    if (!wanted) continue;
    const int before = g_failed_checks;
    t->run();
    run++;
    if (g_failed_checks == before) continue;
    failed++;
    printf("%s: failed\n", t->name);
  }
  printf("%d tests, %d failed\n", run, failed);
  return failed == 0 ? 0 : 1;
}
