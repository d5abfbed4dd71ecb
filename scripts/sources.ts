/**
 * What the checks read: the project's files, and their text without comments or without strings.
 * @module
 */

/** A file of the project. */
export interface SourceText {
  /** Its path from the root. */
  readonly path: string;
  /** What it holds. */
  readonly text: string;
}
const ROOT = new URL("..", import.meta.url).pathname;
const SKIPPED = new Set(["node_modules", ".git", ".zig-cache", "zig-out", "generated", "prebuilt", "fixtures"]);

/** All files of the project with one of these endings, by path. Generated files and fixtures are left out. */
export function sourceTexts(endings: readonly string[]): SourceText[] {
  const found: SourceText[] = [];
  const walk = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(ROOT + folder)) {
      const path = folder + name;
      if (isDirectory) {
        if (!SKIPPED.has(name)) walk(`${path}/`);
      } else if (endings.some((ending) => name.endsWith(`.${ending}`))) {
        found.push({ path, text: Deno.readTextFileSync(ROOT + path) });
      }
    }
  };
  walk("");
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

/** One token that may hide others: a comment, a string, a template without nesting, a regular expression. */
const TOKEN =
  /\/\/[^\n]*|\/\*[^]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[^]|[^`\\])*`|(?<=[=(,:!&|?{};]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/[a-z]*/g;
const blank = (token: string) => token.replace(/[^\n]/g, " ");

/** The text with its comments blanked, every line where it was. */
export function declarations(text: string): string {
  return text.replace(TOKEN, (token) => token.startsWith("/*") || token.startsWith("//") ? blank(token) : token);
}
/** The text with comments, strings and regular expressions blanked, every line where it was. */
export function code(text: string): string {
  return text.replace(TOKEN, blank);
}
