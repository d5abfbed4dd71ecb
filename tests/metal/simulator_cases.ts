/**
 * The simulator's own tests: each check fires where it should and is silent where it should be, each report names the
 * place; Metal's functions give what its specification says; the translator refuses what Metal does not have.
 * @module
 */
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { type Argument, Metal, MetalError, type Run } from "./device.ts";

const metal = new Metal();
const HEAD = "#include <metal_stdlib>\nusing namespace metal;\n";
const GRID = "uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]], " +
  "uint lane [[thread_index_in_simdgroup]], uint g [[threadgroup_position_in_grid]]";
const floats = (n: number, label = "floats") => metal.buffer(4 * n, label);

/** The pipeline of `kernel void k(<parameters>, built-ins) { <body> }`. */
function pipeline(parameters: string, body: string, constants = {}, before = "") {
  const text = `${HEAD}${before}\nkernel void k(${parameters}, ${GRID}) {\n${body}\n}\n`;
  return metal.pipeline(metal.compile(text), "k", constants);
}
const OUT = "device float* o [[buffer(0)]]";
const OVER_64: Run = { threads: [64], group: [64] };

interface Firing {
  readonly title: string;
  readonly parameters?: string;
  readonly before?: string;
  readonly body: string;
  readonly args?: () => Argument[];
  readonly run?: Run;
  readonly says: readonly string[];
  /** Checks that are off without it. */
  readonly check?: string;
}
const FIRINGS: readonly Firing[] = [
  {
    title: "a write past the end",
    body: "  o[i + 1] = 1;",
    says: [
      "kernel 'k', threadgroup (0,0,0), thread (63,0,0) = simdgroup 1 lane 31: out of bounds: byte 256 of buffer 0 " +
      "('o', floats), which has 256 bytes (write of 4 bytes) at program_source:5",
    ],
  },
  { title: "a read before the beginning", body: "  o[i] = o[int(i) - 1];", says: ["out of bounds: byte -4", "read"] },
  {
    title: "a wild address",
    body: "  if (i == 5) *(device float*)ulong(12345678) = 1;",
    says: ["access to address", "lane 5"],
  },
  {
    title: "an argument that is not bound",
    parameters: `${OUT}, device const float* x [[buffer(1)]]`,
    body: "  o[i] = x[i];",
    says: ["buffer 1 ('x') is not bound"],
  },
  {
    title: "bytes that are too few",
    parameters: `${OUT}, constant long& n [[buffer(1)]]`,
    body: "  o[i] = n;",
    args: () => [floats(64), { bytes: new Int32Array([1]) }],
    says: ["buffer 1 ('n') has 4 bytes, the parameter needs 8"],
  },
  {
    title: "an address that is not aligned",
    parameters: `${OUT}, device const long* n [[buffer(1)]]`,
    body: "  o[i] = n[0];",
    args: () => [floats(64), { buffer: floats(64), offset: 4 }],
    says: ["buffer 1 ('n') is bound at an address that is not aligned to 8"],
  },
  {
    title: "a vector at an address that is not aligned",
    body: "  if (i == 9) *(device float4*)(o + i) = 1;",
    says: [
      "misaligned: write of 16 bytes at an address that is no multiple of 16, byte 36 of buffer 0",
      "lane 9",
      ":5",
    ],
  },
  {
    title: "a vector of threadgroup memory at an address that is not aligned",
    body: "  threadgroup half a[64];\n  a[t] = 1;\n  o[i] = float(((threadgroup half4*)(a + 2))[0].x);",
    check: "-uninitialised",
    says: ["misaligned: read of 8 bytes", "byte 4 of threadgroup array 'a', which has 128 bytes at program_source:7"],
  },
  {
    title: "writing into setBytes",
    parameters: `${OUT}, device int* n [[buffer(1)]]`,
    body: "  n[0] = 1;",
    args: () => [floats(64), { bytes: new Int32Array([1]) }],
    says: ["is written by the kernel but holds setBytes"],
  },
  {
    title: "a write to what the host declares as read",
    body: "  o[i] = 1;",
    run: { ...OVER_64, marks: "0:r-0+256" },
    says: ["write of byte", "which the host declares as read only"],
  },
  {
    title: "an access outside of what the host declares, inside the buffer",
    body: "  o[i] = 1;",
    run: { ...OVER_64, marks: "0:w-0+128" },
    says: ["out of bounds: byte ", "which has 128 bytes"],
  },
  {
    title: "more threads than the pipeline takes",
    body: "  o[i] = 1;",
    run: { threads: [2048], group: [2048] },
    says: ["2048 threads per threadgroup, the limit is 1024"],
  },
  {
    title: "threadgroup memory that was never written",
    body: "  threadgroup float a[64];\n  if (t < 63) a[t] = 1;\n  threadgroup_barrier(mem_flags::mem_threadgroup);\n" +
      "  o[i] = a[t];",
    says: ["uninitialised: read of byte 252 of threadgroup array 'a'", ":8"],
  },
  {
    title: "a threadgroup array that is one short",
    body: "  threadgroup float a[63];\n  a[t] = 1;",
    says: ["out of bounds: byte 252 of threadgroup array 'a', which has 252 bytes (write of 4 bytes)", ":6"],
  },
  {
    title: "too much threadgroup memory",
    body: "  threadgroup float a[9000];\n  a[t] = 1;\n  o[i] = a[t];",
    says: ["36000 bytes of threadgroup memory ('a' is the last), the limit is 32768"],
  },
  {
    title: "threadgroup memory as an argument without a length",
    parameters: `${OUT}, threadgroup float* a [[threadgroup(0)]]`,
    body: "  a[t] = 1;",
    says: ["threadgroup memory 0 ('a') has no length"],
  },
  {
    title: "a barrier in a branch",
    body: "  if (t < 32) threadgroup_barrier(mem_flags::mem_none);\n  o[i] = 1;",
    says: ["threadgroup_barrier not reached by all threads", "simdgroup 1 lanes 0-31: returned"],
  },
  {
    title: "two barriers that meet",
    body: "  if (t < 32) threadgroup_barrier(mem_flags::mem_none);\n  else threadgroup_barrier(mem_flags::mem_none);",
    says: ["threadgroup_barrier not reached by all threads at the same place", ":5)", ":6)"],
  },
  {
    title: "simd_sum by half the lanes, a barrier by the others",
    body: "  float a = 1;\n  if (lane < 16) a = simd_sum(a);\n  threadgroup_barrier(mem_flags::mem_none);\n  o[i] = a;",
    says: ["some threads never arrived", "lanes 0-15: wait at simd_sum", "lanes 16-31: wait at threadgroup_barrier"],
  },
  {
    title: "different collectives of one simdgroup",
    body: "  float a = 1;\n  if (lane < 16) a = simd_sum(a);\n  else a = simd_max(a);\n  o[i] = a;",
    says: ["lanes of one simdgroup meet at different collectives", "simd_max"],
  },
  {
    title: "a collective after some lanes have returned",
    body: "  if (lane == 3) return;\n  o[i] = simd_sum(1.0f);",
    says: ["simd_sum by some lanes only, the others have returned"],
  },
  {
    title: "an integer division by zero",
    body: "  o[i] = 7 / (int(i) - 9);",
    says: ["integer division by zero", "thread (9,0,0)"],
  },
  {
    title: "a race in threadgroup memory",
    body: "  threadgroup float a[64];\n  a[t] = 1;\n  o[i] = a[63 - t];",
    check: "race,-uninitialised",
    says: ["race: ", "of threadgroup array 'a'", "since the last barrier"],
  },
  {
    title: "two threadgroups that write one place",
    body: "  o[i % 32] = 1;",
    run: { threads: [64], group: [32] },
    check: "race",
    says: ["race: write of byte", "of buffer 0 ('o', floats), written by thread", "of another threadgroup"],
  },
  {
    title: "a barrier that orders the wrong memory",
    body: "  threadgroup float a[64];\n  a[t] = 1;\n  threadgroup_barrier(mem_flags::mem_device);\n  o[i] = a[63 - t];",
    check: "race",
    says: ["race: read"],
  },
  {
    title: "an argument that a function constant switches off",
    before: "constant int mode [[function_constant(0)]];\nconstant bool with = mode == 1;",
    parameters: `${OUT}, device const float* x [[buffer(1), function_constant(with)]]`,
    body: "  o[i] = x[i];",
    says: ["access through an argument that its function constant switches off"],
  },
];
for (const { title, parameters = OUT, before, body, args, run = OVER_64, says, check } of FIRINGS) {
  Deno.test(`reported: ${title}`, async () => {
    if (check !== undefined) metal.check(check);
    const made = pipeline(parameters, body, { 0: 0 }, before);
    const error = await assertRejects(() => metal.run(made, args?.() ?? [floats(64)], run), MetalError);
    metal.check("-race,+uninitialised");
    for (const part of says) assertStringIncludes(error.message, part);
  });
}

