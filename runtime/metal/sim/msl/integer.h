// <metal_integer>.
#pragma once

namespace metal {
template <class V>
MSL_FUNC V popcount(V v) {
  return detail::map_lanes([](auto x) {
    return decltype(x)(__builtin_popcountll(make_unsigned_t<decltype(x)>(x)));
  }, v);
}
template <class V>
MSL_FUNC V clz(V v) {
  return detail::map_lanes([](auto x) {
    constexpr int bits = 8 * int(sizeof x);
    return decltype(x)(x ? __builtin_clzll(make_unsigned_t<decltype(x)>(x)) - (64 - bits) : bits);
  }, v);
}
template <class V>
MSL_FUNC V ctz(V v) {
  return detail::map_lanes([](auto x) {
    return decltype(x)(x ? __builtin_ctzll(make_unsigned_t<decltype(x)>(x)) : 8 * int(sizeof x));
  }, v);
}
template <class V>
MSL_FUNC V rotate(V v, V n) {
  return detail::map_lanes([](auto a, auto b) {
    using T = decltype(a);
    using U = make_unsigned_t<T>;
    constexpr int bits = 8 * int(sizeof a);
    int by = int(U(b) & U(bits - 1));
    return T(by ? U(U(a) << by) | U(U(a) >> (bits - by)) : U(a));
  }, v, n);
}
template <class V>
MSL_FUNC V reverse_bits(V v) {
  return detail::map_lanes([](auto x) {
    using U = make_unsigned_t<decltype(x)>;
    U r = 0;
    for (unsigned i = 0; i < 8 * sizeof x; i++) r = U(U(r << 1) | U(U(x) >> i & 1));
    return decltype(x)(r);
  }, v);
}
template <class V>
MSL_FUNC V mulhi(V v, V w) {
  return detail::map_lanes([](auto a, auto b) {
    using T = decltype(a);
    constexpr int bits = 8 * int(sizeof(T));
    if constexpr (__is_signed(T))
      return T(__int128(a) * __int128(b) >> bits);
    else
      return T(static_cast<unsigned __int128>(a) * b >> bits);
  }, v, w);
}
template <class V>
MSL_FUNC V mul24(V a, V b) {
  return a * b;
}
template <class V>
MSL_FUNC V mad24(V a, V b, V c) {
  return a * b + c;
}
template <class V>
MSL_FUNC V addsat(V v, V w) {
  return detail::map_lanes([](auto a, auto b) {
    using T = decltype(a);
    T r;
    if (!__builtin_add_overflow(a, b, &r)) return r;
    return b < 0 ? numeric_limits<T>::min() : numeric_limits<T>::max();
  }, v, w);
}
template <class V>
MSL_FUNC V subsat(V v, V w) {
  return detail::map_lanes([](auto a, auto b) {
    using T = decltype(a);
    T r;
    if (!__builtin_sub_overflow(a, b, &r)) return r;
    return __is_signed(T) && b < 0 ? numeric_limits<T>::max() : numeric_limits<T>::min();
  }, v, w);
}
template <class V>
MSL_FUNC auto absdiff(V v, V w) {
  return detail::map_lanes([](auto a, auto b) {
    using U = make_unsigned_t<decltype(a)>;
    return U(a > b ? U(a) - U(b) : U(b) - U(a));
  }, v, w);
}
template <class T>
MSL_FUNC T extract_bits(T x, uint at, uint n) {
  constexpr uint bits = 8 * sizeof(T);
  if (n == 0) return T(0);
  make_unsigned_t<T> high = make_unsigned_t<T>(x) << (bits - at - n);
  return __is_signed(T) ? T(make_signed_t<T>(high) >> (bits - n)) : T(high >> (bits - n));
}
template <class T>
MSL_FUNC T insert_bits(T base, T x, uint at, uint n) {
  make_unsigned_t<T> ones = n >= 8 * sizeof(T) ? ~make_unsigned_t<T>(0) : (make_unsigned_t<T>(1) << n) - 1;
  return T((make_unsigned_t<T>(base) & ~(ones << at)) | (make_unsigned_t<T>(x) & ones) << at);
}
}  // namespace metal
