// Sessions: one that ends finishes what has begun, and drops what has not.
#include "session.h"

#include "fuzz/seeds.h"
#include "rt.h"
#include "test.h"

namespace denim {
namespace {

TEST(session_that_ends_drops_what_has_not_begun) {
  constexpr uint32_t kFloats = 15, kJobs = 5;
  fuzz::Pool pool;
  pool.used = 0;
  fuzz::Tree t = {&pool, 0, {}, {}, {}, {}, {}, {}};
  fuzz::kernel_seed({Op::cumsum, "f32[3,5] -> f32[3,5]", "1 0 1"}, &t);
  const fuzz::List<double> words = fuzz::write_tree(t);
  const uint8_t zeros[kFloats * sizeof(float)] = {};
  const int64_t active = g_memory.active;
  const double session = rt_session_open();
  double program, buffer[3], output[3];
  CHECK(rt_prepare(session, words.at, words.n, &program) == kOk);
  CHECK(rt_upload(session, zeros, sizeof zeros, buffer) == kOk);
  lock();  // the stream's thread needs it to begin
  Session* s = find_session(session);
  const double inputs[2] = {buffer[0], 0};
  const int64_t before = g_kernels;
  for (uint32_t i = 0; i < kJobs; i++)
    CHECK(submit(s, 0, find_program(s, program), inputs, 1, output, 1, false) == kOk);
  CHECK(s->streams[0]->submitted == kJobs && s->streams[0]->completed == 0);
  close_session(s);
  CHECK(g_kernels == before);
  CHECK(g_memory.active == active);
  CHECK(!find_session(session));
  unlock();
}

TEST(session_that_is_left_is_closed_by_the_next) {
  const uint8_t zeros[64] = {};
  lock();
  const int64_t active = g_memory.active;
  unlock();
  const double first = rt_session_open(), kept = rt_session_open();
  double buffer[3];
  CHECK(rt_upload(first, zeros, sizeof zeros, buffer) == kOk);
  rt_session_leave(first);
  CHECK(rt_refs(first, buffer[0]) == 1);  // code that runs while the isolate ends may still use it
  const double next = rt_session_open();
  lock();
  CHECK(!find_session(first) && find_session(kept) && find_session(next));
  CHECK(g_memory.active == active);
  unlock();
  rt_session_close(next);
  rt_session_close(kept);
}

}  // namespace
}  // namespace denim