/** Kernels in which nothing is wrong, with all checks. */
const SILENT: Readonly<Record<string, string>> = {
  "a barrier between write and read":
    "  threadgroup float a[64];\n  a[t] = i;\n  threadgroup_barrier(mem_flags::mem_threadgroup);\n  o[i] = a[63 - t];",
  "a simdgroup barrier within a simdgroup":
    "  threadgroup float a[64];\n  a[t] = i;\n  simdgroup_barrier(mem_flags::mem_threadgroup);\n  o[i] = a[t ^ 1];",
  "a packed vector at any multiple of its elements":
    "  if (i < 20) *(device packed_float3*)(o + 3 * i) = packed_float3(1, 2, 3);",
  "a private array": "  float a[8];\n  for (int k = 0; k < 8; k++) a[k] = k * i;\n  o[i] = a[i % 8];",
  "a table of constants": "  const int table[4] = {3, 1, 4, 1};\n  o[i] = table[i % 4];",
};
for (const [title, body] of Object.entries(SILENT)) {
  Deno.test(`silent: ${title}`, async () => {
    metal.check("race");
    await metal.run(pipeline(OUT, body), [floats(64)], OVER_64);
    metal.check("-race");
  });
}
Deno.test("atomics of all threadgroups make no race, and count", async () => {
  metal.check("race");
  const body = "  atomic_fetch_add_explicit(&n[0], 1u, memory_order_relaxed);";
  const n = metal.buffer(4);
  await metal.run(pipeline("device atomic_uint* n [[buffer(0)]]", body), [n], { threads: [100], group: [32] });
  metal.check("-race");
  assertEquals(n.ints()[0], 100);
});

