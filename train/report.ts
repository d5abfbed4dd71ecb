/**
 * The report of a run: one HTML file that needs nothing else. Observable Plot draws its pictures here, as SVG, so the
 * page holds no script and opens anywhere; Plot is loaded when the first report is written.
 * @module
 */
import type { MetricsRow } from "./metrics.ts";
import { duration } from "./progress.ts";

/** What the report says besides the pictures. */
export interface ReportFacts {
  /** The name of the run. */
  readonly title: string;
  /** Lines of the table. */
  readonly facts: readonly (readonly [name: string, value: string])[];
}
interface Point {
  readonly step: number;
  readonly value: number;
}
/** One picture: curves over the steps. */
interface Picture {
  readonly title: string;
  readonly names: readonly string[];
  readonly noisy: boolean;
  readonly log: boolean;
}

/** By names that are no literals: literal ones would be fetched with this module, by programs without reports too. */
const PLOT = "npm:@observablehq/plot@0.6.17", LINKEDOM = "npm:linkedom@0.18.12";
const WIDTH = 640, HEIGHT = 260, MOST_POINTS = 1000, HIDDEN = new Set(["step", "epoch", "seconds"]);
/** Titles; of noisy values a mean of neighbours is drawn over the values, and what falls by orders of magnitude is shown so. */
const SUBJECTS: Readonly<Record<string, { readonly title: string; readonly noisy: boolean; readonly log: boolean }>> = {
  loss: { title: "Loss", noisy: true, log: true },
  learningRate: { title: "Learning rate", noisy: false, log: false },
  gradNorm: { title: "Norm of the gradients", noisy: true, log: true },
  itemsPerSecond: { title: "Items per second", noisy: true, log: false },
};
const COLOURS = ["#4269d0", "#ff725c", "#3ca951", "#a463f2", "#97bbf5", "#9c6b4e"];

/** The values of a name; where there are too many for the width, means of neighbours. Values that are no numbers are left out. */
export function curve(rows: readonly MetricsRow[], name: string): Point[] {
  const points = rows.flatMap((row): Point[] => {
    const value = row[name];
    return value !== undefined && Number.isFinite(value) ? [{ step: row.step, value }] : [];
  });
  const width = Math.ceil(points.length / MOST_POINTS);
  if (width <= 1) return points;
  return Array.from({ length: Math.ceil(points.length / width) }, (_, i) => {
    const group = points.slice(i * width, (i + 1) * width);
    const mean = (of: (p: Point) => number): number => group.reduce((sum, p) => sum + of(p), 0) / group.length;
    return { step: mean((p) => p.step), value: mean((p) => p.value) };
  });
}
/** Means of each point and its neighbours, as many on both sides. */
function smooth(points: readonly Point[]): Point[] {
  const sums = [0], most = Math.ceil(points.length / 50);
  points.forEach(({ value }, i) => sums.push(sums[i]! + value));
  return points.map(({ step }, i) => {
    const reach = Math.min(most, i, points.length - 1 - i);
    return { step, value: (sums[i + reach + 1]! - sums[i - reach]!) / (2 * reach + 1) };
  });
}
/** `validation.accuracy` belongs to the picture of `accuracy`. */
const subject = (name: string): string => name.split(".").at(-1) ?? name;
/** The pictures of a run: those of the loss first, then by the order in which names appear. */
function picturesOf(rows: readonly MetricsRow[]): Picture[] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => !HIDDEN.has(name));
  const subjects = [...new Set(["loss", ...names.map(subject)])];
  return subjects.map((s): Picture => {
    const { title, noisy, log } = SUBJECTS[s] ?? { title: s, noisy: true, log: false };
    return { title, noisy, log, names: names.filter((name) => subject(name) === s) };
  }).filter(({ names }) => names.length > 0);
}
const escape = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** Draws a picture as SVG. */
type Draw = (picture: Picture) => string;
async function drawer(rows: readonly MetricsRow[]): Promise<Draw> {
  const Plot: typeof import("@observablehq/plot") = await import(PLOT);
  const { DOMParser }: typeof import("linkedom") = await import(LINKEDOM);
  const document = new DOMParser().parseFromString("<!doctype html><html><body></body></html>", "text/html");
  return ({ names, noisy, log }) => {
    const curves = names.map((name) => ({ name, points: curve(rows, name) }));
    const values = curves.flatMap(({ points }) => points.map((p) => p.value)), least = Math.min(...values);
    const isWide = log && least > 0 && Math.max(...values) > 30 * least;
    const marks = curves.flatMap(({ name, points }, i) => {
      const stroke = COLOURS[i % COLOURS.length]!,
        place = { x: "step", y: "value" },
        isCloud = noisy && points.length > 100;
      const drawn = Plot.line(isCloud ? smooth(points) : points, {
        ...place,
        stroke,
        strokeWidth: 1.75,
        title: () => name,
      });
      if (points.length <= 30) return [drawn, Plot.dot(points, { ...place, fill: stroke, r: 2.5 })];
      return isCloud ? [Plot.line(points, { ...place, stroke, strokeOpacity: 0.25, strokeWidth: 1 }), drawn] : [drawn];
    });
    const plot = Plot.plot({
      document,
      width: WIDTH,
      height: HEIGHT,
      marginLeft: 56,
      x: { label: "step", nice: true },
      y: {
        label: null,
        grid: true,
        ...(isWide ? { type: "log" } : { nice: true }),
        tickFormat: Math.max(...values) >= 1000 ? "~s" : "~g",
      },
      marks,
    });
    return plot.outerHTML;
  };
}
function legend({ names }: Picture): string {
  if (names.length < 2) return "";
  const entry = (name: string, i: number): string =>
    `<span style="--c:${COLOURS[i % COLOURS.length]}">${escape(name.includes(".") ? name : `training ${name}`)}</span>`;
  return `<p class="legend">${names.map(entry).join("")}</p>`;
}
const STYLE = `:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 1340px; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1rem; margin: 0 0 .25rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 560px), 1fr)); gap: 1.5rem; }
section { border: 1px solid #8884; border-radius: 8px; padding: 1rem; }
svg { --plot-background: Canvas; width: 100%; height: auto; }
table { border-collapse: collapse; margin: 0 0 1.5rem; } td { padding: .1rem 1.5rem .1rem 0; vertical-align: top; }
td:first-child { opacity: .65; } .legend { margin: 0; font-size: .85rem; }
.legend span { margin-right: 1rem; } .legend span::before { content: ""; display: inline-block; width: .75rem;
height: .2rem; margin-right: .4rem; vertical-align: middle; background: var(--c); }`;

/** The page as text. */
export async function reportText({ title, facts }: ReportFacts, rows: readonly MetricsRow[]): Promise<string> {
  const draw = await drawer(rows);
  const table = facts.map(([name, value]) => `<tr><td>${escape(name)}</td><td>${escape(value)}</td></tr>`).join("\n");
  const sections = picturesOf(rows).map((picture) =>
    `<section>\n<h2>${escape(picture.title)}</h2>\n${legend(picture)}\n${draw(picture)}\n</section>`
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escape(title)}</h1>
<table>
${table}
</table>
<main>
${sections.join("\n")}
</main>
</body>
</html>
`;
}
/** The lines of the table that every run has. */
export function commonFacts(rows: readonly MetricsRow[], seconds: number): [string, string][] {
  const last = rows.at(-1), machine = `Deno ${Deno.version.deno}, ${Deno.build.os} ${Deno.build.arch}`;
  return [["Steps", String(last?.step ?? 0)], ["Time", duration(seconds)], ["Made by", machine]];
}
