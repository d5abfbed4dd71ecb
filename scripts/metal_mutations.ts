/**
 * Shows that the simulator and the comparison with the CPU find mistakes: `deno run -A scripts/metal_mutations.ts
 * [--kernels | --host] [part of a title]`. Thirty bugs, written down before anyone looked at what would be found, are
 * put one by one into kernels (as they are compiled) or into a copy of the host's sources (which is built), and the
 * families of kernels run on the simulator. Prints each bug with the report; ends with 1 if fewer than 28 are found, or
 * if something is reported without a bug.
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../ffi/cache.ts";

/** A mistake: a text that stands once in a file of runtime/metal, what it becomes, the families that run the code. */
interface Bug {
  readonly title: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly families: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}
const BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);\n";
/** A barrier between two texts is taken away. */
function noBarrier(title: string, file: string, before: string, indent: string, after: string, family: string): Bug {
  const [from, to] = [`${before}\n${indent}${BARRIER}${after}`, `${before}\n${after}`];
  return { title: `no barrier ${title}`, file: `kernels/${file}.metal`, from, to, families: [family] };
}
function kernelBug(title: string, file: string, from: string, to: string, family: string, env = {}): Bug {
  return { title, file: `kernels/${file}.metal`, from, to, families: [family], env };
}

const KERNELS: readonly Bug[] = [
  noBarrier(
    "between the simdgroups' sums and their reading",
    "rows",
    "  if (lane == 0) parts[simdgroup] = x;",
    "  ",
    "  return simd_sum(",
    "rows",
  ),
  kernelBug(
    "a row is stored one element too far",
    "rows",
    "if (i + e < n) to[i + e]",
    "if (i + e <= n) to[i + e]",
    "rows",
  ),
  kernelBug(
    "simd_sum by the lanes that have a part",
    "rows",
    "return simd_sum(lane < simdgroups ? parts[lane] : 0.0f);",
    "return lane < simdgroups ? simd_sum(parts[lane]) : 0.0f;",
    "rows",
  ),
  noBarrier(
    "between the steps of a scan",
    "scan",
    "  for (uint step = 1; step < size; step *= 2) {",
    "    ",
    "    ulong v = room",
    "scan",
  ),
  kernelBug("a scan adds one lane too few", "scan", "if (lane >= step) v =", "if (lane > step) v =", "scan"),
  noBarrier(
    "between the steps of a merge",
    "sort",
    "    for (uint step = width / 2; step > 0; step /= 2) {",
    "      ",
    "      for (uint k = lane;",
    "sort",
  ),
  kernelBug(
    "a sorted line is written one element too far",
    "sort",
    "if (!real || first + i >= s.length) continue;\n    if (s.keep == 0)",
    "if (!real || first + i > s.length) continue;\n    if (s.keep == 0)",
    "sort",
  ),
  noBarrier(
    "before tiles of the product are overwritten",
    "matmul",
    "  for (int k0 = k_begin; k0 < k_end; k0 += kTileK) {",
    "    ",
    "    load_tiles(",
    "matmul",
  ),
  noBarrier(
    "before tiles of the product are read",
    "matmul",
    "min(kTileK, k_end - k0), m, n, tiles, b_tile, thread_index);",
    "    ",
    "    multiply_tiles(tiles",
    "matmul",
  ),
  kernelBug(
    "a row too many of the product",
    "matmul",
    "if (r >= m || q >= n) continue;",
    "if (r > m || q >= n) continue;",
    "matmul",
  ),
  kernelBug(
    "operands of the product are swapped",
    "matmul",
    "kernel void gemm(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]]",
    "kernel void gemm(device const T* a [[buffer(1)]], device const T* b [[buffer(0)]]",
    "matmul",
  ),
  kernelBug(
    "a wrong stride of the second operand",
    "matmul",
    "load_tile(b, p.b_k, p.b_col, terms, n,",
    "load_tile(b, p.b_col, p.b_col, terms, n,",
    "matmul",
  ),
  kernelBug(
    "simd_sum by half the lanes",
    "quantized",
    "      const float sum = simd_sum(sums[v * 4 + j]);",
    "      float sum = 0;\n      if (lane < 16) sum = simd_sum(sums[v * 4 + j]);",
    "quantized",
  ),
  kernelBug(
    "rows of scales are one too long",
    "quantized",
    "w.scale_stride = p.cols / kGroup;",
    "w.scale_stride = p.cols / kGroup + 1;",
    "quantized",
  ),
  noBarrier(
    "before tiles of weights are read",
    "quantized",
    "p.rows, p.cols, w_tile, thread_index);",
    "    ",
    "    multiply_tiles(",
    "quantized",
  ),
  noBarrier(
    "before values are read",
    "attention",
    "kE, kVectorV, tile, thread_index);",
    "    ",
    "    add_values(",
    "attention",
  ),
  noBarrier(
    "between the simdgroups' states and their reading",
    "attention",
    "    states[simdgroup * 3 + 2] = own.seen ? 1.0f : 0.0f;\n  }",
    "  ",
    "  RowState all",
    "attention",
  ),
  noBarrier(
    "between the steps of an argmax",
    "reduce",
    "  for (uint step = lanes / 2; step > 0; step /= 2) {",
    "    ",
    "    if (mine >= step) continue;",
    "argreduce",
  ),
  kernelBug("places are not stored", "reduce", "  places[lane] = place;\n  for", "  for", "argreduce"),
  kernelBug(
    "a row of weights too many",
    "conv",
    "const bool inside = j0 + r < c.group_outputs;",
    "const bool inside = j0 + r <= c.group_outputs;",
    "conv",
  ),
  kernelBug("a rotated element goes one too far", "rope", "    to[second] = (T)", "    to[second + 1] = (T)", "rope"),
  kernelBug(
    "totals are stored one place too far",
    "fused",
    "  shared[lane] = total;\n  for (uint step = lanes / 2;",
    "  shared[lane + 1] = total;\n  for (uint step = lanes / 2;",
    "reduce",
    { DENIM_METAL_JIT: "never" },
  ),
  kernelBug(
    "the index after the one that is meant",
    "index",
    "at += resolve(indices[k], number, facts[0]",
    "at += resolve(indices[k], number + 1, facts[0]",
    "index",
  ),
];
const ALL = ["fused", "reduce", "matmul", "rows", "copy", "attention", "long", "streams"];
const HOST: readonly Bug[] = [
  {
    title: "no barrier between dispatches that depend",
    file: "encoder.cc",
    from: "if (side_by_side.collides(s->arguments, s->n_arguments)) {",
    to: "if (false && side_by_side.collides(s->arguments, s->n_arguments)) {",
    families: ALL,
  },
  {
    title: "only two writes are a conflict",
    file: "encoder.cc",
    from: "if (((ranges[i].access | more[k].access) & kWrite)",
    to: "if (((ranges[i].access & more[k].access) & kWrite)",
    families: ALL,
  },
  {
    title: "an array's last element is forgotten",
    file: "encoder.cc",
    from: "a.data + (last + 1) * item",
    to: "a.data + last * item",
    families: ALL,
  },
  {
    title: "encoders do not wait for the one before",
    file: "queue.cc",
    from: "q->encoder->waitForFence(q->fence);",
    to: "",
    families: ALL,
  },
  {
    title: "streams do not wait for one another",
    file: "queue.cc",
    from: "batch_of(q)->commands->encodeWait(event, t.seq);",
    to: "static_cast<void>(event);",
    families: ["streams"],
  },
  {
    title: "a command buffer is released once too often",
    file: "queue.cc",
    from: "MTL::CommandBuffer* commands = batch->commands->retain();",
    to: "MTL::CommandBuffer* commands = batch->commands;",
    families: ALL,
  },
  {
    title: "buffers are bound 64 bytes too far",
    file: "buffers.cc",
    from: "place = {pages.buffer, static_cast<uint64_t>(at - pages.begin)};",
    to: "place = {pages.buffer, static_cast<uint64_t>(at - pages.begin) + 64};",
    families: ALL,
  },
];

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const PARTS = ["core", "ffi", "nn", "optimizers", "lm", "runtime", "tests/metal", "mod.ts", "deno.json", "deno.lock"];
function copy(from: string, to: string): void {
  if (Deno.statSync(from).isFile) {
    Deno.mkdirSync(dirname(to), { recursive: true });
    return Deno.copyFileSync(from, to);
  }
  Deno.mkdirSync(to, { recursive: true });
  for (const entry of Deno.readDirSync(from)) copy(join(from, entry.name), join(to, entry.name));
}