// ---- between dispatches ---------------------------------------------------------------------------------------------

const COPY = "device const float* x [[buffer(0)]], device float* o [[buffer(1)]]";
const copy = pipeline(COPY, "  o[i] = x[i];");
Deno.test("two dispatches that depend need a barrier", async () => {
  const [a, b, c] = [floats(64, "a"), floats(64, "b"), floats(64, "c")];
  for (const barrier of [true, false]) {
    const commands = metal.commands();
    commands.run(copy, [a, b], OVER_64);
    if (barrier) commands.barrier();
    commands.run(copy, [b, c], OVER_64);
    if (barrier) {
      await commands.finish();
    } else {
      const { message } = await assertRejects(() => commands.finish(), MetalError);
      assertStringIncludes(message, "hazard: read of byte");
      assertStringIncludes(message, "of buffer 0 ('x', b), written by dispatch");
      assertStringIncludes(message, "with no barrier in between at program_source:5");
    }
  }
});
Deno.test("a write after a read needs a barrier; disjoint parts need none", async () => {
  const [a, b] = [floats(128, "a"), floats(64, "b")];
  const commands = metal.commands();
  commands.run(copy, [a, b], { threads: [32], group: [32] });
  commands.run(copy, [{ buffer: b, offset: 128 }, { buffer: a, offset: 256 }], { threads: [32], group: [32] });
  await commands.finish();
  const wrong = metal.commands();
  wrong.run(copy, [a, b], OVER_64);
  wrong.run(copy, [{ buffer: a, offset: 256 }, a], { threads: [1], group: [1] });
  const { message } = await assertRejects(() => wrong.finish(), MetalError);
  assertStringIncludes(message, "hazard: write of byte 0 of buffer 1 ('o', a), read by dispatch");
});
Deno.test("encoders are ordered by a fence, queues by an event", async () => {
  for (const ordered of [true, false]) {
    const [a, b, c] = [floats(64, "a"), floats(64, "b"), floats(64, "c")];
    const fence = metal.send(metal.device, "newFence"), first = metal.commands();
    first.run(copy, [a, b], OVER_64);
    metal.send1(first.encoder, "updateFence:", fence);
    first.endEncoding();
    first.newEncoder();
    if (ordered) metal.send1(first.encoder, "waitForFence:", fence);
    first.run(copy, [b, c], OVER_64);
    if (ordered) await first.finish();
    else assertStringIncludes((await assertRejects(() => first.finish(), MetalError)).message, "hazard: ");
  }
  const event = metal.send(metal.device, "newSharedEvent"), other = metal.send(metal.device, "newCommandQueue");
  for (const value of [1, 0]) {
    const [a, b, c] = [floats(64, "a"), floats(64, "b"), floats(64, "c")];
    const first = metal.commands(), second = metal.commands(other);
    second.endEncoding();
    if (value) metal.send2(second.id, "encodeWaitForEvent:value:", event, value);
    second.newEncoder();
    second.run(copy, [b, c], OVER_64);
    first.run(copy, [a, b], OVER_64);
    first.endEncoding();
    if (value) metal.send2(first.id, "encodeSignalEvent:value:", event, value);
    second.commit();
    metal.send(first.id, "commit");
    const errors = [await first.wait(), await second.wait()].join("");
    if (value) assertEquals(errors, "");
    else assertStringIncludes(errors, "hazard: ");
  }
});

