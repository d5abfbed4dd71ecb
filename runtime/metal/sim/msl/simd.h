// Barriers, <metal_simdgroup> and <metal_quadgroup>. A collective hands its operands to the executor; the last lane to
// arrive does the work for all lanes, then all go on. As in Metal, values have at most 32 bits per element, and are
// neither bool nor bfloat.
#pragma once

namespace metal {
enum class mem_flags : uint {
  mem_none = 0,
  mem_device = 1,
  mem_threadgroup = 2,
  mem_texture = 4,
  mem_threadgroup_imageblock = 8
};
constexpr mem_flags operator|(mem_flags a, mem_flags b) { return mem_flags(uint(a) | uint(b)); }
MSL_FUNC void threadgroup_barrier(mem_flags f, MSL_WHERE) { dsim_threadgroup_barrier(uint(f), file, line); }
MSL_FUNC void simdgroup_barrier(mem_flags f, MSL_WHERE) {
  dsim_collective(nullptr, nullptr, 32, uint(f), "simdgroup_barrier", file, line);
}

namespace detail {
template <class T>
constexpr bool travels() {
  using E = element_t<T>;
  return sizeof(E) <= 4 && !is_same_v<E, bool> && !is_same_v<E, bfloat> && is_arithmetic_v<E>;
}
#define MSL_TRAVELS(T) \
  static_assert(metal::detail::travels<T>(), \
                "Metal's simdgroup functions take no 64-bit integers, bool, bfloat or structs")

template <class T>
struct Value {
  T in, out;
};
// A tree, as the hardware does it: not the order of a plain loop.
template <class T, class F>
MSL_HOST void reduce_lanes(void* const lanes[32], unsigned active) {
  T part[32];
  int n = 0;
  for (int i = 0; i < 32; i++)
    if (active >> i & 1) part[n++] = static_cast<Value<T>*>(lanes[i])->in;
  for (int step = 1; step < n; step *= 2)
    for (int i = 0; i + step < n; i += 2 * step) part[i] = F{}(part[i], part[i + step]);
  for (int i = 0; i < 32; i++)
    if (active >> i & 1) static_cast<Value<T>*>(lanes[i])->out = part[0];
}
template <class T, class F, bool inclusive>
MSL_HOST void scan_lanes(void* const lanes[32], unsigned active) {
  T sum = F::template identity<T>();
  for (int i = 0; i < 32; i++) {
    if (!(active >> i & 1)) continue;
    auto* v = static_cast<Value<T>*>(lanes[i]);
    T next = F{}(sum, v->in);
    v->out = inclusive ? next : sum;
    sum = next;
  }
}
struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return a + b;
  }
  template <class T>
  static T identity() {
    return T(0);
  }
};
struct Mul {
  template <class T>
  T operator()(T a, T b) const {
    return a * b;
  }
  template <class T>
  static T identity() {
    return T(1);
  }
};
#define MSL_COMBINER(Name, expression)   \
  struct Name {                          \
    template <class T>                   \
    T operator()(T a, T b) const {       \
      return expression;                 \
    }                                    \
  };
MSL_COMBINER(Min, metal::min(a, b))
MSL_COMBINER(Max, metal::max(a, b))
MSL_COMBINER(And, a & b)
MSL_COMBINER(Or, a | b)
MSL_COMBINER(Xor, a ^ b)

template <class T>
MSL_FUNC T meet(dsim::LaneOp op, T in, unsigned width, const char* what, const char* file, int line) {
  MSL_TRAVELS(T);
  Value<T> v{in, in};
  dsim_collective(op, &v, width, 0, what, file, line);
  return v.out;
}

// Shuffles: every lane names its source lane, or -1 for "keep the fill value".
template <class T>
struct Moved {
  T in, fill, out;
  int from;
};
template <class T>
MSL_HOST void move_lanes(void* const lanes[32], unsigned active) {
  for (int i = 0; i < 32; i++) {
    if (!(active >> i & 1)) continue;
    auto* v = static_cast<Moved<T>*>(lanes[i]);
    // Reading a lane that is not there is undefined on the GPU: give bits that show.
    if (v->from < 0)
      v->out = v->fill;
    else if (v->from < 32 && (active >> v->from & 1))
      v->out = static_cast<Moved<T>*>(lanes[v->from])->in;
    else
      __builtin_memset(&v->out, 0xff, sizeof(T));
  }
}
MSL_FUNC int my_lane() { return int(dsim_lane()); }
template <class T>
MSL_FUNC T shuffle(T x, T fill, int from, unsigned width, const char* what, const char* file, int line) {
  MSL_TRAVELS(T);
  Moved<T> v{x, fill, x, from};
  dsim_collective(move_lanes<T>, &v, width, 0, what, file, line);
  return v.out;
}
}  // namespace detail

#define MSL_REDUCE(name, F)                                                                                  \
  template <class T>                                                                                         \
  MSL_FUNC T simd_##name(T x, MSL_WHERE) {                                                                   \
    return detail::meet<T>(detail::reduce_lanes<T, detail::F>, x, 32, "simd_" #name, file, line);            \
  }                                                                                                          \
  template <class T>                                                                                         \
  MSL_FUNC T quad_##name(T x, MSL_WHERE) {                                                                   \
    return detail::meet<T>(detail::reduce_lanes<T, detail::F>, x, 4, "quad_" #name, file, line);             \
  }
