// The decompositions that a library computes: Eigen on Linux (eigen_*.cc), Accelerate's LAPACK on a Mac (lapack.cc).
// Matrices lie column by column without gaps, real (double) or complex (Pair), and are overwritten. Numbers are finite
// where it is said. Everything else, such as the signs of vectors and where results lie, is cpu/linalg.cc's business.
#pragma once
#include <stdint.h>

namespace denim::linalg {

/// A complex number.
struct Pair {
  double re, im;
};

/// How many requests for memory by this thread are granted: a test lowers it.
extern thread_local int64_t requests_granted;

/// How it ended: well; without a result (each function says when); for lack of memory.
enum class Fate { done, failed, no_memory };

/// P A = L U in place of a [m, n]: column k was exchanged with row pivots[k], k < min(m, n). Never fails.
Fate lu(double* a, int64_t m, int64_t n, int64_t* pivots);
Fate lu(Pair* a, int64_t m, int64_t n, int64_t* pivots);

/// The lower triangle of a [n, n], which alone is read, becomes L with a = L L^H. `rank`: how many columns of L could
/// be computed; n if a is positive definite.
Fate cholesky(double* a, int64_t n, int64_t* rank);
Fate cholesky(Pair* a, int64_t n, int64_t* rank);

/// b <- a^-1 b for a [n, n], which becomes its factors, and b [n, k]. Fails if a is singular. `pivots`: room for n.
Fate solve(double* a, double* b, int64_t n, int64_t k, int64_t* pivots);
Fate solve(Pair* a, Pair* b, int64_t n, int64_t k, int64_t* pivots);

/// b <- T^-1 b for the upper or lower triangle T of a. Fails if its diagonal has a zero.
Fate solve_triangle(const double* a, double* b, int64_t n, int64_t k, bool upper);
Fate solve_triangle(const Pair* a, Pair* b, int64_t n, int64_t k, bool upper);

/// a [m, n] = Q R: Q [m, min(m, n)] into q, R into the upper triangle of a; what is below it is left over.
Fate qr(double* a, double* q, int64_t m, int64_t n);
Fate qr(Pair* a, Pair* q, int64_t m, int64_t n);

/// Eigenvalues, rising, of a Hermitian matrix of finite numbers, whose lower triangle is read; where `vectors`, a
/// becomes the eigenvectors in columns. Fails if the iteration does not end.
Fate eigh(double* a, double* values, int64_t n, bool vectors);
Fate eigh(Pair* a, double* values, int64_t n, bool vectors);

/// Singular values, falling, of a [m, n] of finite numbers, m >= n; the columns of u [m, m] and v [n, n] become the
/// singular vectors, unless u is null. Fails if the iteration does not end.
Fate svd(double* a, double* values, double* u, double* v, int64_t m, int64_t n);
Fate svd(Pair* a, double* values, Pair* u, Pair* v, int64_t m, int64_t n);

/// Eigenvalues of any a [n, n] of finite numbers; the columns of `vectors` become eigenvectors of length 1, unless it
/// is null. Fails if the iteration does not end.
Fate eig(Pair* a, Pair* values, Pair* vectors, int64_t n);

}  // namespace denim::linalg
