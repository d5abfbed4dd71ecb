/**
 * Trains the same nets with Denim and with PyTorch, from equal weights with equal batches, in turn on one machine:
 *
 *     deno run -A bench/torch/main.ts --python PATH [--only mnist] [--epochs 1] [--steps 300] [--threads N] [--rounds 6]
 *     deno run -A bench/torch/main.ts --python PATH --only mnist --epochs 3 --rounds 3    # 99 % of held-out digits
 *
 * Prints for each net the time of a step as the median over the rounds with its ratio (below 1 says that Denim is
 * faster), images or tokens in a second, the peak of resident memory, how far the losses are apart, and for digits the
 * share of held-out ones that are read right. The Python needs `torch` and `safetensors`.
 * @module
 */
import { parseArgs } from "node:util";
import * as mx from "../../mod.ts";
import { mnist } from "../../examples/shared/digits.ts";
import { mobyDick } from "../../examples/shared/text.ts";
import { TextLineStream } from "../lines.ts";

/** What a process answers to `steps`. */
interface Steps {
  readonly seconds: number;
  readonly cpu: number;
  readonly losses: readonly number[];
  readonly peak: number;
}
/** A process that trains on request. */
class Trainer {
  readonly #process: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;
  constructor(command: string, args: readonly string[], threads: number) {
    const n = String(threads), env = { OMP_NUM_THREADS: n, MKL_NUM_THREADS: n, DENIM_THREADS: n };
    this.#process = new Deno.Command(command, { args: [...args], env, stdin: "piped", stdout: "piped" }).spawn();
    this.#requests = this.#process.stdin.getWriter();
    this.#answers = this.#process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
      .getReader();
  }
  async #ask(request: object): Promise<string> {
    await this.#requests.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    const { value, done } = await this.#answers.read();
    if (done) throw new Error(`a process ended at ${JSON.stringify(request)}`);
    return value;
  }
  async prepare(work: string, folder: string): Promise<void> {
    await this.#ask({ work, folder });
  }
  async steps(steps: number): Promise<Steps> {
    const answer: Steps = JSON.parse(await this.#ask({ steps }));
    // Threads spin for a while after work; the other's work shall not run beside them.
    await new Promise((resolve) => setTimeout(resolve, 300));
    return answer;
  }
  async accuracy(): Promise<number> {
    const { accuracy }: { accuracy: number } = JSON.parse(await this.#ask({ evaluate: true }));
    return accuracy;
  }
  async close(): Promise<void> {
    await this.#requests.close();
    await this.#answers.cancel();
    await this.#process.status;
  }
}

const BATCH = 128, LM_BATCH = 16;
/** What a step learns from. */
const ITEMS: Readonly<Record<string, readonly [count: number, unit: string]>> = {
  mnist: [BATCH, "images"],
  transformer: [LM_BATCH * 128, "tokens"],
  lstm: [LM_BATCH * 64, "tokens"],
};
/** The digits and their order, or a text and where the batches start. */
async function writeData(work: string, folder: string, steps: number, epochs: number): Promise<number> {
  mx.random.seed(1);
  const file = `${folder}/data.safetensors`;
  if (work !== "mnist") {
    const { tokens } = await mobyDick();
    const starts = mx.random.randint(0, tokens.length - 200, [steps, LM_BATCH]);
    await mx.saveSafetensors(file, { tokens: mx.array(tokens), starts });
    return steps;
  }
  const { train, test } = await mnist(), perEpoch = Math.floor(train.labels.size / BATCH), count = perEpoch * BATCH;
  const orders = Array.from(
    { length: Math.ceil(epochs) },
    () => mx.random.permutation(train.labels.size).index(mx.slice(0, count)),
  );
  await mx.saveSafetensors(file, {
    images: train.images,
    labels: train.labels,
    test_images: test.images,
    test_labels: test.labels,
    order: mx.concatenate(orders).reshape([-1, BATCH]).astype(mx.int32),
  });
  return Math.floor(perEpoch * epochs);
}
const median = (xs: readonly number[]): number => xs.toSorted((a, b) => a - b)[xs.length >> 1]!;
const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;

/** Trains both in turn and prints what came of it. */
async function compare(work: string, python: string, threads: number, rounds: number, steps: number, epochs: number) {
  const folder = await Deno.makeTempDir();
  const here = (name: string) => new URL(name, import.meta.url).pathname;
  const torch = new Trainer(python, [here("train.py"), String(threads)], threads);
  const denim = new Trainer(Deno.execPath(), ["run", "-A", here("train.ts")], threads);
  try {
    const total = await writeData(work, folder, steps, epochs), each = Math.floor(total / rounds);
    await torch.prepare(work, folder);
    await denim.prepare(work, folder);
    const ours: Steps[] = [], theirs: Steps[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(await denim.steps(each));
      theirs.push(await torch.steps(each));
    }
    const time = (all: readonly Steps[]) => median(all.map(({ seconds }) => 1000 * seconds / each));
    const [items, unit] = ITEMS[work]!, speed = (all: readonly Steps[]) => (1000 * items / time(all)).toFixed(0);
    const ratios = (key: "seconds" | "cpu") => {
      const all = ours.map((o, i) => o[key] / theirs[i]![key]);
      return `${median(all).toFixed(2)} (${all.map((r) => r.toFixed(2)).join(" ")})`;
    };
    const losses = (all: readonly Steps[]) => all.flatMap((s) => s.losses);
    const [a, b] = [losses(ours), losses(theirs)], apart = a.map((x, i) => Math.abs(x - b[i]!));
    const megabytes = (all: readonly Steps[]) => (all.at(-1)!.peak / 1e6).toFixed(0);
    console.log(
      `${work}: ${rounds * each} steps; a step takes ${time(ours).toFixed(2)} ms, PyTorch ${
        time(theirs).toFixed(2)
      } ms: ` +
        `ratio ${ratios("seconds")}, of processor time ${ratios("cpu")}`,
    );
    console.log(`  ${speed(ours)} ${unit}/s, PyTorch ${speed(theirs)} ${unit}/s`);
    console.log(`  resident peak ${megabytes(ours)} MB, PyTorch ${megabytes(theirs)} MB`);
    console.log(
      `  losses ${a[0]!.toFixed(5)} -> ${mean(a.slice(-20)).toFixed(4)}, PyTorch ${b[0]!.toFixed(5)} -> ` +
        `${mean(b.slice(-20)).toFixed(4)}; apart by ${mean(apart.slice(0, 20)).toExponential(1)} in the first 20 ` +
        `steps, ${mean(apart.slice(-20)).toExponential(1)} in the last 20`,
    );
    if (work !== "mnist") return;
    const right = [await denim.accuracy(), await torch.accuracy()].map((share) => (100 * share).toFixed(2));
    console.log(`  held out: ${right[0]} % right, PyTorch ${right[1]} %`);
  } finally {
    await Promise.all([denim.close(), torch.close()]);
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      python: { type: "string", default: "python3" },
      only: { type: "string", default: "mnist,transformer,lstm" },
      threads: { type: "string", default: String(navigator.hardwareConcurrency) },
      rounds: { type: "string", default: "6" },
      steps: { type: "string", default: "300" },
      epochs: { type: "string", default: "1" },
    },
  });
  const [threads, rounds, steps, epochs] = [values.threads, values.rounds, values.steps, values.epochs].map(Number);
  for (const work of values.only.split(",")) await compare(work, values.python, threads!, rounds!, steps!, epochs!);
}
