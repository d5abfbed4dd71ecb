/**
 * House style that neither the compiler, the linter nor the formatter knows: lengths of files and functions, words that
 * have a better replacement, a first comment in every file. Prints `file:line: what is wrong, what to do instead`.
 * @module
 */
import { code, type SourceText, sourceTexts } from "./sources.ts";

const MAX_FILE_LINES = 600;
const MAX_FUNCTION_LINES = 70;
const MAX_COLUMNS = 120;

/** Something that is not house style. */
export interface Fault {
  readonly line: number;
  readonly text: string;
}
/** A pattern that is refused, where, and what to write instead. */
interface Ban {
  readonly pattern: RegExp;
  /** Paths it holds for. */
  readonly where: RegExp;
  readonly except?: RegExp;
  readonly text: string;
  /** Look at comments and strings too. */
  readonly everywhere?: boolean;
}
const ROOMS = /^(ffi|core|nn|optimizers|data|train|lm)\/.*\.ts$/;
const BANS: readonly Ban[] = [
  {
    pattern: /\b(TODO|FIXME|XXX|HACK)\b/,
    where: /./,
    except: /^scripts\/style\.ts$/,
    everywhere: true,
    text: "an unfinished thought: finish it",
  },
  {
    pattern: /(?<![\w.])\/(work|tmp|root|home)\/\w/,
    where: /./,
    except: /^(scripts\/style\.ts|tests\/)/,
    everywhere: true,
    text: "a path of one machine: compute it, or take it as an argument",
  },
  {
    pattern: /[\w)\]}>]\s+as\s+(?!const\b)[\w({["'`]/,
    where: ROOMS,
    except: /^(ffi\/|core\/(primitive|graph)\.ts|core\/primitives\/mod\.ts)/,
    text: "a cast: let the types say it, or check the value",
  },
  { pattern: /(?<![\w.])any\b(?=[\s,;)>\]|&=[])/, where: /\.ts$/, text: "the type any: use unknown, and check" },
  {
    pattern: /@ts-(ignore|nocheck)|deno-lint-ignore-file/,
    where: /\.ts$/,
    except: /^scripts\/style\.ts$/,
    everywhere: true,
    text: "a silenced check: mend what it says",
  },
  {
    pattern: /\bDeno\s*\.\s*(dlopen|Unsafe\w+)/,
    where: ROOMS,
    except: /^ffi\//,
    text: "a pointer outside ffi: ask ffi for it",
  },
  {
    pattern: /\bthrow\s+new\s+(Type|Range)?Error\(/,
    where: ROOMS,
    text: "an error without its fields: throw it with fail() of core/errors.ts, or as a class of ffi/errors.ts",
  },
  {
    pattern: /\bconsole\.(log|debug)\b/,
    where: ROOMS,
    except: /^(ffi\/build|lm\/(cli|commands\/.*))\.ts$/,
    text: "a print inside the library: return the value",
  },
  {
    pattern: /\b(const|let|function)\s+[a-z]+_[a-z]\w*/,
    where: ROOMS,
    except: /^(nn|lm)\//,
    text: "a snake_case name: names are in camelCase, except those that are spelled so on disk",
  },
  {
    pattern: /#include\s+<(c\w+|vector|string|memory|algorithm|array|utility|atomic|thread|mutex|type_traits|new)>/,
    where: /^runtime\/.*\.(cc|h)$/,
    except: /^runtime\/(metal\/sim\/|linalg\/eigen\.h)/, // what Eigen asks for
    text: "a header of the C++ standard library, which the runtime does without: use the C header or a builtin",
  },
];

/** What an import or export statement lists: there `as` is no cast. */
const LIST = /^(?:import|export)\s+(?:type\s+)?(?:\w+\s*,\s*)?(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?)/gm;

function banned({ path, text }: SourceText): Fault[] {
  const bare = code(text).replace(LIST, (list) => list.replace(/[^\n]/g, " "));
  return BANS.filter((ban) => ban.where.test(path) && !ban.except?.test(path)).flatMap((ban) =>
    (ban.everywhere ? text : bare).split("\n").flatMap((line, i) =>
      ban.pattern.test(line) ? [{ line: i + 1, text: ban.text }] : []
    )
  );
}

/** A line that opens a function, by its indentation and its last brace. */
const TYPESCRIPT_FUNCTION =
  /^(\s*)(?:(?:export |default |async |static |override |private |protected |get |set |\*)*(?:function\b.*|(?!if|for|while|switch|catch|with|else|return)[\w#[\].*]+\s*(?:<.*>)?\(.*\).*|(?:const|let) \w+.*=>)|\)(?::.*)?) \{$/;
const CPP_FUNCTION =
  /^(\s*)(?!.*\b(?:namespace|struct|class|enum|union|extern|if|for|while|switch|else|do)\b)\S.*\)[^;=]*\{$/;

/** The line on which the statement begins that a line of C++ ends. */
function statementStart(lines: readonly string[], at: number): number {
  let start = at;
  while (start > 0 && !/^$|^\s*#|[;{}:]$/.test(lines[start - 1] ?? "")) start--;
  return start;
}
function longFunctions({ path, text }: SourceText): Fault[] {
  const isTypeScript = path.endsWith(".ts"), opening = isTypeScript ? TYPESCRIPT_FUNCTION : CPP_FUNCTION;
  const lines = code(text).split("\n").map((line) => line.trimEnd());
  return lines.flatMap((line, at) => {
    if (!line.endsWith("{")) return [];
    const start = isTypeScript ? at : statementStart(lines, at);
    const indent = opening.exec(lines.slice(start, at + 1).join(" "))?.[1];
    if (indent === undefined) return [];
    const end = lines.findIndex((other, i) => i > at && other.startsWith(`${indent}}`));
    const length = end - start + 1;
    if (length <= MAX_FUNCTION_LINES) return [];
    return [{ line: start + 1, text: `a function of ${length} lines: split it, ${MAX_FUNCTION_LINES} are the most` }];
  });
}

function fileFaults({ path, text }: SourceText): Fault[] {
  const faults: Fault[] = [];
  const lines = text.split("\n");
  const first = lines[0] ?? "";
  if (!/^(\/\*\*|\/\/|#)/.test(first)) faults.push({ line: 1, text: "no first comment: say what lives here" });
  if (lines.length > MAX_FILE_LINES + 1 && !/^(\/\*\*|\/\/).*\blong\b/i.test(first)) {
    const text = `${lines.length} lines: split it, or give the reason on line 1 ("Long because ...")`;
    faults.push({ line: 1, text });
  }
  if (!path.endsWith(".ts")) {
    lines.forEach((line, i) => {
      if ([...line].length > MAX_COLUMNS) {
        faults.push({ line: i + 1, text: `over ${MAX_COLUMNS} columns: break the line` });
      }
    });
  }
  return faults;
}

/** All faults of a file. */
export function faultsOf(source: SourceText): Fault[] {
  return [...fileFaults(source), ...longFunctions(source), ...banned(source)].sort((a, b) => a.line - b.line);
}

if (import.meta.main) {
  let count = 0;
  for (const source of sourceTexts(["ts", "cc", "h", "zig"])) {
    for (const { line, text } of faultsOf(source)) {
      count++;
      console.error(`${source.path}:${line}: ${text}`);
    }
  }
  if (count > 0) Deno.exit(1);
}