/** Runs families in a folder; empty if they agree, else the first line that says why not. Throws if nothing compiles. */
async function run(
  folder: string,
  families: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "tests/metal/families.ts", ...new Set(families)],
    cwd: folder,
    env: { DENIM_METAL: "sim", DENIM_METAL_RACE: "1", DENIM_METAL_SIM_TRACE: "1", NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const said = `${new TextDecoder().decode(stderr)}\n${new TextDecoder().decode(stdout)}`.split("\n");
  if (said.some((l) => l.includes("cannot build the runtime"))) throw new Error(said.join("\n"));
  const report = said.findIndex((l) => l.startsWith("metal simulator:"));
  const at = report >= 0 ? report : said.findIndex((l) => /FAILED|DIFFERS|rror/.test(l));
  const line = at < 0
    ? "ended with an error"
    : `${said[at]}${said[at]?.endsWith(":") ? ` ${said[at + 1]?.trim()}` : ""}`;
  return success ? "" : line.slice(0, 300);
}
/** The file with the bug, checked to have the text once. */
function withBug(folder: string, { file, from, to }: Bug): string {
  const text = Deno.readTextFileSync(join(folder, "runtime/metal", file));
  if (text.split(from).length !== 2) throw new Error(`${file} does not have this text once: ${from}`);
  return text.replace(from, () => to);
}

