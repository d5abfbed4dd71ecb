// Turns the dispatches that families describe into Metal calls, with a barrier only where two dispatches collide.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metal/host.h"

namespace denim::metal {

// ---- hazards --------------------------------------------------------------------------------------------------------
bool Hazards::collides(const Range* more, int n_more) const {
  for (int i = 0; i < n; i++)
    for (int k = 0; k < n_more; k++)
      if (((ranges[i].access | more[k].access) & kWrite) && ranges[i].begin < more[k].end &&
          more[k].begin < ranges[i].end)
        return true;
  return false;
}
void Hazards::add(const Range* more, int n_more) {
  if (n + n_more > capacity) {
    capacity = 2 * (n + n_more);
    ranges = static_cast<Range*>(realloc(ranges, sizeof(Range) * static_cast<size_t>(capacity)));
    if (!ranges) abort();
  }
  memcpy(ranges + n, more, sizeof(Range) * static_cast<size_t>(n_more));
  n += n_more;
}

// ---- kernels --------------------------------------------------------------------------------------------------------
/// Takes the pipeline, or notes why there is none.
static void use(Encoder::State* s, const Pipeline* p, const char* name) {
  s->n_arguments = 0;
  s->pipeline = p;
  s->name = name;
  if (p->state || s->failure) return;
  s->failure = make_failure(kKernelFailed,
                            "compile the kernel %s for the GPU\na source that Metal accepts\n%s\ncorrect the source, "
                            "or report this if it is not yours\n%s",
                            name, p->error, name);
}
static void refuse(Encoder::State* s, const char* expected, const char* got) {
  if (s->failure) return;
  s->failure = make_failure(kKernelFailed, "run a kernel on the GPU\n%s\n%s\nreport this as a bug\n%s", expected, got,
                            s->name);
}
void Encoder::kernel(const char* source, const char* function, const char* defines, const int32_t* constants,
                     int n_constants) {
  use(state, pipeline({source, nullptr, function, defines, constants, n_constants}, true), function);
}
bool Encoder::generated(const char* name, const char* text, const char* function, bool wait, const int32_t* constants,
                        int n_constants) {
  const Pipeline* p = pipeline({name, text, function, "", constants, n_constants}, wait);
  if (p) use(state, p, name);
  return p != nullptr;
}
bool Encoder::kept() const { return state->program->kept; }
int Encoder::max_threads() const { return 1024; }
int Encoder::cores() const { return hardware().cores; }
const char* Encoder::jit() const { return hardware().jit; }

/// Memory that no Metal buffer can be made around: all of it is the pool's, so there is too much of it.
static void too_long(Encoder::State* s, int64_t nbytes) {
  s->failure = make_failure(kBadArgument,
                            "use an array on the GPU\nat most %lld bytes (maxBufferLength)\n%lld bytes\n"
                            "use parts of it, or compute with it in mx.stream(mx.cpu, ...)\n%s",
                            static_cast<long long>(hardware().device->maxBufferLength()),
                            static_cast<long long>(nbytes), s->name);
}
// ---- arguments ------------------------------------------------------------------------------------------------------
static void bind(Encoder::State* s, int index, const uint8_t* at, const uint8_t* begin, const uint8_t* end,
                 Access access) {
  if (s->failure) return;
  if (s->n_arguments == kMaxArguments || index < 0 || index >= kMaxArguments)
    return refuse(s, "at most 31 arguments", "more");
  if (begin == end) {  // nothing to see: any memory will do
    open_encoder(s->queue)->setBuffer(hardware().nothing, 0, static_cast<NS::UInteger>(index));
    return;
  }
  const Place place = place_of(begin, end - begin);
  if (!place.buffer) return too_long(s, end - begin);
  open_encoder(s->queue)->setBuffer(place.buffer, place.offset + static_cast<uint64_t>(at - begin),
                                    static_cast<NS::UInteger>(index));
  s->bound[s->n_arguments] = at;
  s->indices[s->n_arguments] = index;
  s->arguments[s->n_arguments++] = {begin, end, access};
}
void Encoder::array(int index, const Array& a, Access access) {
  int64_t first = 0, last = 0;
  for (int i = 0; i < a.ndim && a.size; i++) {
    const int64_t reach = (a.shape[i] - 1) * a.strides[i];
    (reach < 0 ? first : last) += reach;
  }
  const int64_t item = item_size(a.dtype);
  bind(state, index, a.data, a.data + first * item, a.size ? a.data + (last + 1) * item : a.data, access);
}
void Encoder::memory(int index, const void* at, int64_t nbytes, Access access) {
  const uint8_t* begin = static_cast<const uint8_t*>(at);
  bind(state, index, begin, begin, begin + nbytes, access);
}
void Encoder::bytes(int index, const void* data, size_t nbytes) {
  if (state->failure) return;
  if (nbytes > 4096) return refuse(state, "at most 4096 bytes in a command", "more");
  open_encoder(state->queue)->setBytes(data, nbytes, static_cast<NS::UInteger>(index));
}
void Encoder::list(int index, const int64_t* data, int n) {
  const int64_t none = 0;
  bytes(index, n ? data : &none, sizeof(int64_t) * static_cast<size_t>(n ? n : 1));
}
void Encoder::bad_index(int index, int part) {
  if (state->failure) return;
  const Word* word = new_word(state->queue, state->flight, state->instruction + part);
  const Place place = place_of(word);
  open_encoder(state->queue)->setBuffer(place.buffer, place.offset, static_cast<NS::UInteger>(index));
}
void Encoder::local(int index, size_t nbytes) {
  if (state->failure) return;
  open_encoder(state->queue)->setThreadgroupMemoryLength((nbytes + 15) / 16 * 16, static_cast<NS::UInteger>(index));
}

// ---- dispatches -----------------------------------------------------------------------------------------------------
/// "0:r-64+256 1:w-0+1024": of each argument its index, its use, its bytes before and from the bound address on.
static void mark(const Encoder::State* s, MTL::ComputeCommandEncoder* e) {
  char text[kMaxArguments * 48];
  size_t n = 0;
  for (int i = 0; i < s->n_arguments; i++) {
    const Range& r = s->arguments[i];
    constexpr const char* uses[] = {"", "r", "w", "rw"};
    n += static_cast<size_t>(snprintf(text + n, sizeof text - n, "%s%d:%s-%lld+%lld", i ? " " : "", s->indices[i],
                                      uses[r.access], static_cast<long long>(s->bound[i] - r.begin),
                                      static_cast<long long>(r.end - s->bound[i])));
  }
  e->insertDebugSignpost(string(text));
}
/// Bytes of the arguments; memory that is bound twice, as one array or in place of one that is not used, counts once.
static int64_t bytes_named(const Range* ranges, int n) {
  int64_t bytes = 0;
  for (int i = 0; i < n; i++) {
    bool again = false;
    for (int k = 0; k < i; k++) again |= ranges[k].begin == ranges[i].begin && ranges[k].end == ranges[i].end;
    if (!again) bytes += ranges[i].end - ranges[i].begin;
  }
  return bytes;
}
static uint64_t product(Size s) { return uint64_t(s.x) * s.y * s.z; }

static void encode_dispatch(Encoder::State* s, Size grid, Size group, bool whole_groups) {
  if (static_cast<int64_t>(product(group)) > s->pipeline->max_threads)
    return refuse(s, "threadgroups that the pipeline takes (maxTotalThreadsPerThreadgroup)", "larger ones");
  MTL::ComputeCommandEncoder* e = open_encoder(s->queue);
  Hazards& side_by_side = hazards(s->queue);
  if (side_by_side.collides(s->arguments, s->n_arguments)) {
    e->memoryBarrier(MTL::BarrierScopeBuffers);
    count(&g_counters.barriers);
    side_by_side.n = 0;
  }
  side_by_side.add(s->arguments, s->n_arguments);
  e->setComputePipelineState(s->pipeline->state);
  if (hardware().marks) mark(s, e);
  const MTL::Size of_grid(grid.x, grid.y, grid.z), of_group(group.x, group.y, group.z);
  if (whole_groups) e->dispatchThreadgroups(of_grid, of_group);
  else e->dispatchThreads(of_grid, of_group);
  dispatched(s->queue, bytes_named(s->arguments, s->n_arguments));
}
static void dispatch(Encoder::State* s, Size grid, Size group, bool whole_groups) {
  if (!s->failure && product(grid) && product(group)) encode_dispatch(s, grid, group, whole_groups);
  s->n_arguments = 0;
}
void Encoder::threads(Size grid, Size group) { dispatch(state, grid, group, false); }
void Encoder::groups(Size groups, Size group) { dispatch(state, groups, group, true); }

}  // namespace denim::metal
