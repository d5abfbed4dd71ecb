/**
 * From a schedule to the words of a program: layouts of views, copies where a kernel cannot take a layout, one
 * instruction per kernel, and a place for every value. Temporaries share one arena by liveness; what is kept has a
 * buffer of its own; a kernel works in place where its dying input allows it.
 * @module
 */
import { ARENA, assemble, FUSED, Words } from "../ffi/program.ts";
import { Arena, type Block, ONCE, type Packing } from "./arena.ts";
import type { NDArray } from "./array.ts";
import { DType } from "./dtype.ts";
import { describe, hostData, intsOf } from "./graph.ts";
import { fail, KernelError } from "./errors.ts";
import type { Group, Schedule } from "./plan.ts";
import { isScalarConstant } from "./plan.ts";
import type { HostData, Layout, Need, Shape } from "./primitive.ts";
import { rowMajorStrides, sizeOf } from "./shape.ts";
import { debugging, type SiteTable, tableOf } from "./sites.ts";

/** Storage of one result while the program runs. */
export interface Value {
  readonly id: number;
  readonly nbytes: number;
  place: number;
  offset: number;
  lastUse: number;
  /** The leaf whose buffer it is in, if it is. */
  leaf: NDArray | null;
}
/** A value seen through a layout. */
export interface Ref {
  readonly value: Value;
  readonly layout: Layout;
  readonly shape: Shape;
  readonly dtype: DType;
}
/** An instruction; its values get their places last of all. */
export interface Instruction {
  readonly start: number;
  readonly reads: Ref[];
  readonly writes: Value[];
  /** What it computes. */
  readonly nodes: readonly NDArray[];
  /** It only copies its node, for a kernel that needs another layout. */
  readonly copy?: true;
  /** Which of the reads each write may lie on, if that read dies here. */
  readonly over: (write: Value) => readonly Ref[];
}
/** A program, and what its results are. */
export interface Lowered {
  readonly words: Float64Array<ArrayBuffer>;
  /** Leaves, in the order of the program's inputs. */
  readonly inputs: readonly NDArray[];
  /** Which inputs are overwritten. */
  readonly written: readonly boolean[];
  /** What is kept, in the order of the program's outputs, and its layout (null: contiguous). */
  readonly outputs: readonly { readonly node: NDArray; readonly layout: Layout | null; readonly nbytes: number }[];
  /** Leaves whose buffer was taken, and by whom. */
  readonly takers: ReadonlyMap<NDArray, NDArray>;
  /** Bytes of the arena, and the most that temporaries need at one time: what a perfect placing would take. */
  readonly memory: { readonly arena: number; readonly live: number };
  /** When debugging: the lines of the instructions. */
  readonly sites: SiteTable | null;
  /** In the order in which they run. */
  readonly instructions: readonly Instruction[];
}

/** Are the elements in row-major order without gaps? */
export function isContiguous(layout: Layout, shape: Shape): boolean {
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] === 1) continue;
    if (layout.strides[i] !== step) return false;
    step *= shape[i]!;
  }
  return true;
}
function fits(need: Need, r: Ref): boolean {
  if (need === "any" || sizeOf(r.shape) === 0) return true;
  if (need === "contiguous") return isContiguous(r.layout, r.shape);
  const last = r.shape.length - 1;
  return last < 0 || r.shape[last] === 1 || r.layout.strides[last] === 1;
}

/** Bytes of host numbers. */
export function hostBytes(data: HostData): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = data;
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, byteLength)
    : new Uint8Array(buffer).slice(byteOffset, byteOffset + byteLength);
}

/** Instructions of the program that is being lowered: one at a time. */
const instructionWords = new Words();
/** Turns a schedule into a program, whose words are valid until the next call. */
export function lower(s: Schedule, tableHash: number, packing: Packing = ONCE): Lowered {
  return new Lowering(s, packing).program(tableHash);
}

class Lowering {
  readonly #words = instructionWords;
  readonly #values: Value[] = [];
  readonly #instructions: Instruction[] = [];
  readonly #refs = new Map<NDArray, Ref>();
  readonly #copies = new Map<NDArray, Ref>();
  readonly #constants: { value: Value; node: NDArray }[] = [];
  readonly #places: number[] = [];
  readonly #valueNode = new Map<Value, NDArray>();
  #homeLeaves: ReadonlySet<NDArray> | undefined;
  constructor(readonly schedule: Schedule, readonly packing: Packing) {
    this.#words.clear();
  }

