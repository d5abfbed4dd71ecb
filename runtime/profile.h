// When programs and their instructions ran: spans that a session collects while it is profiled, and `rt_profile` gives
// away. Without a profile there is none, and all that remains of this is a null pointer per program.
#pragma once
#include <stdint.h>

namespace denim {
struct Job;
struct Program;

/// What happened: instruction k ran, or one of these.
constexpr int32_t kRan = -1, kSubmitted = -2;
struct Span {
  int32_t stream, instruction;
  uint64_t seq;  // of the program, among those of its stream
  int64_t begin, end;  // nanoseconds of `clock_ns`
  int64_t active;      // bytes of buffers in use at the end
  bool worker;         // on the stream's thread, not on that of who submitted it
};
/// All that was noted and nobody has asked for yet. Under the lock.
struct Spans {
  bool kernels;  // instructions, too; on a GPU each is waited for then
  Span* list;
  int64_t n, capacity;
};

int64_t clock_ns();
/// Notes that the job was submitted.
void note_submitted(Job* job);
/// Room for the begin and the end of each instruction, zeroed; null where nobody asks for them. Under the lock.
int64_t* new_times(const Job* job);
/// Notes that the job has run, and its instructions, as far as they did. Frees the times.
void note_run(const Job* job, int64_t begin, int64_t* times, bool worker);

}  // namespace denim
