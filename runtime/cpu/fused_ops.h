// Loops that turn an operation on one element (or one vector) into a tile kernel, and the choice of a kernel by type.
// Included by fused_ops_*.cc only.
#pragma once
#include <math.h>

#include "cpu/fused.h"
#include "cpu/simd.h"

namespace denim::DENIM_ISA {

/// Groups of types, so that an op can say where it is defined.
enum : unsigned {
  kBool = 1,
  kUnsigned = 2,
  kSigned = 4,
  kFloat = 8,
  kComplex = 16,
  kInts = 6,
  kReal = 14,
  kNumbers = 30,
  kAll = 31
};

// X(name in Type, C++ type, group)
#define DENIM_TYPES(X)        \
  X(bool_, Bool, kBool)       \
  X(u8, uint8_t, kUnsigned)   \
  X(u16, uint16_t, kUnsigned) \
  X(u32, uint32_t, kUnsigned) \
  X(u64, uint64_t, kUnsigned) \
  X(i8, int8_t, kSigned)      \
  X(i16, int16_t, kSigned)    \
  X(i32, int32_t, kSigned)    \
  X(i64, int64_t, kSigned)    \
  X(f32, float, kFloat)       \
  X(f64, double, kFloat)      \
  X(c64, Complex, kComplex)

// Loops over libm calls and divisions of integers stay scalar, and that is no fault.
#pragma clang diagnostic ignored "-Wpass-failed"

/// Iterations are independent: an output is an argument itself or does not touch it.
#define DENIM_EACH(i, n) _Pragma("clang loop vectorize(assume_safety)") for (int64_t i = 0; i < (n); i++)

template <class T>
constexpr bool is_float = __is_floating_point(T);
template <class T>
constexpr bool is_complex = __is_same(T, Complex);
/// Integer arithmetic wraps: done in uint64, where nothing is undefined; the compiler narrows it again.
template <class T>
constexpr uint64_t raw(T x) {
  return static_cast<uint64_t>(x);
}

/// bool is computed as uint8, and its results are 0 or 1 whatever comes out.
template <class T>
constexpr T argument(T x) {
  return x;
}
constexpr uint8_t argument(Bool x) { return x.byte != 0; }
template <bool kFirst, class A, class B>
struct Choose {
  using type = A;
};
template <class A, class B>
struct Choose<false, A, B> {
  using type = B;
};
/// What a tile holds of results R of arguments T.
template <class T, class R>
using Stored = typename Choose<__is_same(T, Bool) || __is_same(R, bool), Bool, R>::type;
template <class S, class R>
constexpr S stored(R r) {
  if constexpr (__is_same(S, Bool)) return Bool{static_cast<uint8_t>(r != 0)};
  else return r;
}

template <class F, class T>
void map1(void* out, const void* a, const void*, const void*, int64_t n) {
  using S = Stored<T, decltype(F{}(argument(T{})))>;
  const auto* x = static_cast<const T*>(a);
  auto* y = static_cast<S*>(out);
  DENIM_EACH(i, n) y[i] = stored<S>(F{}(argument(x[i])));
}
template <class F, class T>
void map2(void* out, const void* a, const void* b, const void*, int64_t n) {
  using S = Stored<T, decltype(F{}(argument(T{}), argument(T{})))>;
  const auto *x = static_cast<const T*>(a), *z = static_cast<const T*>(b);
  auto* y = static_cast<S*>(out);
  DENIM_EACH(i, n) y[i] = stored<S>(F{}(argument(x[i]), argument(z[i])));
}
/// The same for functions of whole vectors of float32 (math.h); the rest of the tile is a part of a vector.
template <class F>
DENIM_WIDE void map1_vector(void* out, const void* a, const void*, const void*, int64_t n) {
  const auto* x = static_cast<const float*>(a);
  auto* y = static_cast<float*>(out);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, F{}(load<F32>(x + i)));
  if (i < n) store_part(y + i, F{}(load_part<F32>(x + i, n - i)), n - i);
}
template <class F>
DENIM_WIDE void map2_vector(void* out, const void* a, const void* b, const void*, int64_t n) {
  const auto *x = static_cast<const float*>(a), *z = static_cast<const float*>(b);
  auto* y = static_cast<float*>(out);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, F{}(load<F32>(x + i), load<F32>(z + i)));
  if (i < n) store_part(y + i, F{}(load_part<F32>(x + i, n - i), load_part<F32>(z + i, n - i)), n - i);
}

/// The kernel for a type, if the op is defined on the type's group.
template <class F, unsigned kGroups>
StepFn pick1(Type type) {
  switch (type) {
#define X(name, T, group)                                      \
  case Type::name:                                             \
    if constexpr ((kGroups & (group)) != 0) return map1<F, T>; \
    break;
    DENIM_TYPES(X)
#undef X
  }
  return nullptr;
}
template <class F, unsigned kGroups>
StepFn pick2(Type type) {
  switch (type) {
#define X(name, T, group)                                      \
  case Type::name:                                             \
    if constexpr ((kGroups & (group)) != 0) return map2<F, T>; \
    break;
    DENIM_TYPES(X)
#undef X
  }
  return nullptr;
}

}  // namespace denim::DENIM_ISA
