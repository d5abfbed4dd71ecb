/**
 * GGUF: the parser against files of an own writer, repacked blocks against ggml's definition, and models as
 * checkpoints.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { CheckpointError } from "../../core/errors.ts";
import { type GgufTensor, parseGguf, readGgufHeader } from "../../core/io/gguf.ts";
import { readGgufArrays, repackGguf } from "../../core/io/gguf_repack.ts";
import type { HostTensor, StoredTensor } from "../../core/io/source.ts";
import { checkpointName, openGgufModel, ropeRows, shortest } from "../../lm/gguf_model.ts";
import { ggufFile, type Meta, randomFrom, type RawTensor } from "./files.ts";

const u32 = (value: number): Meta => ({ kind: "u32", value });
const f32 = (value: number): Meta => ({ kind: "f32", value });
const text = (value: string): Meta => ({ kind: "string", value });
const tensor = (name: string, shape: number[], bytes: number, type = 0): RawTensor => ({
  name,
  shape,
  type,
  bytes: new Uint8Array(bytes),
});

Deno.test("metadata of all types are read", () => {
  const values: Record<string, Meta> = {
    u8: { kind: "u8", value: 200 },
    i8: { kind: "i8", value: -7 },
    u16: { kind: "u16", value: 60_000 },
    i16: { kind: "i16", value: -300 },
    u32: u32(4e9),
    i32: { kind: "i32", value: -5 },
    f32: f32(0.5),
    flag: { kind: "bool", value: true },
    text: text("h\u00e9"),
    u64: { kind: "u64", value: 1n << 63n },
    i64: { kind: "i64", value: -9n },
    f64: { kind: "f64", value: 0.1 },
    bytes: { kind: "array", of: "u8", value: [{ kind: "u8", value: 1 }, { kind: "u8", value: 2 }] },
    lists: { kind: "array", of: "array", value: [{ kind: "array", of: "string", value: [text("a"), text("b")] }] },
  };
  const file = ggufFile(values, [tensor("x", [2, 3], 24), tensor("y", [4], 16)], { version: 2 });
  const { version, metadata, tensors } = parseGguf(file, file.length);
  assertEquals(version, 2);
  assertEquals(Object.fromEntries(metadata), {
    u8: 200,
    i8: -7,
    u16: 60_000,
    i16: -300,
    u32: 4e9,
    i32: -5,
    f32: 0.5,
    flag: true,
    text: "h\u00e9",
    u64: 1n << 63n,
    i64: -9,
    f64: 0.1,
    bytes: Uint8Array.of(1, 2),
    lists: [["a", "b"]],
  });
  assertEquals(tensors.map((t) => [t.name, t.shape, t.begin % 32, t.end - t.begin]), [["x", [2, 3], 0, 24], [
    "y",
    [4],
    0,
    16,
  ]]);
});

Deno.test("a file is asked for more of its start as it is read", () => {
  const words = Array.from({ length: 300 }, (_, i) => text(`word ${i}`));
  const file = ggufFile({ words: { kind: "array", of: "string", value: words }, last: u32(7) }, [tensor("x", [1], 4)]);
  const header = parseGguf(file.subarray(0, 4), file.length, (length) => file.slice(0, length));
  assertEquals(header, parseGguf(file, file.length));
  assertThrows(() => parseGguf(file.subarray(0, 100), file.length), CheckpointError);
});

Deno.test("broken files are refused with a reason", () => {
  const good = ggufFile({ a: u32(1) }, [tensor("x", [2], 8)]);
  const changed = (at: number, ...bytes: number[]): Uint8Array => {
    const file = Uint8Array.from(good);
    file.set(bytes, at);
    return file;
  };
  const cases: [Uint8Array, string][] = [
    [changed(0, 0), "the letters GGUF"],
    [changed(4, 0, 0, 0, 3), "a big-endian file"],
    [changed(4, 1), "version 1"],
    [changed(8, 255, 255, 255, 255, 255, 255, 255, 255), "number of tensors"],
    [changed(24, 255, 255, 255, 127), "length of key"],
    [changed(32, 0xff), "key in UTF-8"],
    [good.subarray(0, good.length - 32), "to end within the file"],
    [ggufFile({}, [tensor("x", [2], 8), tensor("x", [2], 8)]), "each tensor once"],
    [ggufFile({}, [tensor("x", [31], 18, 2)]), "in blocks of 32 (Q4_0)"],
    [ggufFile({}, [tensor("x", [1], 4, 99)]), "a ggml type"],
    [ggufFile({}, [tensor("x", [2 ** 30, 2 ** 30], 4)]), "sizes that fit in memory"],
    [ggufFile({}, [tensor("x", [64], 4), tensor("y", [128], 512)]), "after the one before it"],
    [ggufFile({ "general.alignment": u32(0) }, []), "general.alignment"],
    [ggufFile({}, [tensor("x", [1], 4), tensor("y", [1], 4)], { alignment: 8 }), "at a multiple of 32"],
  ];
  for (const [file, reason] of cases) {
    const { message } = assertThrows(() => parseGguf(file, file.length), CheckpointError);
    assert(message.includes(reason), `${reason}: ${message}`);
  }
});

/** Element i of a row of blocks, by ggml's definition of each type. */
function element(type: string, view: DataView, block: number, i: number): number {
  const byte = (at: number): number => view.getUint8(block + at),
    half = (at: number): number => view.getFloat16(block + at, true);
  const nibble = (at: number, i: number): number => i < 16 ? byte(at + i) & 15 : byte(at + i - 16) >> 4;
  const fifth = (at: number, i: number): number => (byte(at + (i >> 3)) >> (i & 7) & 1) << 4;
  const scale = (g: number): number => g < 4 ? byte(4 + g) & 63 : byte(8 + g) & 15 | byte(g) >> 6 << 4;
  const least = (g: number): number => g < 4 ? byte(8 + g) & 63 : byte(8 + g) >> 4 | byte(4 + g) >> 6 << 4;
  const g = i >> 5, l = i & 31;
  const four = (at: number): number => byte(at + 32 * (g >> 1) + l) >> 4 * (g & 1) & 15;
  switch (type) {
    case "Q4_0":
      return half(0) * (nibble(2, i) - 8);
    case "Q4_1":
      return half(0) * nibble(4, i) + half(2);
    case "Q5_0":
      return half(0) * ((nibble(6, i) | fifth(2, i)) - 16);
    case "Q5_1":
      return half(0) * (nibble(8, i) | fifth(4, i)) + half(2);
    case "Q8_0":
      return half(0) * view.getInt8(block + 2 + i);
    case "Q4_K":
      return half(0) * scale(g) * four(16) - half(2) * least(g);
    case "Q5_K":
      return half(0) * scale(g) * (four(48) | (byte(16 + l) >> g & 1) << 4) - half(2) * least(g);
    default: {
      const h = i >> 7, m = i & 127, high = byte(128 + 32 * h + (m & 31)) >> 2 * (m >> 5) & 3;
      const q = (m < 64 ? byte(64 * h + m) & 15 : byte(64 * h + m - 64) >> 4) | high << 4;
      return half(208) * view.getInt8(block + 192 + (i >> 4)) * (q - 32);
    }
  }
}
const isHost = (t: HostTensor | StoredTensor): t is HostTensor => "data" in t;
/** Element `column` of row `row` of MLX's affine form. */
function affine(
  weight: HostTensor,
  scales: HostTensor,
  biases: HostTensor,
  bits: number,
  row: number,
  column: number,
): number {
  const words = (weight.shape[1] ?? 0) * row,
    at = column * bits,
    of = (i: number): bigint => BigInt(weight.data[words + i] ?? 0);
  const both = of(at >> 5) | of((at >> 5) + 1) << 32n, q = Number(both >> BigInt(at & 31) & (1n << BigInt(bits)) - 1n);
  const group = (scales.shape[1] ?? 0) * row + (column >> 5);
  return Number(scales.data[group]) * q + Number(biases.data[group]);
}

