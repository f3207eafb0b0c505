// Reads the project's own sources as text: what a module imports, and its code without comments and texts. A scanner,
// not a parser: enough for TypeScript as it is written here, and its own test holds it to that.

import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

export const root: string = join(import.meta.dirname, '..', '..')

export interface Module {
  /** From the project's root, with slashes: `src/kit/clock.ts`. */
  readonly path: string
  readonly text: string
  /** As long as the text; comments and what stands in quotes are spaces. */
  readonly code: string
  /** Specifiers of `import` and `export from`, also dynamic ones and `new URL('./x.ts', import.meta.url)`. */
  readonly imports: readonly string[]
  /** Where relative specifiers lead, from the project's root. */
  readonly reaches: readonly string[]
  /** The same without what is imported as types only. */
  readonly runs: readonly string[]
}

type Kept = 'code' | 'comment' | 'quote'

/** Calls `keep` with each character and what it belongs to. */
function scan(text: string, keep: (letter: string, kind: Kept) => void): void {
  const braces: number[] = []
  let at = 0
  let before = ''
  const take = (count: number, kind: Kept): void => {
    for (const letter of text.slice(at, at + count)) keep(letter, kind)
    at += count
  }
  const takeUntil = (end: string, kind: Kept): void => {
    const to = text.indexOf(end, at + 1)
    take((to < 0 ? text.length : to + end.length) - at, kind)
  }
  const quoted = (quote: string): void => {
    take(1, 'code')
    while (at < text.length && text[at] !== quote) take(text[at] === '\\' ? 2 : 1, 'quote')
    take(1, 'code')
  }
  /** From after a backtick or the brace that ends a placeholder, to the next placeholder or the end. */
  const template = (): void => {
    while (at < text.length && text[at] !== '`') {
      if (text[at] === '$' && text[at + 1] === '{') {
        take(2, 'code')
        braces.push(0)
        return
      }
      take(text[at] === '\\' ? 2 : 1, 'quote')
    }
    take(1, 'code')
  }
  const pattern = (): void => {
    take(1, 'code')
    for (let inClass = false; at < text.length && (inClass || text[at] !== '/'); ) {
      if (text[at] === '[') inClass = true
      if (text[at] === ']') inClass = false
      take(text[at] === '\\' ? 2 : 1, 'quote')
    }
    take(1, 'code')
  }

  while (at < text.length) {
    const letter = text[at]!
    const next = text[at + 1]
    if (letter === '/' && next === '/') takeUntil('\n', 'comment')
    else if (letter === '/' && next === '*') takeUntil('*/', 'comment')
    else if (letter === '/' && /(^|[(,=:[!&|?{};+*<>~^%-]|\breturn|\btypeof|\bcase)$/.test(before)) pattern()
    else if (letter === "'" || letter === '"') quoted(letter)
    else if (letter === '`') {
      take(1, 'code')
      template()
    } else if (letter === '}' && braces.at(-1) === 0) {
      braces.pop()
      take(1, 'code')
      template()
    } else {
      if (braces.length > 0 && letter === '{') braces[braces.length - 1]!++
      if (braces.length > 0 && letter === '}') braces[braces.length - 1]!--
      take(1, 'code')
    }
    if (!/\s/.test(letter)) before = (before + letter).slice(-8)
    else if (/\w$/.test(before)) before = `${before} `.trimEnd()
  }
}

/** The same length and lines as the text; what is not kept becomes a space. */
function masked(text: string, kept: readonly Kept[]): string {
  let out = ''
  scan(text, (letter, kind) => {
    out += kept.includes(kind) || letter === '\n' ? letter : ' '
  })
  return out
}

export function withoutComments(text: string): string {
  return masked(text, ['code', 'quote'])
}

export function codeOf(text: string): string {
  return masked(text, ['code'])
}

export interface Import {
  readonly specifier: string
  /** `import type`: gone when the module runs. */
  readonly typeOnly: boolean
}

const importPatterns = [
  /^[ \t]*import\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?'([^']+)'/gm,
  /^[ \t]*export\s+(type\s+)?(?:\*\s+as\s+\w+|\*|\{[^}]*\})\s+from\s+'([^']+)'/gm,
  /\b(type\s+)?import\(\s*'([^']+)'\s*\)/g,
  /\b(type\s+)?new URL\(\s*'(\.[^']+\.(?:ts|mjs|js))'/g,
]

/** Threads and processes start a module by its name, whose ending depends on whether sources or the build run. */
const startPatterns = [
  /\b(?:start(?:Guarded)?Thread|threadPlace)\(\s*import\.meta\.url,\s*'([\w-]+)'/g,
  /\bnew URL\(\s*`\.\/([\w-]+)\.?\$\{/g,
]

export function importsOf(text: string): Import[] {
  const plain = withoutComments(text)
  const code = codeOf(text)
  const begins = (match: RegExpMatchArray): boolean => /\S/.test(code.slice(match.index, match.index! + 8))
  const find = (patterns: readonly RegExp[]): RegExpMatchArray[] =>
    patterns.flatMap(pattern => [...plain.matchAll(pattern)].filter(begins))
  const written = find(importPatterns).map(match => ({
    specifier: match[2]!,
    typeOnly: match[1] !== undefined,
  }))
  const started = find(startPatterns).map(match => ({ specifier: `./${match[1]}.ts`, typeOnly: false }))
  return [...written, ...started]
}

function toPath(from: string, specifier: string): string {
  return relative(root, join(root, dirname(from), specifier)).replaceAll('\\', '/')
}

export function readModule(path: string): Module {
  const text = readFileSync(join(root, path), 'utf8')
  const imports = importsOf(text)
  const relatives = imports.filter(one => one.specifier.startsWith('.'))
  const targets = (list: readonly Import[]): string[] => list.map(one => toPath(path, one.specifier))
  return {
    path,
    text,
    code: codeOf(text),
    imports: imports.map(one => one.specifier),
    reaches: targets(relatives),
    runs: targets(relatives.filter(one => !one.typeOnly)),
  }
}

/** Every TypeScript module below these folders, sorted by path. */
export function readModules(folders: readonly string[]): Module[] {
  return folders
    .flatMap(folder => globSync(`${folder}/**/*.{ts,mts}`, { cwd: root }))
    .map(path => path.replaceAll('\\', '/'))
    .filter(path => !path.includes('/node_modules/'))
    .sort()
    .map(readModule)
}