// ---- objects --------------------------------------------------------------------------------------------------------

Deno.test("a buffer that goes while a command buffer uses it without retaining it", async () => {
  const buffer = floats(64, "early"), commands = metal.commands(metal.queue, { unretained: true });
  commands.run(pipeline(OUT, "  o[i] = 1;"), [buffer], OVER_64);
  buffer.release();
  const { message } = await assertRejects(() => commands.finish(), MetalError);
  assertStringIncludes(message, "a dead MTLBuffer 'early' was released while a command buffer that uses it");
});
Deno.test("a retained buffer may go at any time", async () => {
  const buffer = floats(64, "kept"), commands = metal.commands();
  commands.run(pipeline(OUT, "  o[i] = 1;"), [buffer], OVER_64);
  buffer.release();
  await commands.finish();
});
Deno.test("a release too many and a message to the dead fail the next command buffer", async () => {
  const buffer = floats(64, "gone");
  buffer.release();
  metal.send(buffer.id, "length");
  const { message } = await assertRejects(
    () => metal.run(pipeline(OUT, "  o[i] = 1;"), [floats(64)], OVER_64),
    MetalError,
  );
  assertStringIncludes(message, "message 'length' to a released object: MTLBuffer 'gone'");
});
Deno.test("an error ends its command buffer only", async () => {
  await assertRejects(() => metal.run(pipeline(OUT, "  o[i + 1] = 1;"), [floats(64)], OVER_64), MetalError);
  const out = floats(64);
  await metal.run(pipeline(OUT, "  o[i] = i;"), [out], OVER_64);
  assertEquals(out.floats()[63], 63);
});

// ---- functions ------------------------------------------------------------------------------------------------------