MSL_REDUCE(sum, Add)
MSL_REDUCE(product, Mul)
MSL_REDUCE(min, Min)
MSL_REDUCE(max, Max)
MSL_REDUCE(and, And)
MSL_REDUCE(or, Or)
MSL_REDUCE(xor, Xor)
#define MSL_SCAN(name, F, inclusive)                                                                         \
  template <class T>                                                                                         \
  MSL_FUNC T simd_prefix_##name(T x, MSL_WHERE) {                                                            \
    return detail::meet<T>(detail::scan_lanes<T, detail::F, inclusive>, x, 32, "simd_prefix_" #name, file, line); \
  }
MSL_SCAN(inclusive_sum, Add, true)
MSL_SCAN(exclusive_sum, Add, false)
MSL_SCAN(inclusive_product, Mul, true)
MSL_SCAN(exclusive_product, Mul, false)
MSL_FUNC bool simd_any(bool x, MSL_WHERE) { return simd_or<uint>(x, file, line) != 0; }
MSL_FUNC bool simd_all(bool x, MSL_WHERE) { return simd_and<uint>(x, file, line) != 0; }

#define MSL_SHUFFLE(name, from_expression, first)                                                            \
  template <class T>                                                                                         \
  MSL_FUNC T simd_##name(T x, ushort n, MSL_WHERE) {                                                         \
    int lane = detail::my_lane(), from = (from_expression);                                                  \
    (void)lane;                                                                                              \
    return detail::shuffle<T>(x, x, from, 32, "simd_" #name, file, line);                                    \
  }
MSL_SHUFFLE(shuffle, int(n), 0)
MSL_SHUFFLE(broadcast, int(n), 0)
MSL_SHUFFLE(shuffle_xor, lane ^ int(n), 0)
MSL_SHUFFLE(shuffle_down, lane + n > 31 ? -1 : lane + n, 0)
MSL_SHUFFLE(shuffle_up, lane < n ? -1 : lane - n, 0)
MSL_SHUFFLE(shuffle_rotate_down, (lane + n) & 31, 0)
MSL_SHUFFLE(shuffle_rotate_up, (lane - n) & 31, 0)
template <class T>
MSL_FUNC T simd_shuffle_and_fill_up(T x, T fill, ushort n, MSL_WHERE) {
  // The last n elements of the fill come in at the bottom: lane i < n takes that of lane 32 - n + i.
  int l = detail::my_lane() - n;
  T moved = detail::shuffle<T>(x, x, l, 32, "simd_shuffle_and_fill_up", file, line);
  T filled = detail::shuffle<T>(fill, fill, l & 31, 32, "simd_shuffle_and_fill_up", file, line);
  return l < 0 ? filled : moved;
}
template <class T>
MSL_FUNC T simd_shuffle_and_fill_down(T x, T fill, ushort n, MSL_WHERE) {
  int l = detail::my_lane() + n;
  T moved = detail::shuffle<T>(x, x, l > 31 ? -1 : l, 32, "simd_shuffle_and_fill_down", file, line);
  T filled = detail::shuffle<T>(fill, fill, l & 31, 32, "simd_shuffle_and_fill_down", file, line);
  return l > 31 ? filled : moved;
}
#define MSL_QUAD(name, from_expression)                                                                      \
  template <class T>                                                                                         \
  MSL_FUNC T quad_##name(T x, ushort n, MSL_WHERE) {                                                         \
    int lane = detail::my_lane() & 3, from = (from_expression);                                              \
    (void)lane;                                                                                              \
    return detail::shuffle<T>(x, x, from, 4, "quad_" #name, file, line);                                     \
  }
MSL_QUAD(shuffle, n & 3)
MSL_QUAD(broadcast, n & 3)
MSL_QUAD(shuffle_xor, (lane ^ n) & 3)
MSL_QUAD(shuffle_up, lane < n ? -1 : lane - n)
MSL_QUAD(shuffle_down, lane + n > 3 ? -1 : lane + n)

struct simd_vote {
  typedef ulong vote_t;
  vote_t bits;
  explicit constexpr simd_vote(vote_t v = 0) : bits(v) {}
  explicit constexpr operator vote_t() const { return bits; }
  constexpr bool all() const { return bits == 0xffffffffull; }
  constexpr bool any() const { return bits != 0; }
};
MSL_FUNC simd_vote simd_ballot(bool x, MSL_WHERE) {
  return simd_vote(simd_or<uint>(x ? 1u << detail::my_lane() : 0u, file, line));
}
MSL_FUNC simd_vote simd_active_threads_mask(MSL_WHERE) {
  return simd_vote(simd_or<uint>(1u << detail::my_lane(), file, line));
}
MSL_FUNC bool simd_is_first(MSL_WHERE) { return simd_min<int>(detail::my_lane(), file, line) == detail::my_lane(); }
template <class T>
MSL_FUNC T simd_broadcast_first(T x, MSL_WHERE) {
  return simd_broadcast<T>(x, ushort(simd_min<int>(detail::my_lane(), file, line)), file, line);
}
}  // namespace metal
