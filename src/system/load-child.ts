// The short-lived process that imports a system file and hands back plain JSON on file descriptor 3, one line. Whatever
// the file does (prints, throws, loops, exits) happens here and harms nobody. `load.ts` starts it.

import { readFileSync, writeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { type Json, plainCopy } from '../file/plain.ts'
import type { Problem } from '../file/results.ts'
import { takeUserModules } from '../io/user-modules.ts'

export type ChildReport =
  | { readonly kind: 'system'; readonly data: Json; readonly imported: readonly string[] }
  | {
      readonly kind: 'not-plain'
      readonly problems: readonly Problem[]
      readonly imported: readonly string[]
    }
  | { readonly kind: 'no-default'; readonly exports: readonly string[]; readonly imported: readonly string[] }
  | { readonly kind: 'never-settles'; readonly imported: readonly string[] }
  | {
      /** `syntax`: where the stack does not name the line, the interpreter's own words on stderr do. */
      readonly kind: 'syntax' | 'threw' | 'import-missing'
      readonly name: string
      readonly message: string
      readonly stack: string
      readonly imported: readonly string[]
    }

type Unsent<T> = T extends unknown ? Omit<T, 'imported'> : never

const importedMax = 1000
const imported = new Set<string>()

function report(what: Unsent<ChildReport>): void {
  const line = Buffer.from(`${JSON.stringify({ ...what, imported: [...imported] })}\n`)
  let offset = 0
  while (offset < line.length) {
    try {
      offset += writeSync(3, line, offset)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

/** Files of the user's are noted for the watcher. */
function watchImports(): void {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  takeUserModules({
    own: new URL(`../index.${extension}`, import.meta.url).href,
    noted: path => {
      if (imported.size < importedMax) imported.add(path)
    },
  })
}

async function importDefault(path: string): Promise<{ found: boolean; value: unknown; exports: string[] }> {
  if (path.endsWith('.json'))
    return { found: true, value: JSON.parse(readFileSync(path, 'utf8')), exports: [] }
  const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  return { found: 'default' in module, value: module.default, exports: Object.keys(module) }
}

async function load(path: string): Promise<void> {
  const module = await importDefault(path)
  if (!module.found) {
    report({ kind: 'no-default', exports: module.exports })
    return
  }
  const value = typeof module.value === 'function' ? await module.value() : module.value
  const plain = plainCopy(value)
  if (plain.ok) report({ kind: 'system', data: plain.value })
  else report({ kind: 'not-plain', problems: plain.problems })
}

const syntaxCodes = ['ERR_INVALID_TYPESCRIPT_SYNTAX', 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX']
const missingCodes = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED', 'ENOENT']

function reportError(error: unknown): void {
  const known = error instanceof Error ? error : new Error(String(error))
  const code = (known as NodeJS.ErrnoException).code ?? ''
  const { name, message, stack = '' } = known
  const kind = kindOf(known, code)
  report({ kind, name, message, stack })
  if (kind !== 'syntax') process.exit(1)
  // Only the interpreter's own report of an uncaught error names the line of a module that does not parse.
  process.removeAllListeners('uncaughtException')
  throw error
}

function kindOf(error: Error, code: string): 'syntax' | 'threw' | 'import-missing' {
  const { message, stack = '' } = error
  if (syntaxCodes.includes(code)) return 'syntax'
  // A SyntaxError that the file's own code threw, by JSON.parse say, has a frame in it; a module that does not parse has not.
  const thrownInside =
    stack.startsWith('SyntaxError') && /^ {4}at .*file:\/\//m.test(stack.replaceAll(import.meta.url, ''))
  if (error instanceof SyntaxError && !thrownInside) return 'syntax'
  return missingCodes.includes(code) && /^Cannot find|exports/.test(message) ? 'import-missing' : 'threw'
}

const path = process.argv[2] as string
watchImports()
imported.add(path)
process.on('uncaughtException', reportError)
process.once('beforeExit', () => {
  report({ kind: 'never-settles' })
  process.exit(1)
})
load(path).then(
  () => process.exit(0),
  (error: unknown) => setImmediate(reportError, error),
)
