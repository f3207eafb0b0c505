// Do hook modules parse? Asked of a short-lived process with Node's own parser, before a system is started or changed: the
// edge would find it out request by request. Nothing of a module is run.

import { readFileSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { type CheckedSystem, fileFailures, type Problem } from '../file/index.ts'
import { runChild } from '../io/run-child.ts'

const program = `
import { readFileSync, writeSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
const trouble = file => {
  try { stripTypeScriptTypes(readFileSync(file, 'utf8')) }
  catch ({ code, message, stack }) { return /TYPESCRIPT_SYNTAX/.test(code) ? { message, stack } : null }
  return null
}
writeSync(3, JSON.stringify(process.argv.slice(1).map(trouble)))`

const timeoutMs = 10_000
const outputBytesMax = 65_536

interface Trouble {
  readonly message: string
  /** Begins with `:LINE`. */
  readonly stack: string
}

/** None where the parser itself fails or takes too long: then the edge tells. */
export async function hookSyntaxProblems(
  { edge }: CheckedSystem,
  baseDirectory: string,
): Promise<readonly Problem[]> {
  const hooked = edge.routes.flatMap(({ hooks }, index) => {
    if (!hooks) return []
    const file = resolve(baseDirectory, hooks.module)
    return parsable(file) ? [{ path: `edge.routes[${index}].hooks.module`, written: hooks.module, file }] : []
  })
  if (hooked.length === 0) return []
  const files = [...new Set(hooked.map(({ file }) => file))]
  const troubles = await parse(files, baseDirectory)
  return hooked.flatMap(({ path, written, file }) => {
    const trouble = troubles[files.indexOf(file)]
    return trouble ? [problemOf(path, written, file, trouble)] : []
  })
}

/** `.js` may be CommonJS, which the parser of modules does not take. */
function parsable(file: string): boolean {
  const kind = extname(file)
  if (['.ts', '.mts', '.mjs'].includes(kind)) return true
  return kind === '.js' && /^\s*(?:import|export)\b/m.test(readFileSync(file, 'utf8'))
}

async function parse(files: readonly string[], directory: string): Promise<readonly (Trouble | null)[]> {
  const outcome = await runChild({
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program, '--', ...files],
    directory,
    env: process.env,
    timeoutMs,
    outputBytesMax,
    channelBytesMax: outputBytesMax,
  })
  try {
    return JSON.parse(outcome.channel)
  } catch {
    return []
  }
}

function problemOf(path: string, written: string, file: string, { message, stack }: Trouble): Problem {
  const line = Number(/^.*:(\d+)\n/.exec(stack)?.[1] ?? 0)
  const text = readFileSync(file, 'utf8').split('\n')[line - 1]
  const where = text === undefined ? '' : ` (line ${line}: ${text.trim().slice(0, 100)})`
  return {
    code: fileFailures.pathUnusable.code,
    path,
    value: JSON.stringify(written),
    message: `does not parse: ${message}${where}`,
    remedy: 'Correct that line.',
  }
}