Deno.test("blocks keep every value in MLX's form", () => {
  const sizes = {
    Q4_0: [32, 18],
    Q4_1: [32, 20],
    Q5_0: [32, 22],
    Q5_1: [32, 24],
    Q8_0: [32, 34],
    Q4_K: [256, 144],
    Q5_K: [256, 176],
    Q6_K: [256, 210],
  };
  const random = randomFrom(5);
  for (const [name, [block = 1, bytes = 1]] of Object.entries(sizes)) {
    const raw = Uint8Array.from({ length: 4 * bytes }, () => random() * 256), view = new DataView(raw.buffer);
    for (let b = 0; b < 4; b++) {
      for (const at of name === "Q6_K" ? [208] : [0, 2]) {
        if (at === 0 || at === 208 || /[1K]$/.test(name)) view.setFloat16(b * bytes + at, random() - 0.5, true);
      }
    }
    const t: GgufTensor = { name, shape: [2, 2 * block], type: { name, block, bytes }, begin: 0, end: raw.length };
    const { weight, quantized } = repackGguf(t, raw, Uint32Array.of(1, 0));
    assert(isHost(weight));
    for (let i = 0; i < 4 * block; i++) {
      const row = Math.floor(i / (2 * block)),
        column = i % (2 * block),
        from = (1 - row) * 2 + Math.floor(column / block);
      const want = Math.fround(element(name, view, from * bytes, column % block));
      const got = quantized
        ? affine(weight, quantized.scales, quantized.biases, quantized.bits, row, column)
        : Number(weight.data[i]);
      assert(Math.fround(got) === want, `${name} element ${i}: ${got}, expected ${want}`);
    }
    if (quantized) assertEquals(quantized.scales.dtype.name, name.endsWith("K") ? "float32" : "float16");
  }
});

