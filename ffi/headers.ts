/**
 * The headers that the library is built with and that are not of the project: fetched once per machine, never kept in
 * the repository.
 * @module
 */
import type { Headers } from "./wheel.ts";

/** metal-cpp, Apple's C++ headers for Metal, which the package `mlx-metal` carries. */
export const METAL_CPP: Headers = {
  what: "metal-cpp",
  package: "mlx-metal",
  version: "0.32.4",
  file: "mlx_metal-0.32.4-py3-none-macosx_14_0_arm64.whl",
  hash: "8019b2db622599267d66cc168b2f0dbf5af929790a6c3b3913e00eabc42a7947",
  platform: "macosx_14_0_arm64",
  folder: "mlx/include/metal_cpp",
  variable: "DENIM_METAL_CPP",
};
/** Eigen, which decomposes matrices where the system has no LAPACK. It is under the Mozilla Public License 2.0. */
export const EIGEN: Headers = {
  what: "Eigen",
  package: "cmeel-eigen",
  version: "3.4.1",
  file: "cmeel_eigen-3.4.1-0-py3-none-any.whl",
  hash: "0ccd7b73fe8a72e2729784253c982e75d1790e0a8c71f302eb5a1fb1dd3a8a90",
  folder: "cmeel.prefix/include/eigen3",
  variable: "DENIM_EIGEN",
};
