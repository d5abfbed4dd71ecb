// <metal_atomic>. One lane runs at a time, so plain code is atomic; the executor is told, so that its race check can
// tell atomic accesses from plain ones. Metal has no 64-bit atomics but min and max, and for float only add and sub.
#pragma once

namespace metal {
enum memory_order { memory_order_relaxed, memory_order_seq_cst };
enum thread_scope { thread_scope_thread, thread_scope_simdgroup, thread_scope_threadgroup, thread_scope_device };
MSL_FUNC void atomic_thread_fence(mem_flags, memory_order, thread_scope = thread_scope_device) {}

template <class T>
struct atomic {
  T value;
};
typedef atomic<int> atomic_int;
typedef atomic<uint> atomic_uint;
typedef atomic<ulong> atomic_ulong;
typedef atomic<float> atomic_float;
typedef atomic<bool> atomic_bool;

namespace detail {
template <class T>
constexpr bool atomic_word() {
  return is_same_v<T, int> || is_same_v<T, uint> || is_same_v<T, bool> || is_same_v<T, float>;
}
#define MSL_ATOMIC(T) static_assert(metal::detail::atomic_word<T>(), "Metal's atomics are of int, uint, bool or float")
}  // namespace detail

template <class T>
MSL_HOST T atomic_load_explicit(const atomic<T>* p, memory_order) {
  MSL_ATOMIC(T);
  dsim_atomic_access(p, sizeof(T), false);
  return p->value;
}
template <class T, class X>
MSL_HOST void atomic_store_explicit(atomic<T>* p, X v, memory_order) {
  MSL_ATOMIC(T);
  dsim_atomic_access(p, sizeof(T), true);
  p->value = T(v);
}
template <class T, class X>
MSL_HOST T atomic_exchange_explicit(atomic<T>* p, X v, memory_order) {
  MSL_ATOMIC(T);
  dsim_atomic_access(p, sizeof(T), true);
  T old = p->value;
  p->value = T(v);
  return old;
}
#define MSL_FETCH(name, expression, allowed)                                                          \
  template <class T, class X>                                                                         \
  MSL_HOST T atomic_fetch_##name##_explicit(atomic<T>* p, X x, memory_order) {                        \
    static_assert(allowed, "Metal has no atomic_fetch_" #name "_explicit for this type");             \
    dsim_atomic_access(p, sizeof(T), true);                                                           \
    T a = p->value, b = T(x);                                                                         \
    p->value = T(expression);                                                                         \
    return a;                                                                                         \
  }
#define MSL_ATOMIC_INT (is_same_v<T, int> || is_same_v<T, uint>)
MSL_FETCH(add, a + b, (MSL_ATOMIC_INT || is_same_v<T, float>))
MSL_FETCH(sub, a - b, (MSL_ATOMIC_INT || is_same_v<T, float>))
MSL_FETCH(min, (b < a ? b : a), MSL_ATOMIC_INT)
MSL_FETCH(max, (a < b ? b : a), MSL_ATOMIC_INT)
MSL_FETCH(and, a & b, MSL_ATOMIC_INT)
MSL_FETCH(or, a | b, MSL_ATOMIC_INT)
MSL_FETCH(xor, a ^ b, MSL_ATOMIC_INT)
#define MSL_ULONG(name, expression)                                                                   \
  MSL_HOST inline void atomic_##name##_explicit(atomic<ulong>* p, ulong b, memory_order) {            \
    dsim_atomic_access(p, sizeof(ulong), true);                                                       \
    ulong a = p->value;                                                                               \
    p->value = expression;                                                                            \
  }
MSL_ULONG(min, b < a ? b : a)
MSL_ULONG(max, a < b ? b : a)
template <class T>
MSL_HOST bool atomic_compare_exchange_weak_explicit(atomic<T>* p, T* expected, T v, memory_order, memory_order) {
  MSL_ATOMIC(T);
  dsim_atomic_access(p, sizeof(T), true);
  if (!__builtin_memcmp(&p->value, expected, sizeof(T))) {
    p->value = v;
    return true;
  }
  *expected = p->value;
  return false;
}
}  // namespace metal
