// <metal_simdgroup_matrix>: 8x8 matrices spread over a simdgroup. Lane l holds the elements (row, col), (row, col + 1).
#pragma once

namespace metal {
namespace detail {
MSL_FUNC constexpr int matrix_row(int l) { return (l / 4 & 4) + l / 2 % 4; }
MSL_FUNC constexpr int matrix_col(int l) { return (l / 4 & 2) * 2 + l % 2 * 2; }
}  // namespace detail

template <class T, int R, int C>
struct simdgroup_matrix {
  static_assert(R == 8 && C == 8, "simdgroup matrices are 8x8");
  static_assert(is_floating_point_v<T>, "simdgroup matrices are of half, bfloat or float");
  typedef vec<T, 2> storage_type;
  storage_type elements;
  simdgroup_matrix() = default;
  explicit MSL_FUNC simdgroup_matrix(T diagonal) {
    int l = detail::my_lane(), r = detail::matrix_row(l), c = detail::matrix_col(l);
    elements = storage_type{r == c ? diagonal : T(0), r == c + 1 ? diagonal : T(0)};
  }
  MSL_FUNC storage_type& thread_elements() { return elements; }
  MSL_FUNC const storage_type& thread_elements() const { return elements; }
};
template <class T, int R, int C>
MSL_FUNC simdgroup_matrix<T, R, C> make_filled_simdgroup_matrix(T x) {
  simdgroup_matrix<T, R, C> m;
  m.elements = vec<T, 2>{x, x};
  return m;
}

namespace detail {
// D = A B + C in float whatever the elements: what Apple's GPUs do with half operands and float accumulators.
template <class TA, class TB, class TC, class TD>
struct MatrixOperands {
  vec<TA, 2> a;
  vec<TB, 2> b;
  vec<TC, 2> c;
  vec<TD, 2> d;
};
template <class TA, class TB, class TC, class TD>
MSL_HOST void matrix_lanes(void* const lanes[32], unsigned active) {
  using Block = MatrixOperands<TA, TB, TC, TD>;
  if (active != 0xffffffffu) return dsim_trap("simdgroup_multiply_accumulate by fewer than 32 lanes");
  float a[8][8], b[8][8], c[8][8];
  for (int l = 0; l < 32; l++) {
    auto* v = static_cast<Block*>(lanes[l]);
    int row = matrix_row(l), col = matrix_col(l);
    for (int e = 0; e < 2; e++) {
      a[row][col + e] = float(v->a[e]);
      b[row][col + e] = float(v->b[e]);
      c[row][col + e] = float(v->c[e]);
    }
  }
  typedef float row8 __attribute__((ext_vector_type(8)));
  for (int i = 0; i < 8; i++) {
    row8 sum;
    __builtin_memcpy(&sum, c[i], sizeof sum);
    for (int k = 0; k < 8; k++) {
      row8 line;
      __builtin_memcpy(&line, b[k], sizeof line);
      sum = __builtin_elementwise_fma(row8(a[i][k]), line, sum);
    }
    __builtin_memcpy(c[i], &sum, sizeof sum);
  }
  for (int l = 0; l < 32; l++) {
    int row = matrix_row(l), col = matrix_col(l);
    static_cast<Block*>(lanes[l])->d = vec<TD, 2>{TD(c[row][col]), TD(c[row][col + 1])};
  }
}
}  // namespace detail

template <class TD, class TA, class TB, class TC>
MSL_FUNC void simdgroup_multiply_accumulate(simdgroup_matrix<TD, 8, 8>& d, const simdgroup_matrix<TA, 8, 8>& a,
                                            const simdgroup_matrix<TB, 8, 8>& b, const simdgroup_matrix<TC, 8, 8>& c,
                                            MSL_WHERE) {
  detail::MatrixOperands<TA, TB, TC, TD> block{a.elements, b.elements, c.elements, {}};
  dsim_collective(detail::matrix_lanes<TA, TB, TC, TD>, &block, 32, 0, "simdgroup_multiply_accumulate", file, line);
  d.elements = block.d;
}
template <class TD, class TA, class TB>
MSL_FUNC void simdgroup_multiply(simdgroup_matrix<TD, 8, 8>& d, const simdgroup_matrix<TA, 8, 8>& a,
                                 const simdgroup_matrix<TB, 8, 8>& b, MSL_WHERE) {
  simdgroup_multiply_accumulate(d, a, b, make_filled_simdgroup_matrix<TD, 8, 8>(TD(0)), file, line);
}
template <class T>
MSL_FUNC simdgroup_matrix<T, 8, 8> operator*(const simdgroup_matrix<T, 8, 8>& a, const simdgroup_matrix<T, 8, 8>& b) {
  simdgroup_matrix<T, 8, 8> d;
  simdgroup_multiply(d, a, b);
  return d;
}

// The elements move lane by lane, so that each access is checked where it happens.
template <class T, class P>
MSL_FUNC void simdgroup_load(simdgroup_matrix<T, 8, 8>& d, const P* src, ulong stride = 8, ulong2 origin = ulong2(0),
                             bool transposed = false, MSL_WHERE) {
  static_assert(is_same_v<remove_cv_t<P>, T>, "simdgroup_load does not convert");
  dsim_collective(nullptr, nullptr, 32, 0, "simdgroup_load", file, line);
  int l = detail::my_lane();
  for (int e = 0; e < 2; e++) {
    ulong r = ulong(detail::matrix_row(l)), c = ulong(detail::matrix_col(l) + e);
    d.elements[e] =
        transposed ? src[(origin.x + c) * stride + origin.y + r] : src[(origin.y + r) * stride + origin.x + c];
  }
}
template <class T, class P>
MSL_FUNC void simdgroup_store(const simdgroup_matrix<T, 8, 8>& s, P* dst, ulong stride = 8, ulong2 origin = ulong2(0),
                              bool transposed = false, MSL_WHERE) {
  static_assert(is_same_v<remove_cv_t<P>, T>, "simdgroup_store does not convert");
  dsim_collective(nullptr, nullptr, 32, 0, "simdgroup_store", file, line);
  int l = detail::my_lane();
  for (int e = 0; e < 2; e++) {
    ulong r = ulong(detail::matrix_row(l)), c = ulong(detail::matrix_col(l) + e);
    (transposed ? dst[(origin.x + c) * stride + origin.y + r] : dst[(origin.y + r) * stride + origin.x + c]) =
        s.elements[e];
  }
}
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
#if __METAL_VERSION__ >= 310
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;
#endif
}  // namespace metal
