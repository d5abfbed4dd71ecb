/**
 * What a run shows: the bar's line, the lines where there is no terminal, and the report.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { duration, Progress, progressText, short } from "../../train/progress.ts";
import { curve, reportText } from "../../train/report.ts";

const STATE = { label: "mnist", step: 632, total: 1404, loss: 0.03121, itemsPerSecond: 5321, secondsLeft: 67 };

Deno.test("progressText has a bar, loss, items and time left in its columns, whatever the numbers", () => {
  assertEquals(
    progressText(STATE, 79),
    "mnist [##########-------------] 45% 632/1404 loss 0.0312 5.3k items/s 1:07 left",
  );
  assertEquals(progressText({ ...STATE, total: null, secondsLeft: null }), "mnist step 632 loss 0.0312 5.3k items/s");
  for (const columns of [20, 40, 60, 79]) {
    for (const step of [0, 9, 99_999_999]) {
      for (const loss of [0, NaN, 1e-12, -3, 1e30]) {
        const state = { ...STATE, label: "a rather long name of a run", step, total: 1e8, loss, secondsLeft: 1e6 };
        const text = progressText(state, columns);
        assert(text.length <= columns && text.length > 0, `${text.length} of ${columns}: ${text}`);
      }
    }
  }
  assertEquals([0, 59.6, 61, 3600, 86_399].map(duration), ["0:00", "1:00", "1:01", "1:00:00", "23:59:59"]);
  assertEquals([0.5, 99.94, 999, 1000, 2.5e6].map(short), ["0.50", "99.9", "999", "1.0k", "2.50M"]);
});

Deno.test("Progress draws over its line on a terminal, and writes few lines elsewhere", () => {
  const run = (columns: number | null): string => {
    let text = "";
    const progress = new Progress({ columns, write: (more) => text += more });
    for (let step = 1; step <= 200; step++) progress.show({ ...STATE, step, total: 200 });
    progress.line("a round");
    progress.end();
    return text;
  };
  const lines = run(null).trimEnd().split("\n");
  assertEquals([lines.length, lines.at(-1)], [21, "a round"]);
  const drawn = run(80);
  assertEquals(drawn.split("\n").length, 2);
  assert(drawn.endsWith("\r\x1b[Ka round\n"));
  assert(drawn.split("\r\x1b[K").every((line) => line.length < 80));
});

Deno.test("curve leaves out what is no number and has a thousand points at most, without losing the level", () => {
  const rows = Array.from(
    { length: 5000 },
    (_, i) => ({ step: i + 1, loss: i === 7 ? NaN : 3, ...i % 2 ? { odd: i } : {} }),
  );
  const points = curve(rows, "loss");
  assert(points.length <= 1000 && points.length > 500 && points.every(({ value }) => value === 3));
  assertEquals(curve(rows.slice(0, 4), "odd"), [{ step: 2, value: 1 }, { step: 4, value: 3 }]);
});

Deno.test("the report is one page that loads nothing, with a picture for each subject", async () => {
  const rows = Array.from({ length: 200 }, (_, i) => ({
    step: i + 1,
    epoch: 0,
    loss: 5 * 0.97 ** i,
    learningRate: 1e-3,
    gradNorm: 1,
    itemsPerSecond: 2e5,
    seconds: i,
    ...i % 50 === 49 ? { "validation.loss": 1, "validation.accuracy": 0.5 } : {},
  }));
  const page = await reportText({ title: "a <b> & c", facts: [["Best", "<1>"]] }, rows);
  assert(page.includes("<h1>a &#60;b&#62; &#38; c</h1>") && page.includes("&#60;1&#62;"));
  const titles = [...page.matchAll(/<h2>(.*)<\/h2>/g)].map(([, title]) => title);
  assertEquals(titles, ["Loss", "Learning rate", "Norm of the gradients", "Items per second", "accuracy"]);
  assertEquals(page.split("<svg").length - 1, 5);
  assert(page.includes("validation.loss</span>"));
  assert(!/<script|<link|<img|url\(|href=|src=|NaN/.test(page));
});