/** Bodies that fill `o[i]` for 32 lanes, and what they must give. */
const FUNCTIONS: Readonly<Record<string, (lane: number) => number>> = {
  "simd_sum(int(lane))": () => 496,
  "simd_product(lane < 3 ? 2 : 1)": () => 8,
  "simd_min(int(lane) - 5)": () => -5,
  "simd_max(int(lane))": () => 31,
  "simd_and(lane | 4u)": () => 4,
  "simd_or(lane)": () => 31,
  "simd_xor(lane)": () => 0,
  "simd_prefix_inclusive_sum(int(lane))": (l) => l * (l + 1) / 2,
  "simd_prefix_exclusive_sum(int(lane))": (l) => l * (l - 1) / 2,
  "simd_prefix_inclusive_product(lane == 4 ? 3 : 1)": (l) => l >= 4 ? 3 : 1,
  "simd_shuffle(int(lane), 7)": () => 7,
  "simd_broadcast(int(lane), 9)": () => 9,
  "simd_broadcast_first(int(lane) + 1)": () => 1,
  "simd_shuffle_xor(int(lane), 5)": (l) => l ^ 5,
  "simd_shuffle_down(int(lane), 4)": (l) => l + 4 > 31 ? l : l + 4,
  "simd_shuffle_up(int(lane), 4)": (l) => l < 4 ? l : l - 4,
  "simd_shuffle_rotate_down(int(lane), 3)": (l) => (l + 3) % 32,
  "simd_shuffle_rotate_up(int(lane), 3)": (l) => (l + 29) % 32,
  "simd_shuffle_and_fill_up(int(lane), -int(lane), 2)": (l) => l < 2 ? -(30 + l) : l - 2,
  "simd_shuffle_and_fill_down(int(lane), -int(lane), 2)": (l) => l > 29 ? -(l - 30) : l + 2,
  "simd_any(lane == 7)": () => 1,
  "simd_all(lane < 31)": () => 0,
  "int(ulong(simd_ballot(lane % 3 == 0)) & 0xff)": () => 0b1001001,
  "simd_is_first()": (l) => Number(l === 0),
  "quad_sum(int(lane))": (l) => 4 * (l & ~3) + 6,
  "quad_broadcast(int(lane), 2)": (l) => (l & ~3) + 2,
  "quad_shuffle_xor(int(lane), 1)": (l) => l ^ 1,
  "popcount(lane)": (l) => [...l.toString(2)].filter((d) => d === "1").length,
  "clz(lane)": (l) => Math.clz32(l),
  "ctz(lane + 32u)": (l) => 31 - Math.clz32((l + 32) & -(l + 32)),
  "reverse_bits(lane) >> 27": (l) => Number.parseInt([...l.toString(2).padStart(5, "0")].reverse().join(""), 2),
  "rotate(lane, 31u) & 0x7fffffff": (l) => l >> 1,
  "mulhi(lane << 28, 16u)": (l) => l & 15,
  "extract_bits(int(lane), 1, 3)": (l) => (l >> 1 & 7) << 29 >> 29,
  "insert_bits(0u, lane, 2, 3)": (l) => (l & 7) << 2,
  "addsat(uchar(250), uchar(lane))": (l) => Math.min(255, 250 + l),
  "min(int(lane), 7)": (l) => Math.min(l, 7),
  "max(float(lane), 7.5)": (l) => Math.max(l, 7.5),
  "max(NAN, float(lane))": (l) => l,
  "clamp(int(lane), 3, 5)": (l) => Math.min(5, Math.max(3, l)),
  "select(1, 2, lane > 4)": (l) => l > 4 ? 2 : 1,
  "abs(int(lane) - 9)": (l) => Math.abs(l - 9),
  "sign(float(lane) - 9)": (l) => Math.sign(l - 9),
  "fma(float(lane), 2.0, 1.0)": (l) => 2 * l + 1,
  "float4(lane, float2(1, 2), 3).z": () => 2,
  "as_type<float>(0x3f800000 + lane * 0)": () => 1,
  "dot(float2(lane, 1), float2(2, 3))": (l) => 2 * l + 3,
  "floor(lane / 2.0) + ceil(lane / 2.0)": (l) => l,
  "rint(lane / 2.0)": (l) => l % 4 === 3 ? (l + 1) / 2 : l % 2 ? (l - 1) / 2 : l / 2,
  "float(half(lane) + 0.5h)": (l) => l + 0.5,
  "float(bfloat(float(lane)))": (l) => l,
  "1e-39 * float(lane) == 0 ? 1 : 0": () => 1,
};
Deno.test("functions give what Metal's specification says", async () => {
  const names = Object.keys(FUNCTIONS), out = floats(32 * names.length);
  const body = names.map((f, k) => `  o[${k} * 32 + i] = ${f};`).join("\n");
  await metal.run(pipeline(OUT, body), [out], { threads: [32], group: [32] });
  const got = out.floats();
  names.forEach((name, k) => {
    const want = Array.from({ length: 32 }, (_, l) => FUNCTIONS[name]?.(l) ?? NaN);
    assertEquals(Array.from(got.slice(32 * k, 32 * k + 32)), want.map((v) => v + 0), name);
  });
});
Deno.test("simdgroup matrices: load, transposed load, product, store", async () => {
  const a = Float32Array.from({ length: 64 }, (_, i) => i % 7 - 3), b = Float32Array.from(a, (v, i) => v * (i % 3));
  const out = floats(64);
  const body = "  simdgroup_float8x8 A, B, C = make_filled_simdgroup_matrix<float, 8, 8>(1);\n" +
    "  simdgroup_load(A, x, 8);\n  simdgroup_load(B, y, 8, ulong2(0, 0), true);\n" +
    "  simdgroup_multiply_accumulate(C, A, B, C);\n  simdgroup_store(C, o, 8);";
  const parameters = `${OUT}, device const float* x [[buffer(1)]], device const float* y [[buffer(2)]]`;
  const args = [out, metal.buffer(a), metal.buffer(b)];
  await metal.run(pipeline(parameters, body), args, { threads: [32], group: [32] });
  const want = Array.from({ length: 64 }, (_, at) => {
    let sum = 1;
    for (let k = 0; k < 8; k++) sum += (a[(at >> 3) * 8 + k] ?? 0) * (b[(at & 7) * 8 + k] ?? 0);
    return sum;
  });
  assertEquals(Array.from(out.floats()), want);
});
Deno.test("fast functions are inexact, precise ones are not", async () => {
  const run = async (fastMath: boolean) => {
    const text = `${HEAD}kernel void k(${OUT}, uint i [[thread_position_in_grid]]) { o[i] = exp(i * 0.37f); }`;
    const out = floats(64);
    await metal.run(metal.pipeline(metal.compile(text, { fastMath }), "k"), [out], OVER_64);
    return out.floats();
  };
  const [fast, precise] = [await run(true), await run(false)];
  const errors = Array.from(fast, (v, i) => Math.abs(v / (precise[i] ?? NaN) - 1));
  assert(Math.max(...errors) > 1e-7 && Math.max(...errors) < 1e-4, `${Math.max(...errors)}`);
});

