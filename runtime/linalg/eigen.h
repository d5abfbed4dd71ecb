// How the runtime uses Eigen (https://eigen.tuxfamily.org; under the Mozilla Public License 2.0, fetched unchanged when
// the library is built): its parts over matrices of the caller, without its input and output, exceptions and threads,
// and with memory that may run out.
#pragma once
// What Eigen calls where a size would overflow, so that it throws: that ends the decomposition, too.
void* operator new(__SIZE_TYPE__ bytes) __asm__("denim_linalg_too_large");
#include <complex>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>

#ifdef __x86_64__
#include <immintrin.h>  // while malloc is still malloc
#endif

#include "linalg/memory.h"

namespace std {
using denim::linalg::give_back;
using denim::linalg::take;
}  // namespace std

#define EIGEN_MPL2_ONLY
#define EIGEN_NO_IO
#define EIGEN_NO_DEBUG
#define EIGEN_DONT_PARALLELIZE
#define EIGEN_STACK_ALLOCATION_LIMIT 16384
#define malloc take
#define free give_back
#include <Eigen/Core>
#include <Eigen/Householder>
#undef malloc
#undef free

namespace denim::linalg {

using C = std::complex<double>;
using Eigen::Dynamic;
using Eigen::Index;
template <class S>
using Matrix = Eigen::Matrix<S, Dynamic, Dynamic>;
template <class S>
using Vector = Eigen::Matrix<S, Dynamic, 1>;
/// A matrix of the caller.
template <class S>
using View = Eigen::Map<Matrix<S>>;

inline double* native(double* x) { return x; }
inline C* native(Pair* x) { return reinterpret_cast<C*>(x); }
inline const double* native(const double* x) { return x; }
inline const C* native(const Pair* x) { return reinterpret_cast<const C*>(x); }

}  // namespace denim::linalg
