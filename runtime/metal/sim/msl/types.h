// Scalars, vectors and how they are made, as_type, arrays (Metal Shading Language, chapter 2).
#pragma once

typedef __INT8_TYPE__ int8_t;
typedef __UINT8_TYPE__ uint8_t;
typedef __INT16_TYPE__ int16_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __INT32_TYPE__ int32_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __INT64_TYPE__ int64_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ptrdiff_t;
typedef _Float16 half;
#if __METAL_VERSION__ >= 310
typedef __bf16 bfloat;
#else
struct bfloat;  // Metal 3.1
#endif
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;

namespace metal {
using ::ptrdiff_t;
using ::size_t;

template <class T, int N>
using vec = T __attribute__((ext_vector_type(N)));

template <class V>
struct vec_traits {
  using element = V;
  static constexpr int size = 1;
  static constexpr bool is_vec = false;
};
template <class T, int N>
struct vec_traits<vec<T, N>> {
  using element = T;
  static constexpr int size = N;
  static constexpr bool is_vec = true;
};
template <class V>
using element_t = typename vec_traits<V>::element;
template <class V>
inline constexpr int size_of_v = vec_traits<V>::size;

// V(a, b, ...): Clang has no such constructor in C++, so the translator writes make<V>(a, b, ...).
template <class V>
struct Maker {
  V v{};
  int at = 0;
  template <class X>
  constexpr void put(X x) {
    if constexpr (vec_traits<X>::is_vec)
      for (int i = 0; i < size_of_v<X>; i++) v[at++] = static_cast<element_t<V>>(x[i]);
    else
      v[at++] = static_cast<element_t<V>>(x);
  }
};
template <class V>
MSL_FUNC constexpr V make() {
  return V{};
}
template <class V, class X>
MSL_FUNC constexpr V make(X x) {
  if constexpr (!vec_traits<V>::is_vec)
    return static_cast<V>(x);
  else if constexpr (vec_traits<X>::is_vec)
    return __builtin_convertvector(x, V);
  else if constexpr (__is_convertible_to(X, element_t<V>))
    return V(static_cast<element_t<V>>(x));
  else
    return static_cast<V>(x);
}
template <class V, class A, class B, class... X>
MSL_FUNC constexpr V make(A a, B b, X... x) {
  Maker<V> m;
  m.put(a), m.put(b), (m.put(x), ...);
  return m.v;
}

/// {a, b, c} as an argument becomes a vector or a class: the translator writes braced(a, b, c).
template <class... X>
struct Braced;
template <class A, class B>
struct Braced<A, B> {
  A a;
  B b;
  template <class V>
  constexpr operator V() const {
    if constexpr (vec_traits<V>::is_vec)
      return make<V>(a, b);
    else
      return V{a, b};
  }
};
template <class A, class B, class C>
struct Braced<A, B, C> {
  A a;
  B b;
  C c;
  template <class V>
  constexpr operator V() const {
    if constexpr (vec_traits<V>::is_vec)
      return make<V>(a, b, c);
    else
      return V{a, b, c};
  }
};
template <class A, class B, class C, class D>
struct Braced<A, B, C, D> {
  A a;
  B b;
  C c;
  D d;
  template <class V>
  constexpr operator V() const {
    if constexpr (vec_traits<V>::is_vec)
      return make<V>(a, b, c, d);
    else
      return V{a, b, c, d};
  }
};
template <class... X>
MSL_FUNC constexpr Braced<X...> braced(X... x) {
  return {x...};
}

template <class To, class From>
MSL_FUNC constexpr To as_type(From x) {
  static_assert(sizeof(To) == sizeof(From), "as_type: sizes differ");
  return __builtin_bit_cast(To, x);
}

template <class T, size_t N>
struct array {
  T elements[N];
  constexpr T& operator[](size_t i) { return elements[i]; }
  constexpr const T& operator[](size_t i) const { return elements[i]; }
  constexpr size_t size() const { return N; }
};
template <class T, int N>
struct packed_vec {
  T elements[N];
  packed_vec() = default;
  constexpr packed_vec(vec<T, N> v) : elements{} { *this = v; }
  template <class A, class B, class... X>
  constexpr packed_vec(A a, B b, X... x) : elements{T(a), T(b), T(x)...} {
    static_assert(sizeof...(X) + 2 == N, "as many values as elements");
  }
  constexpr T& operator[](size_t i) { return elements[i]; }
  constexpr const T& operator[](size_t i) const { return elements[i]; }
  constexpr operator vec<T, N>() const {
    vec<T, N> v;
    for (int i = 0; i < N; i++) v[i] = elements[i];
    return v;
  }
  constexpr packed_vec& operator=(vec<T, N> v) {
    for (int i = 0; i < N; i++) elements[i] = v[i];
    return *this;
  }
};

struct os_log {
  constexpr os_log(const char*, const char*) {}
  template <class... X>
  void log_debug(const char*, X...) const {}
  template <class... X>
  void log(const char*, X...) const {}
};
}  // namespace metal

using metal::as_type;
using metal::vec;
#define MSL_VECTORS(T)                 \
  typedef metal::vec<T, 2> T##2;       \
  typedef metal::vec<T, 3> T##3;       \
  typedef metal::vec<T, 4> T##4;       \
  namespace metal {                    \
  using ::T##2;                        \
  using ::T##3;                        \
  using ::T##4;                        \
  }
MSL_VECTORS(float)
MSL_VECTORS(half)
#if __METAL_VERSION__ >= 310
MSL_VECTORS(bfloat)
#endif
MSL_VECTORS(bool)
MSL_VECTORS(char)
MSL_VECTORS(uchar)
MSL_VECTORS(short)
MSL_VECTORS(ushort)
MSL_VECTORS(int)
MSL_VECTORS(uint)
MSL_VECTORS(long)
MSL_VECTORS(ulong)
#define MSL_PACKED(T)                              \
  typedef metal::packed_vec<T, 2> packed_##T##2;   \
  typedef metal::packed_vec<T, 3> packed_##T##3;   \
  typedef metal::packed_vec<T, 4> packed_##T##4;
MSL_PACKED(float)
MSL_PACKED(half)
MSL_PACKED(int)
MSL_PACKED(uint)
MSL_PACKED(char)
MSL_PACKED(uchar)
MSL_PACKED(short)
MSL_PACKED(ushort)
