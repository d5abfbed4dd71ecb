/**
 * Every example runs at small size, without a network, and learns: its loss falls.
 * @module
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import type { Settings } from "../examples/shared/loop.ts";

/** The examples by name, and how many steps a small run takes. */
const STEPS: Readonly<Record<string, number>> = {
  autoencoder: 60,
  custom_function: 100,
  linear_regression: 60,
  logistic_regression: 60,
  lora: 200,
  lstm: 60,
  mlp: 150,
  mnist: 40,
  pretrain: 60,
  resumable: 40,
  transformer_lm: 60,
  vmap_hyperparameters: 100,
};
const folder = new URL("../examples/", import.meta.url);
const mean = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0) / xs.length;

Deno.test("every example has a test", () => {
  const files = Array.from(Deno.readDirSync(folder)).flatMap((f) =>
    f.name.endsWith(".ts") ? [f.name.slice(0, -3)] : []
  );
  assertEquals(files.sort(), Object.keys(STEPS));
});

for (const [name, steps] of Object.entries(STEPS)) {
  Deno.test(`the example ${name} learns`, async () => {
    const losses: number[] = [];
    const run: Settings = { steps, small: true, onStep: (_i, loss) => losses.push(loss) };
    const { train }: { train: (run: Settings) => unknown } = await import(new URL(`${name}.ts`, folder).href);
    await train(run);
    assert(losses.every(Number.isFinite));
    assertLess(mean(losses.slice(-5)), 0.6 * mean(losses.slice(0, 5)));
  });
}
