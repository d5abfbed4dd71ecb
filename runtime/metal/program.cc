// A program on a stream of a GPU: every instruction is encoded by its family; what has no kernel for the GPU runs on
// the CPU once the GPU has done what came before.
#include <stdlib.h>
#include <string.h>

#include "metal/host.h"
#include "metal/join.h"

namespace denim::metal {

constexpr size_t kScratchAlign = 256, kScratchRing = size_t(64) << 20;

/// What is found out about a program once.
struct Prepared {
  int64_t scratch_bytes;
  size_t* scratch;  // of each instruction: its offset. Instructions share bytes only where all need more than the ring
  bool* on_gpu;
  Join* joins;  // `count` of the first of several that are one dispatch; 1 of all others
};

static bool has_float64(const Instruction& ins) {
  for (int i = 0; i < ins.n_in + ins.n_out; i++) if (ins.arrays[i].dtype == DType::float64) return true;
  if (!ins.fused) return false;
  for (int i = 0; i < ins.body->n_steps; i++) if (ins.body->steps[i].dtype == DType::float64) return true;
  return false;
}
static const char* name_of(const Instruction& ins) {
  const Fused* f = ins.body;
  const Op op = !ins.fused ? ins.op : f->n_steps ? f->steps[f->n_steps - 1].op : f->reduce_op;
  return kOpFacts[static_cast<int>(op)].name;
}
static const GpuKernel* kernel_for(const Instruction& ins) {
  const GpuKernel* k = gpu_kernel(ins.op);
  return k && (!k->can || k->can(ins.call)) ? k : nullptr;
}
static size_t scratch_of(const Instruction& ins, const GpuKernel* kernel) {
  if (ins.fused) return fused_scratch(*ins.body);
  return kernel->scratch ? kernel->scratch(ins.call) : 0;
}
static Prepared* prepare(const Program* p) {
  const size_t n = static_cast<size_t>(p->n_instructions);
  const size_t each = sizeof(size_t) + sizeof(Join) + sizeof(bool);
  Prepared* made = static_cast<Prepared*>(calloc(1, sizeof(Prepared) + n * each));
  if (!made) abort();
  made->scratch = reinterpret_cast<size_t*>(made + 1);
  made->joins = reinterpret_cast<Join*>(made->scratch + n);
  made->on_gpu = reinterpret_cast<bool*>(made->joins + n);
  size_t at = 0, most = 0;
  for (size_t k = 0; k < n; k++) {
    const Instruction& ins = p->instructions[k];
    const GpuKernel* kernel = ins.fused ? nullptr : kernel_for(ins);
    made->on_gpu[k] = ins.fused ? fused_can(*ins.body) : kernel != nullptr;
    if (!made->on_gpu[k]) {  // nothing else runs then
      if (static_cast<size_t>(p->scratch_bytes) > most) most = static_cast<size_t>(p->scratch_bytes);
      continue;
    }
    size_t bytes = scratch_of(ins, kernel);
    bytes = (bytes + kScratchAlign - 1) / kScratchAlign * kScratchAlign;
    if (at + bytes > kScratchRing) at = 0;
    made->scratch[k] = at;
    at += bytes;
    if (at > most) most = at;
  }
  made->scratch_bytes = static_cast<int64_t>(most);
  for (int32_t k = 0; k < p->n_instructions; k += made->joins[k].count)
    made->joins[k] = hardware().joins ? join_at(*p, k) : Join{Joint::none, 1};
  return made;
}

/// Without elements there is nothing to write.
static bool writes_nothing(const Instruction& ins) {
  for (int i = 0; i < ins.n_out; i++) if (ins.arrays[ins.n_in + i].size) return false;
  return true;
}
static Failure* run_on_cpu(Queue* q, const Program* p, Instruction* ins, const Run& run) {
  drain(q);
  count(&g_counters.fallbacks);
  const char* message = run_instruction(p, ins, run);
  return message ? failed_kernel(p, ins, message) : nullptr;
}
static Failure* encode(Encoder::State* s, const Program* p, Instruction* ins, const Run& run) {
  if (told_to_fail()) return failed_kernel(p, ins, "a failure asked for by a test");
  set_addresses(p, ins, run);
  Encoder encoder(s);
  if (ins->fused) {
    fused_encode(*ins->body, run.scratch, encoder);
  } else {
    const int at = kOpFacts[static_cast<int>(ins->op)].in_place;
    if (at >= 0 && ins->call.in[at].data != ins->call.out[0].data) count(&g_copies);
    ins->call.scratch = run.scratch;
    gpu_kernel(ins->op)->encode(ins->call, encoder);
  }
  return s->failure;
}
void copy_bytes(Encoder& e, const void* from, void* to, int64_t n) {
  e.kernel("host", "copy_bytes");
  for (int k = 0; k < 4; k += 2) {
    e.memory(k, from, n, kRead);
    e.memory(k + 1, to, n, kWrite);
  }
  e.value(4, static_cast<uint64_t>(n));
  e.threads({static_cast<uint32_t>((n + 15) / 16), 1, 1}, {256, 1, 1});
}
static Failure* encode_joined(Encoder::State* s, const Program* p, int32_t first, Join join, const Run& run) {
  if (told_to_fail()) return failed_kernel(p, &p->instructions[first], "a failure asked for by a test");
  for (int32_t k = first; k < first + join.count; k++) set_addresses(p, &p->instructions[k], run);
  Encoder encoder(s);
  encode_join(*p, first, join, encoder);
  return s->failure;
}
/// Inputs that this program writes over although somebody else needs them.
static void copy_entries(Encoder::State* s, const Job* job) {
  Encoder encoder(s);
  for (int i = 0; i < job->program->n_inputs; i++) {
    const Buffer* from = job->copy_from[i];
    const int64_t n = job->program->input_bytes[i];
    if (!from || !n) continue;
    copy_bytes(encoder, from->data, job->places[i]->data, n);
    count(&g_copies);
  }
}

static void break_flight(Flight* f, Failure* failure) {
  lock();
  if (f->broken) unshare(failure);
  else f->broken = failure;
  unlock();
}
/// For a profile: waits until the GPU is done. Instructions that share a dispatch get equal parts of its time.
static void time_alone(Queue* q, int64_t begin, int32_t n, int64_t* times) {
  drain(q);
  const int64_t each = (clock_ns() - begin) / n;
  for (int32_t i = 0; i < n; i++) {
    times[2 * i] = begin + i * each;
    times[2 * i + 1] = begin + (i + 1) * each;
  }
}
void encode_program(Queue* q, Flight* f, Program* p, const Run& run) {
  Encoder::State s = {};
  s.queue = q;
  s.flight = f;
  s.program = p;
  copy_entries(&s, f->job);
  if (s.failure) break_flight(f, s.failure);
  const Prepared* prepared = static_cast<const Prepared*>(p->gpu);
  pthread_mutex_lock(&p->running);
  for (int k = 0; k < p->n_instructions; k += prepared->joins[k].count) {
    Instruction* ins = &p->instructions[k];
    const Join join = prepared->joins[k];
    if (join.count == 1 && writes_nothing(*ins)) continue;
    count(&g_kernels, join.count);
    s.instruction = k;
    s.failure = nullptr;
    const int64_t begin = run.times ? clock_ns() : 0;
    if (join.count > 1) {
      f->made[k] = encode_joined(&s, p, k, join, run);
      for (int32_t i = 1; f->made[k] && i < join.count; i++) f->made[k + i] = share(f->made[k]);
    } else {
      Run own = run;
      own.scratch = run.scratch + prepared->scratch[k];
      f->made[k] = prepared->on_gpu[k] ? encode(&s, p, ins, own) : run_on_cpu(q, p, ins, own);
    }
    if (run.times) time_alone(q, begin, join.count, run.times + 2 * k);
  }
  pthread_mutex_unlock(&p->running);
}
}  // namespace denim::metal

namespace denim::gpu {
using namespace metal;

static Failure* refuse_float64(const Program* p) {
  for (int k = 0; k < p->n_instructions; k++) {
    const Instruction& ins = p->instructions[k];
    if (!has_float64(ins)) continue;
    return make_failure(kBadDevice,
                        "run float64 on the GPU\nanother dtype\nfloat64\nuse float32 (astype), or run it in "
                        "mx.stream(mx.cpu, ...)\n%s",
                        name_of(ins));
  }
  return nullptr;
}
Failure* ready_program(Program* p) {
  if (p->gpu) return nullptr;
  if (Failure* failure = refuse_float64(p)) return failure;
  p->gpu = prepare(p);
  return nullptr;
}
int64_t scratch_bytes(const Program* p) { return static_cast<const Prepared*>(p->gpu)->scratch_bytes; }
void forget(Program* p) { free(p->gpu); }

}  // namespace denim::gpu