Deno.test("scales that float16 cannot hold stay float32", () => {
  const raw = new Uint8Array(34);
  new DataView(raw.buffer).setFloat16(0, 1000, true);
  const { quantized } = repackGguf({
    name: "x",
    shape: [1, 32],
    type: { name: "Q8_0", block: 32, bytes: 34 },
    begin: 0,
    end: 34,
  }, raw);
  assertEquals([quantized?.scales.dtype.name, quantized?.biases.data[0]], ["float32", -128_000]);
  const unknown = { name: "x", shape: [1, 256], type: { name: "Q2_K", block: 256, bytes: 84 }, begin: 0, end: 84 };
  assertThrows(() => repackGguf(unknown, new Uint8Array(84)), CheckpointError, "got Q2_K");
});

Deno.test("rows of q and k come back into Hugging Face's order", () => {
  assertEquals([...ropeRows(8, 2)], [0, 2, 1, 3, 4, 6, 5, 7]);
  assertThrows(() => ropeRows(9, 3), CheckpointError);
  assertEquals([shortest(Math.fround(1e-5)), shortest(100_000), shortest(0)], [1e-5, 100_000, 0]);
});

Deno.test("names of tensors become those of the checkpoint", () => {
  assertEquals(checkpointName("token_embd.weight"), "model.embed_tokens.weight");
  assertEquals(checkpointName("blk.12.attn_q.bias"), "model.layers.12.self_attn.q_proj.bias");
  assertEquals(checkpointName("blk.0.ffn_norm.weight"), "model.layers.0.post_attention_layernorm.weight");
  assertThrows(() => checkpointName("blk.0.ffn_gate_exps.weight"), CheckpointError);
  assertThrows(() => checkpointName("blk.0.output.weight"), CheckpointError);
});

