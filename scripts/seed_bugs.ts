/**
 * Shows that the tests find mistakes: `deno run -A scripts/seed_bugs.ts`. Each of seven bugs is put into a copy of the
 * sources in a temporary folder, and the suite that has to find it is run there. Ends with 1 if one is not found, or if
 * a suite fails without a bug.
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A mistake: a text that stands once in a file, and what it becomes. */
interface Bug {
  readonly title: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly suite: Suite;
}
/** Arguments of deno for a suite, and its environment. */
interface Suite {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}
const GRAPHS: Suite = { args: ["test", "-A", "--no-check", "tests/random_graphs"], env: { SEEDS: "150" } };
const COMPILED: Suite = { args: ["test", "-A", "--no-check", "tests/ops/compiled_test.ts"], env: {} };
const DERIVATIVE: Suite = { args: ["test", "-A", "--no-check", "tests/ops/derivative_test.ts"], env: {} };

const BUGS: readonly Bug[] = [
  {
    title: "a kernel reads through views as if they were not there",
    file: "core/lower.ts",
    from: "const at = this.reads.push(ref(x)) - 1;",
    to: "const seen = x.prim.kind === 'view' && x.inputs[0]?.shape.length === x.shape.length ? x.inputs[0] : x; " +
      "const at = this.reads.push(ref(seen)) - 1;",
    suite: GRAPHS,
  },
  {
    title: "all scalars of a kernel are its first one",
    file: "core/lower.ts",
    from: "const at = this.immediates.push(base) - 1;",
    to: "const at = this.immediates.length ? 0 : this.immediates.push(base) - 1;",
    suite: GRAPHS,
  },
  {
    title: "memory is taken after its first reader",
    file: "core/lower.ts",
    from: "ins.reads.forEach((r) => r.value.lastUse = k)",
    to: "ins.reads.forEach((r) => r.value.lastUse = r.value.lastUse < 0 ? k : r.value.lastUse)",
    suite: GRAPHS,
  },
  {
    title: "a batched reduction keeps the axes of one example",
    file: "core/primitives/reduce.ts",
    from: "{ axes: axes.map((axis) => axis + 1) }",
    to: "{ axes }",
    suite: GRAPHS,
  },
  {
    title: "a compiled function forgets the shapes of its arguments",
    file: "core/transforms/signature.ts",
    from: "if (isPlain(x)) return describe(x);",
    to: "if (isPlain(x)) return x.dtype.name;",
    suite: COMPILED,
  },
  {
    title: "equal operations are those with equal inputs, whatever their parameters",
    file: "core/transforms/simplify.ts",
    from: "const params = Object.keys(n.prim.params).map((k) => paramText(n.params[k]!));",
    to: "const params: string[] = [paramText(n.shape)];",
    suite: GRAPHS,
  },
  {
    title: "a derivative has the wrong sign",
    file: "core/primitives/unary.ts",
    from: "cos: unary((x) => negative(sin(x)), { cost })",
    to: "cos: unary((x) => sin(x), { cost })",
    suite: DERIVATIVE,
  },
];

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const PARTS = [
  "core",
  "ffi",
  "nn",
  "optimizers",
  "lm",
  "runtime",
  "scripts",
  "tests",
  "mod.ts",
  "deno.json",
  "deno.lock",
];

function copy(from: string, to: string): void {
  if (Deno.statSync(from).isFile) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to, { recursive: true });
  for (const entry of Deno.readDirSync(from)) copy(join(from, entry.name), join(to, entry.name));
}
/** Puts the bug into the copy; the way back. */
function plant(folder: string, { file, from, to }: Bug): () => void {
  const path = join(folder, file), text = Deno.readTextFileSync(path);
  if (text.split(from).length !== 2) throw new Error(`${file} does not have this text once: ${from}`);
  Deno.writeTextFileSync(path, text.replace(from, () => to));
  return () => Deno.writeTextFileSync(path, text);
}
/** Whether the suite passes in the folder, and the first lines of what it says if not. */
async function passes(folder: string, { args, env }: Suite): Promise<{ passed: boolean; says: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: folder,
    env: { ...env, NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output(), decoder = new TextDecoder();
  const lines = `${decoder.decode(stdout)}\n${decoder.decode(stderr)}`.split("\n");
  return {
    passed: success,
    says: (lines.find((line) => /^error: Error|seed \d+:|checks failed/.test(line)) ?? "it fails").slice(0, 160),
  };
}
async function main(): Promise<boolean> {
  const folder = Deno.makeTempDirSync({ prefix: "denim-bugs-" });
  try {
    for (const part of PARTS) copy(join(ROOT, part), join(folder, part));
    let fine = true;
    for (const suite of new Set(BUGS.map((b) => b.suite))) {
      const { passed, says } = await passes(folder, suite);
      if (!passed) console.log(`without a bug: ${suite.args.at(-1)} fails: ${says}`);
      fine &&= passed;
    }
    for (const bug of fine ? BUGS : []) {
      const undo = plant(folder, bug), { passed, says } = await passes(folder, bug.suite);
      undo();
      console.log(`${passed ? "NOT FOUND" : "found"}: ${bug.title}${passed ? "" : `: ${says}`}`);
      fine &&= !passed;
    }
    return fine;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
if (import.meta.main && !await main()) Deno.exit(1);
