/**
 * Which of MLX's own Python tests fail here, and why. `scripts/mlx_suite.ts` compares: what fails and is not listed is
 * an error, and so is what is listed and passes. What users meet of this stands in `docs/differences.md`, too.
 * @module
 */

/** Tests that fail for one reason. */
export interface KnownFailures {
  readonly reason: string;
  readonly tests: readonly string[];
  /** They may also pass: it depends on the machine. */
  readonly mayPass?: true;
}
export const known: readonly KnownFailures[] = [
  {
    reason: "what is no array in a tree of arguments is a constant, also in what is differentiated or exported",
    tests: [
      "test_autograd.TestAutograd.test_grad_trees",
      "test_export_import.TestExportImport.test_basic_export_import",
    ],
  },
  {
    reason: "the derivative with respect to integers and indices is zero; MLX asks for stop_gradient",
    tests: [
      "test_autograd.TestAutograd.test_index_vjp_requires_stop_gradient",
      "test_blas.TestBlas.test_gather_matmul_index_vjp_requires_stop_gradient",
      "test_quantized.TestQuantized.test_fp_vjp_scales_throws",
    ],
  },
  {
    reason: "the second result of divmod has the derivative of remainder, 1; MLX's is 0",
    tests: ["test_autograd.TestAutograd.test_jvp_with_partly_traced_inputs"],
  },
  {
    reason: "asyncEval is allowed where eval is: inside grad",
    tests: ["test_eval.TestEval.test_async_eval_in_trace"],
  },
  {
    reason:
      "works here, and MLX refuses it: batched pad values, batched sorted sequences, complex determinants, kron of nothing",
    tests: [
      "test_vmap.TestVmap.test_vmap_pad",
      "test_ops.TestOps.test_searchsorted",
      "test_linalg.TestLinalg.test_det",
      "test_linalg.TestLinalg.test_slogdet",
      "test_ops.TestOps.test_kron",
    ],
  },
  {
    reason: "a slice may end beyond any length, and an axis may be longer than 2^31",
    tests: ["test_array.TestArray.test_large_indices", "test_ops.TestOps.test_shape_overflow_error"],
  },
  {
    reason: "0 is a probability: numbers have no int type",
    tests: ["test_random.TestRandom.test_bernoulli"],
  },
  {
    reason: "indices are integers, also where there are none",
    tests: ["test_ops.TestOps.test_put_along_axis"],
  },
  {
    reason: "conv1d has one spatial axis",
    tests: ["test_conv.TestConv.test_conv_groups_grad"],
  },
  {
    reason: "cholesky of a matrix that is singular within rounding ends in NaN",
    tests: ["test_linalg.TestLinalg.test_cholesky"],
  },
  {
    reason: "messages of errors are Denim's",
    tests: ["test_array.TestArray.test_construction_from_lists_of_mlx_arrays"],
  },
  {
    reason: "a damaged file is refused when it is opened, not when its values are needed",
    tests: [
      "test_load.TestLoad.test_load_npy_read_error",
      "test_load.TestLoad.test_async_load_npy_read_error_across_streams",
    ],
  },
  {
    reason: "zeros are one number in memory, seen as many",
    tests: ["test_memory.TestMemory.test_memory_info"],
  },
  {
    reason: "what compile captures is a constant, evaluated or not; objects of classes among the arguments are, too",
    tests: [
      "test_compile.TestCompile.test_compile_without_captured_inputs",
      "test_compile.TestCompile.test_unsupported_input_types",
    ],
  },
  {
    reason: "kernels are fused when a program is planned: no node has their names",
    tests: ["test_compile.TestCompile.test_shared_broadcast"],
  },
  {
    reason:
      "shapeless compile: a length that is read is a guard and traces again; the bridge reads all, to show them to Python",
    tests: [
      "test_compile.TestCompile.test_shapeless_compile",
      "test_compile.TestCompile.test_shapeless_compile_with_reduction",
      "test_compile.TestCompile.test_shapeless_compile_with_reshape",
      "test_vmap.TestVmap.test_broadcast_axes_vmap",
    ],
  },
  {
    reason: "exports go into files; in a shapeless one a length that is read has to stay, and the bridge reads all",
    tests: [
      "test_export_import.TestExportImport.test_export_conv_shapeless",
      "test_export_import.TestExportImport.test_export_matmul_shapeless_batch_and_mid_dim",
      "test_export_import.TestExportImport.test_export_matmul_shapeless_mid_dim",
      "test_export_import.TestExportImport.test_export_with_callback",
    ],
  },
  {
    reason: "what depends on constants only is computed when a function is exported, which may be one constant more",
    tests: ["test_export_import.TestExportImport.test_export_variable_inputs"],
  },
  {
    reason: "slow through two processes: half a million calls, or loops in NumPy",
    mayPass: true,
    tests: ["test_array.TestArray.test_deep_graphs", "test_fft.TestFFT.test_fft_big_powers_of_two"],
  },
];