const temporary = await Deno.makeTempDir();
async function tryKernel(bug: Bug): Promise<string> {
  withBug(ROOT, bug);
  const edit = join(temporary, "edit");
  await Deno.writeTextFile(edit, `${bug.from}\n=====\n${bug.to}`);
  return run(ROOT, bug.families, { DENIM_METAL_SIM_EDIT: edit, ...bug.env });
}
async function tryHost(bug: Bug): Promise<string> {
  // The same folder each time: what the compiler made of the other files is used again.
  const folder = join(cacheFolder(), "metal-mutations"), path = join(folder, "runtime/metal", bug.file);
  for (const part of PARTS) copy(join(ROOT, part), join(folder, part));
  await Deno.writeTextFile(path, withBug(folder, bug));
  // What is compiled is another source than the one beside it: the bug is in the copy alone.
  return run(folder, bug.families, { DENIM_LIBRARY: "" }); // the copy's own library, whatever is asked for
}

const words = Deno.args.filter((a) => !a.startsWith("--"));
const wanted = (bug: Bug) => words.length === 0 || words.some((w) => bug.title.includes(w));
const groups = [
  { bugs: Deno.args.includes("--host") ? [] : KERNELS.filter(wanted), attempt: tryKernel },
  { bugs: Deno.args.includes("--kernels") ? [] : HOST.filter(wanted), attempt: tryHost },
];
const families = new Set(groups.flatMap(({ bugs }) => bugs.flatMap((b) => b.families)));
const baseline = await run(ROOT, [...families], {});
if (baseline) console.log(`without a bug: ${baseline}`);
let found = 0, tried = 0;
for (const { bugs, attempt } of groups) {
  for (const bug of bugs) {
    const said = await attempt(bug);
    tried++;
    if (said) found++;
    console.log(`${said ? "found " : "MISSED"} ${bug.file}: ${bug.title}\n         ${said}`);
  }
}
console.log(`${found} of ${tried} found`);
await Deno.remove(temporary, { recursive: true });
Deno.exit(baseline || (tried === 30 ? found < 28 : found < tried) ? 1 : 0);