/** A llama of one layer, hidden size 64, 2 heads. */
function llama(more: Record<string, Meta>, tensors: readonly RawTensor[] = []): Uint8Array {
  const q = new Uint8Array(64 * 64 * 4);
  new Float32Array(q.buffer).forEach((_, i, all) => all[i] = Math.floor(i / 64));
  return ggufFile({
    "general.architecture": text("llama"),
    "llama.embedding_length": u32(64),
    "llama.feed_forward_length": u32(96),
    "llama.context_length": u32(128),
    "llama.block_count": u32(1),
    "llama.attention.head_count": u32(2),
    "llama.attention.layer_norm_rms_epsilon": f32(1e-5),
    ...more,
  }, [
    tensor("token_embd.weight", [10, 64], 10 * 2 * 34, 8),
    { name: "blk.0.attn_q.weight", shape: [64, 64], type: 0, bytes: q },
    tensor("blk.0.ffn_up.weight", [96, 64], 96 * 2 * 20, 3),
    tensor("blk.0.ffn_down.weight", [64, 96], 64 * 3 * 20, 3),
    tensor("output_norm.weight", [64], 256),
    ...tensors,
  ]);
}
/** Writes the file and opens it. */
async function opened<T>(file: Uint8Array, use: (path: string) => T): Promise<T> {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  await Deno.writeFile(path, file);
  try {
    return use(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("a model's config, names and rows come from the file", async () => {
  const { config, all } = await opened(llama({ "llama.rope.freq_base": f32(500_000) }), (path) => {
    const model = openGgufModel(path);
    return { config: model.config, all: new Map(model.tensors()) };
  });
  assertEquals(config.model_type, "llama");
  assertEquals([config.num_key_value_heads, config.head_dim, config.vocab_size, config.rope_theta], [
    2,
    32,
    10,
    500_000,
  ]);
  assertEquals([config.rms_norm_eps, config.tie_word_embeddings, config.rope_scaling], [1e-5, true, null]);
  assertEquals(config.quantization, {
    group_size: 32,
    mode: "affine",
    bits: 4,
    "model.embed_tokens": { group_size: 32, mode: "affine", bits: 8 },
  });
  assertEquals(
    [...all.keys()].filter((name) => name.startsWith("model.embed")),
    ["weight", "scales", "biases"].map((x) => `model.embed_tokens.${x}`),
  );
  const q = all.get("model.layers.0.self_attn.q_proj.weight");
  assert(q && isHost(q));
  assertEquals([0, 1, 16, 17].map((row) => q.data[row * 64]), [0, 2, 1, 3]);
  const norm = all.get("model.norm.weight");
  assert(norm && !isHost(norm) && norm.byteOffset % 32 === 0);
});

Deno.test("Llama 3's rope factors are recognised, others refused", async () => {
  const factors = (list: Float32Array<ArrayBuffer>): RawTensor => ({
    name: "rope_freqs.weight",
    shape: [16],
    type: 0,
    bytes: new Uint8Array(list.buffer),
  });
  const base = { "llama.rope.freq_base": f32(500_000) }, low = 8192, high = 2048;
  const scaled = Float32Array.from({ length: 16 }, (_, i) => {
    const wave = 2 * Math.PI * 500_000 ** (i / 16), smooth = (8192 / wave - 1) / 3;
    return wave < high ? 1 : wave > low ? 32 : 1 / ((1 - smooth) / 32 + smooth);
  });
  const config = await opened(llama(base, [factors(scaled)]), (path) => openGgufModel(path).config);
  assertEquals(config.rope_scaling, {
    rope_type: "llama3",
    factor: 32,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  });
  const odd = llama(base, [factors(new Float32Array(16).fill(3))]);
  await opened(odd, (path) => assertThrows(() => openGgufModel(path), CheckpointError, "rope factors"));
  const falcon = ggufFile({ "general.architecture": text("falcon") }, []);
  await opened(
    falcon,
    (path) => assertThrows(() => openGgufModel(path), CheckpointError, "architecture of llama, qwen2, qwen3"),
  );
});

Deno.test("plain tensors are given by their place", async () => {
  await opened(ggufFile({}, [tensor("x", [2], 8)]), (path) => {
    const header = readGgufHeader(path), weights = [...readGgufArrays(path, header)].map(([, { weight }]) => weight);
    assertEquals(weights.map((w) => isHost(w) ? -1 : w.byteOffset), header.tensors.map((t) => t.begin));
  });
  assertThrows(() => readGgufHeader("/nowhere/x.gguf"), CheckpointError, "cannot read /nowhere/x.gguf as GGUF");
});