  program(tableHash: number): Lowered {
    const { order, leaves, kept, donatable } = this.schedule;
    const inputs = leaves.filter((n) => !isScalarConstant(n));
    inputs.forEach((n, i) => this.#input(n, i));
    for (const g of order) this.#group(g);
    const outputs = kept.map((n) => ({ node: n, ref: this.#ref(n) }));
    const last = this.#instructions.length;
    this.#instructions.forEach((ins, k) => ins.reads.forEach((r) => r.value.lastUse = k));
    for (const o of outputs) o.ref.value.lastUse = last;
    const given = new Set<Value>();
    for (const n of inputs) {
      const v = this.#refs.get(n)!.value;
      if (donatable.has(n)) given.add(v);
      else v.lastUse = Infinity;
    }
    const { memory, written, takers } = this.#assign(inputs, new Set(outputs.map((o) => o.ref.value)), given);
    const values = this.#values.map((v) => ({ place: v.place, offset: v.offset, nbytes: v.nbytes }));
    const sites = debugging ? tableOf(this.#instructions.map(placesOf)) : null;
    const words = assemble(
      {
        tableHash,
        tag: sites?.tag ?? 0,
        arenaBytes: memory.arena,
        places: this.#places,
        values,
        inputs: inputs.map((n, i) => ({ nbytes: this.#refs.get(n)!.value.nbytes, written: written[i]! })),
        constants: this.#constants.map((c) => ({ place: c.value.place, bytes: hostBytes(hostData(c.node)) })),
        outputs: outputs.map((o) => o.ref.value.id),
      },
      this.#words,
      this.#instructions.length,
    );
    return {
      words,
      inputs,
      written,
      takers,
      memory,
      sites,
      instructions: this.#instructions,
      outputs: outputs.map(({ node, ref }) => ({ node, layout: plainLayout(ref), nbytes: ref.value.nbytes })),
    };
  }

  #newValue(nbytes: number): Value {
    const v: Value = { id: this.#values.length, nbytes, place: ARENA, offset: 0, lastUse: -1, leaf: null };
    this.#values.push(v);
    return v;
  }
  #input(n: NDArray, i: number): void {
    const layout = n.layout ?? { offset: 0, strides: rowMajorStrides(n.shape) };
    const v = this.#newValue(n.bufferBytes || sizeOf(n.shape) * n.dtype.size);
    v.place = i;
    v.leaf = n;
    this.#refs.set(n, { value: v, layout, shape: n.shape, dtype: n.dtype });
  }
  /**
   * Where a node's elements are; makes copies and uploads as needed. A loop walks chains of views, which may be deep.
   */
  #ref(n: NDArray): Ref {
    const known = this.#refs.get(n);
    if (known) return known;
    const views: NDArray[] = [];
    let base = n;
    while (base.prim.kind === "view" && !this.#refs.has(base)) {
      views.push(base);
      base = base.inputs[0]!;
    }
    let made = this.#refs.get(base);
    if (!made) {
      if (base.prim.kind !== "constant") failPlan(base, "a value that was computed before");
      this.#refs.set(base, made = this.#constant(base));
    }
    for (let i = views.length - 1; i >= 0; i--) this.#refs.set(views[i]!, made = this.#view(views[i]!, made));
    return made;
  }
  #view(n: NDArray, from: Ref): Ref {
    const x = n.inputs[0]!;
    const layout = n.prim.layout!(from.layout, x, n, n.params);
    if (layout) return { value: from.value, layout, shape: n.shape, dtype: n.dtype };
    const copy = this.#copy(x, from, n), again = n.prim.layout!(copy.layout, x, n, n.params);
    if (!again) return failPlan(n, "a layout of contiguous elements");
    return { value: copy.value, layout: again, shape: n.shape, dtype: n.dtype };
  }
  #constant(n: NDArray): Ref {
    const value = this.#newValue(sizeOf(n.shape) * n.dtype.size);
    this.#constants.push({ value, node: n });
    return { value, layout: { offset: 0, strides: rowMajorStrides(n.shape) }, shape: n.shape, dtype: n.dtype };
  }
  /** A contiguous copy of `n`, made once; `reader` is the first that needs it. */
  #copy(n: NDArray, from: Ref, reader: NDArray): Ref {
    const known = this.#copies.get(n);
    if (known) return known;
    const value = this.#newValue(sizeOf(n.shape) * n.dtype.size);
    const to: Ref = { value, layout: { offset: 0, strides: rowMajorStrides(n.shape) }, shape: n.shape, dtype: n.dtype };
    this.#copies.set(n, to);
    if (value.nbytes) {
      const start = this.#open(FUSED);
      this.#words.push(n.shape.length);
      this.#words.pushAll(n.shape);
      this.#words.push(1);
      this.#loopOperand(from, n.shape);
      this.#words.pushAll([0, 0, 1, 0, value.id, n.dtype.code, 0]);
      this.#close({ start, reads: [from], writes: [value], nodes: [reader], copy: true, over: () => [] });
    }
    return to;
  }

  #open(op: number): number {
    const start = this.#words.length;
    this.#words.push(op);
    this.#words.push(0);
    return start;
  }
  #close(i: Instruction): void {
    this.#words.set(i.start + 1, this.#words.length - i.start);
    this.#instructions.push(i);
  }
  #define(n: NDArray): Value {
    const value = this.#newValue(sizeOf(n.shape) * n.dtype.size);
    this.#refs.set(n, {
      value,
      layout: { offset: 0, strides: rowMajorStrides(n.shape) },
      shape: n.shape,
      dtype: n.dtype,
    });
    this.#valueNode.set(value, n);
    return value;
  }
  #group(g: Group): void {
    if (g.tail.prim.kind === "kernel") this.#kernel(g);
    else this.#fused(g);
  }
  #operand(r: Ref): void {
    this.#words.pushAll([r.value.id, r.dtype.code, r.layout.offset * r.dtype.size, r.shape.length]);
    this.#words.pushAll(r.shape);
    this.#words.pushAll(r.layout.strides);
  }
  #params(n: NDArray): void {
    const schema = n.prim.params;
    for (const key in schema) {
      const kind = schema[key]!, value = n.params[key]!;
      if (kind === "host") continue;
      if (kind === "ints") {
        const list = intsOf(n, key);
        this.#words.push(list.length);
        this.#words.pushAll(list);
      } else this.#words.push(value instanceof DType ? value.code : Number(value));
    }
  }

  #kernel(g: Group): void {
    const n = g.tail,
      needs = n.prim.needs,
      reads = n.inputs.map((x, i): Ref => {
        const r = this.#ref(x), need = needs ? needs[Math.min(i, needs.length - 1)]! : "contiguous";
        return fits(need, r) ? r : this.#copy(x, r, n);
      });
    const value = this.#define(n);
    if (!value.nbytes) return;
    const start = this.#open(n.prim.code);
    this.#words.pushAll([reads.length, 1]);
    for (const r of reads) this.#operand(r);
    this.#operand(this.#refs.get(n)!);
    this.#params(n);
    const at = n.prim.inPlace, target = at === undefined ? null : reads[at]!;
    const alone = target && reads.every((r, i) => i === at || r.value !== target.value) && covers(target, value);
    this.#close({ start, reads, writes: [value], nodes: [n], over: () => alone ? [target] : [] });
  }

  #fused(g: Group): void {
    const loop = g.loop, reduces = g.tail.prim.kind === "reduce", members = g.members;
    const f = new FusedOperands(members, (x) => this.#ref(x));
    const start = this.#open(FUSED);
    const defined = members.filter((m) => m === g.tail || this.schedule.keep.has(m)).map((m) => ({
      m,
      value: this.#define(m),
    }));
    if (defined.every((d) => d.value.nbytes === 0)) return this.#cancel(start);
    this.#words.push(loop.length);
    this.#words.pushAll(loop);
    this.#words.push(f.reads.length);
    for (const r of f.reads) this.#loopOperand(r, loop);
    this.#words.push(f.immediates.length);
    for (const c of f.immediates) this.#immediate(c);
    const steps = reduces ? members.slice(0, -1) : members;
    this.#words.push(steps.length);
    for (const m of steps) {
      this.#words.pushAll([m.prim.code, m.dtype.code, m.inputs.length]);
      for (const x of m.inputs) this.#words.push(f.number(x));
      this.#params(m);
    }
    const whole = defined.filter((d) => !(reduces && d.m === g.tail));
    this.#words.push(whole.length);
    for (const d of whole) this.#words.pushAll([f.number(d.m), d.value.id, d.m.dtype.code]);
    this.#words.push(reduces ? 1 : 0);
    if (reduces) {
      let mask = 0;
      for (const a of intsOf(g.tail, "axes")) mask |= 1 << a;
      this.#words.pushAll([
        g.tail.prim.code,
        f.number(g.tail.inputs[0]!),
        mask >>> 0,
        defined.find((d) => d.m === g.tail)!.value.id,
        g.tail.dtype.code,
      ]);
    }
    const over = (w: Value) => whole.some((d) => d.value === w) ? f.overwritable(w, sizeOf(loop)) : [];
    this.#close({ start, reads: f.reads, writes: defined.map((d) => d.value), nodes: members, over });
  }
  #cancel(start: number): void {
    this.#words.length = start;
  }
  #loopOperand(r: Ref, loop: Shape): void {
    this.#words.pushAll([r.value.id, r.dtype.code, r.layout.offset * r.dtype.size]);
    if (r.shape.length === loop.length) {
      for (let i = 0; i < loop.length; i++) this.#words.push(r.shape[i] === 1 ? 0 : r.layout.strides[i]!);
    } else for (let i = 0; i < loop.length; i++) this.#words.push(0); // 0-d: the same element everywhere
  }
  #immediate(c: NDArray): void {
    const data = hostData(c), v = data[0]!;
    if (c.dtype.kind === "complex") this.#words.pushAll([c.dtype.code, Number(data[0]!), Number(data[1]!)]);
    else if (typeof v === "bigint") {
      this.#words.pushAll([c.dtype.code, Number(BigInt.asIntN(32, v >> 32n)), Number(BigInt.asUintN(32, v))]);
    } else if (c.dtype.kind === "float") this.#words.pushAll([c.dtype.code, hostFloat(c.dtype, v), 0]);
    else this.#words.pushAll([c.dtype.code, Math.floor(v / 2 ** 32), v >>> 0]);
  }

  /** Gives every value its place, instruction by instruction. */
  #assign(
    inputs: readonly NDArray[],
    kept: ReadonlySet<Value>,
    given: ReadonlySet<Value>,
  ): { memory: Lowered["memory"]; written: boolean[]; takers: Map<NDArray, NDArray> } {
    const arena = new Arena(),
      blockOf = new Map<Value, Block>(),
      written = inputs.map(() => false),
      takers = new Map<NDArray, NDArray>(),
      nInputs = inputs.length;
    const fresh = (v: Value) => {
      v.place = nInputs + this.#places.push(v.nbytes) - 1;
      v.offset = 0;
    };
    for (const c of this.#constants) fresh(c.value);
    const holding = new Map<Value, Block>();
    const hold = (v: Value, block: Block) => {
      holding.set(v, block);
      blockOf.set(v, block);
    };
    const release = (v: Value, k: number) => {
      const block = holding.get(v);
      if (block) arena.free(block, k);
      holding.delete(v);
    };
    for (const [k, ins] of this.#instructions.entries()) {
      const dying = new Set<Value>();
      for (const r of ins.reads) if (r.value.lastUse === k) dying.add(r.value);
      for (const w of ins.writes) {
        if (!w.nbytes) continue;
        const able = (r: Ref) => dying.has(r.value) && this.#mayTake(r.value, w, kept, given, holding);
        const r = this.schedule.homes.size ? this.#atHome(w, ins.over(w).filter(able)) : ins.over(w).find(able);
        if (r) {
          dying.delete(r.value);
          [w.place, w.offset] = [r.value.place, r.value.offset];
          const block = holding.get(r.value);
          if (block) holding.delete(r.value), hold(w, block);
          if (r.value.leaf) this.#take(r.value, w, written, takers);
        } else if (kept.has(w)) fresh(w);
        else {
          hold(w, arena.take(w.nbytes, k));
        }
      }
      for (const v of dying) release(v, k);
      for (const w of ins.writes) if (w.lastUse < 0 && !kept.has(w)) release(w, k);
    }
    arena.pack(this.packing);
    for (const [v, block] of blockOf) v.offset = block.offset;
    for (const v of this.#values) if (!v.nbytes && v.place === ARENA && kept.has(v)) fresh(v);
    return { memory: { arena: arena.size, live: arena.peak }, written, takers };
  }
  /** A temporary may lie on a dying temporary; a kept result only on a leaf that was given away. */
  #mayTake(
    v: Value,
    w: Value,
    kept: ReadonlySet<Value>,
    given: ReadonlySet<Value>,
    holding: ReadonlyMap<Value, Block>,
  ): boolean {
    if (v.leaf) return given.has(v) || this.#isGivenChain(v, given);
    if (kept.has(w)) return v.place >= 0 && !kept.has(v) && this.#constants.every((c) => c.value !== v);
    return holding.has(v);
  }
  /** Of several places the result's own, else one that is no other result's. */
  #atHome(w: Value, able: readonly Ref[]): Ref | undefined {
    const { homes } = this.schedule, node = this.#valueNode.get(w), home = node && homes.get(node);
    const leaves = this.#homeLeaves ??= new Set(homes.values());
    return able.find((r) => r.value.leaf && r.value.leaf === home) ??
      able.find((r) => !r.value.leaf || !leaves.has(r.value.leaf)) ?? able[0];
  }
  #isGivenChain(v: Value, given: ReadonlySet<Value>): boolean {
    for (const g of given) if (g.place === v.place && v.leaf === g.leaf) return true;
    return false;
  }
  #take(from: Value, w: Value, written: boolean[], takers: Map<NDArray, NDArray>): void {
    written[from.place] = true;
    w.leaf = from.leaf;
    const node = this.#valueNode.get(w);
    if (node) takers.set(from.leaf!, node);
  }
}

