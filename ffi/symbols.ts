/**
 * The C functions of `runtime/rt.h`, as Deno wants to know them.
 * @module
 */

/** Parameter and result types of each function. */
export const symbols = {
  rt_table_hash: { parameters: [], result: "f64" },
  rt_session_open: { parameters: [], result: "f64" },
  rt_session_leave: { parameters: ["f64"], result: "void" },
  rt_eval: { parameters: ["f64", "i32", "buffer", "u32", "buffer", "u32", "buffer", "u32", "i32"], result: "i32" },
  rt_prepare: { parameters: ["f64", "buffer", "u32", "buffer"], result: "i32" },
  rt_run: { parameters: ["f64", "i32", "f64", "buffer", "u32", "buffer", "u32", "i32"], result: "i32" },
  rt_drop: { parameters: ["f64", "f64"], result: "void" },
  rt_upload: { parameters: ["f64", "buffer", "f64", "buffer"], result: "i32" },
  rt_map: { parameters: ["f64", "buffer", "u32", "buffer"], result: "i32" },
  rt_read: { parameters: ["f64", "f64", "f64", "buffer", "f64"], result: "i32" },
  rt_retain: { parameters: ["f64", "f64", "buffer"], result: "i32" },
  rt_release: { parameters: ["f64", "buffer", "u32"], result: "void" },
  rt_refs: { parameters: ["f64", "f64"], result: "i32" },
  rt_wait: { parameters: ["f64", "f64"], result: "i32" },
  rt_wait_async: { name: "rt_wait", parameters: ["f64", "f64"], result: "i32", nonblocking: true },
  rt_failure: { parameters: ["f64", "f64", "buffer", "u32"], result: "u32" },
  rt_stream_open: { parameters: ["f64", "i32"], result: "i32" },
  rt_synchronize: { parameters: ["f64", "i32"], result: "i32" },
  rt_stats: { parameters: ["buffer", "u32"], result: "u32" },
  rt_set: { parameters: ["i32", "f64"], result: "f64" },
  rt_info: { parameters: ["buffer", "u32"], result: "u32" },
  rt_capture: { parameters: ["f64", "buffer", "u32"], result: "i32" },
  rt_profile: { parameters: ["f64", "i32", "buffer", "u32"], result: "f64" },
} as const satisfies Deno.ForeignLibraryInterface;
