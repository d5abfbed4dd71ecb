/**
 * The package as the registry will serve it: which files `deno publish` takes, and what it makes of them.
 * @module
 */

/** The project's folder, without a slash at its end. */
export const ROOT: string = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

interface Configuration {
  readonly name: string;
  readonly imports: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
}
/** What `deno.json` says about the package. */
export const CONFIGURATION: Configuration = JSON.parse(Deno.readTextFileSync(`${ROOT}/deno.json`));

/** What a dry run of `deno publish` says: the paths that it would publish, sorted, and all that it printed. */
export async function dryRun(flags: readonly string[] = []): Promise<{ files: string[]; output: string; ok: boolean }> {
  const args = ["publish", "--dry-run", "--allow-dirty", ...flags];
  const { stderr, success } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT, env: { NO_COLOR: "1" } })
    .output();
  const output = new TextDecoder().decode(stderr), prefix = `file://${ROOT}/`;
  const files = [...output.matchAll(/^\s+(file:\/\/\S+) \([\d.]+\w+\)$/gm)].map(([, url = ""]) =>
    decodeURIComponent(url.slice(prefix.length))
  );
  return { files: files.sort(), output, ok: success };
}
/** A file as it is served: the registry replaces the names of the import map by what they stand for. */
export function asPublished(path: string): Uint8Array<ArrayBuffer> {
  const bytes = Deno.readFileSync(`${ROOT}/${path}`);
  if (!path.endsWith(".ts")) return bytes;
  const text = new TextDecoder().decode(bytes);
  const replaced = text.replace(
    /^((?:import|export|\}).* from |.*\bimport\()"([^".][^"]*)"/gm,
    (whole, before, name) => {
      const target = CONFIGURATION.imports[name];
      return target?.startsWith("npm:") ? `${before}"${target}"` : whole;
    },
  );
  return replaced === text ? bytes : new TextEncoder().encode(replaced);
}
/** The import map of a project that uses the package at `base`. */
export function importMap(base: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(CONFIGURATION.exports).map((
      [name, path],
    ) => [CONFIGURATION.name + name.slice(1), base + path.slice(1)]),
  );
}