function placesOf({ nodes, writes }: Instruction): { nodes: readonly NDArray[]; nbytes: number } {
  return { nodes, nbytes: writes.reduce((n, w) => Math.max(n, w.nbytes), 0) };
}
/** Throws: the planner has a fault. */
function failPlan(n: NDArray, expected: string): never {
  return fail(KernelError, "eval", {
    cannot: `plan ${describe(n)}`,
    expected,
    got: "none",
    fix: "report this as a bug",
  });
}
/** Does the layout cover exactly the bytes that a contiguous result of `w` would? */
function covers(r: Ref, w: Value): boolean {
  return r.layout.offset === 0 && r.value.nbytes === w.nbytes && isContiguous(r.layout, r.shape);
}
function plainLayout(r: Ref): Layout | null {
  return r.layout.offset === 0 && isContiguous(r.layout, r.shape) ? null : r.layout;
}
/** The number that a float constant's bits mean. */
function hostFloat(dtype: DType, v: number): number {
  if (dtype.name !== "bfloat16") return v;
  return new Float32Array(new Uint32Array([v << 16]).buffer)[0]!; // bfloat16 data are kept as 16-bit words
}

/** The numbering inside a fused instruction: what it reads, its immediates, then its steps. */
class FusedOperands {
  readonly reads: Ref[] = [];
  readonly immediates: NDArray[] = [];
  readonly #numbers = new Map<NDArray, () => number>();
  readonly #steps: Map<NDArray, number>;
  constructor(readonly members: readonly NDArray[], ref: (x: NDArray) => Ref) {
    this.#steps = new Map(members.map((m, i) => [m, i]));
    for (const m of members) {
      for (const x of m.inputs) if (!this.#steps.has(x) && !this.#numbers.has(x)) this.#add(x, ref);
    }
  }
  #add(x: NDArray, ref: (x: NDArray) => Ref): void {
    const base = scalarBase(x);
    if (base) {
      const at = this.immediates.push(base) - 1;
      this.#numbers.set(x, () => this.reads.length + at);
    } else {
      const at = this.reads.push(ref(x)) - 1;
      this.#numbers.set(x, () => at);
    }
  }
  number(x: NDArray): number {
    const step = this.#steps.get(x);
    return step === undefined ? this.#numbers.get(x)!() : this.reads.length + this.immediates.length + step;
  }
  /**
   * Reads that a result of `n` elements may overwrite: contiguous, as many of the same size (a repeated scalar may have
   * as many bytes), and seen through that layout only.
   */
  overwritable(w: Value, n: number): Ref[] {
    return this.reads.filter((r) =>
      sizeOf(r.shape) === n && n * r.dtype.size === w.nbytes && covers(r, w) &&
      this.reads.every((o) => o.value !== r.value || (covers(o, w) && o.dtype.size === r.dtype.size))
    );
  }
}
/** The constant of one element below views that only repeat or reshape it. */
function scalarBase(x: NDArray): NDArray | null {
  let n = x;
  while (n.prim.kind === "view" && n.state !== "evaluated" && n.dtype === n.inputs[0]!.dtype) n = n.inputs[0]!;
  return isScalarConstant(n) ? n : null;
}