// ---- the translator -------------------------------------------------------------------------------------------------

const REFUSED: Readonly<Record<string, readonly [string, string]>> = {
  "double": [OUT + " ", "  double a = 1; o[i] = a;"],
  "lambda": [OUT, "  auto f = [](int a) { return a; };\n  o[i] = f(1);"],
  "has no address space": [OUT, "  float a = 1;\n  float* p = &a;\n  o[i] = *p;"],
  "has no initialiser": [OUT, "  threadgroup float a[4] = {0};\n  o[i] = a[0];"],
  "does not fit a buffer argument": ["threadgroup float* o [[buffer(0)]]", "  o[i] = 1;"],
  "no attribute that Metal knows": [OUT + ", uint n", "  o[i] = n;"],
  "min of two types is ambiguous": [OUT, "  o[i] = min(1.0f, 2);"],
  "no 64-bit integers": [OUT, "  o[i] = simd_sum(long(i));"],
  "not for bfloat": [OUT, "  o[i] = abs(bfloat(1.0f));"],
  "no atomic_fetch_min_explicit": [
    "device atomic_float* o [[buffer(0)]]",
    "  atomic_fetch_min_explicit(o, 1.0f, memory_order_relaxed);",
  ],
  "undeclared identifier": [OUT, "  o[i] = nothing;"],
};
for (const [says, [parameters, body]] of Object.entries(REFUSED)) {
  Deno.test(`refused: ${says}`, () => {
    const error = assertThrows(() => pipeline(parameters, body), MetalError);
    assertStringIncludes(error.message, says);
    assertStringIncludes(error.message, "program_source:");
  });
}
Deno.test("templates, host names, aliases of vectors, limits", async () => {
  const text = `${HEAD}typedef vec<float, 2> pair;
template <typename T, int N> [[kernel, max_total_threads_per_threadgroup(N)]] void many(
    device T* o [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  pair p(i, N);
  o[i] = T(p.x + p.y);
}
template [[host_name("many_float")]] [[kernel]] decltype(many<float, 32>) many<float, 32>;
`;
  const made = metal.pipeline(metal.compile(text), "many_float"), out = floats(64);
  await metal.run(made, [out], { threads: [64], group: [32] });
  assertEquals(out.floats()[3], 35);
  const { message } = await assertRejects(() => metal.run(made, [out], OVER_64), MetalError);
  assertStringIncludes(message, "64 threads per threadgroup, the limit is 32");
});
Deno.test("each set of function constants is its own", async () => {
  const library = metal.compile(
    `${HEAD}constant int n [[function_constant(0)]];\nconstant int twice = 2 * n;\n` +
      `kernel void k(${OUT}, uint i [[thread_position_in_grid]]) { o[i] = twice; }`,
  );
  const out = floats(1);
  for (const n of [3, 4, 3]) {
    await metal.run(metal.pipeline(library, "k", { 0: n }), [out], { threads: [1], group: [1] });
    assertEquals(out.floats()[0], 2 * n);
  }
});
Deno.test("counters: dispatches, bytes, unique bytes, barriers", async () => {
  metal.measure(true);
  metal.stats();
  const body = "  o[i] = x[0] + x[1];\n  threadgroup_barrier(mem_flags::mem_none);";
  await metal.run(pipeline(COPY, body), [floats(64), floats(64)], OVER_64);
  metal.measure(false);
  const s = metal.stats();
  assertEquals([s.dispatches, s.barriers, s.bytesRead, s.bytesWritten], [1, 1, 512, 256]);
  assertEquals([s.uniqueRead, s.uniqueWritten, s.commandBuffers], [8, 256, 1]);
});
