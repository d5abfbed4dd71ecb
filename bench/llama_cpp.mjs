// llama.cpp on the works of bench/works/language.ts, through node-llama-cpp. bench/peers.ts runs it with Node in the
// folder where that package is installed: node llama_cpp.mjs MODEL.gguf THREADS PROMPT_TOKENS NEW_TOKENS SECONDS.
// Prints one line of JSON: { "prefill": [seconds per token, ...], "decode": [...] }.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const SHORT_PROMPT = 32;
const [path, ...numbers] = process.argv.slice(2);
const [threads, promptTokens, newTokens, seconds] = numbers.map(Number);
const entry = createRequire(`${process.cwd()}/`).resolve("node-llama-cpp");
const { getLlama } = await import(pathToFileURL(entry).href);
const llama = await getLlama({
  gpu: false,
  build: "never",
  progressLogs: false,
  logLevel: "error",
  maxThreads: threads,
});
const model = await llama.loadModel({ modelPath: path });
const vocabulary = model.fileInsights.ggufFileInfo?.metadata?.tokenizer?.ggml?.tokens?.length ?? 32000;
const tokens = (n) => Array.from({ length: n }, (_, i) => (300 + (i * 7919) % 30000) % vocabulary);
const context = await model.createContext({ contextSize: promptTokens + newTokens + 64, threads, batchSize: 512 });
const sequence = context.getSequence();

async function prefill() {
  await sequence.clearHistory();
  const start = performance.now();
  await sequence.evaluateWithoutGeneratingNewTokens(tokens(promptTokens));
  return (performance.now() - start) / 1e3 / promptTokens;
}
/** The first token carries the prompt, so the clock starts after it. */
async function decode() {
  await sequence.clearHistory();
  let start = 0, seen = 0;
  for await (const _ of sequence.evaluate(tokens(SHORT_PROMPT), { temperature: 0, yieldEogToken: true })) {
    if (seen++ === 0) start = performance.now();
    if (seen > newTokens) break;
  }
  return (performance.now() - start) / 1e3 / (seen - 1);
}
async function samples(f) {
  await f();
  const times = [], end = performance.now() + 1e3 * seconds;
  while (times.length < 3 || performance.now() < end) times.push(await f());
  return times;
}
console.log(JSON.stringify({ prefill: await samples(prefill), decode: await samples(decode) }));
process.exit(0);
