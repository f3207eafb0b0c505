// From a path to a checked system: finds the file, has a short-lived child process import it (load-child.ts), checks
// what comes back, and tells every way in which that can fail in one clear sentence. It never imports the file itself.

import { accessSync, constants, readFileSync, type Stats, statSync } from 'node:fs'
import { dirname, extname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CheckedSystem, checkSystem, fileFailures, type Problem, renderProblems } from '../file/index.ts'
import { type ChildOutcome, runChild } from '../io/run-child.ts'
import { Failure } from '../kit/failure.ts'
import { type EdgeFiles, readEdgeFiles } from './edge-files.ts'
import { hookSyntaxProblems } from './hook-syntax.ts'
import type { ChildReport } from './load-child.ts'

export interface LoadOptions {
  /** Entry of `environments` to apply; absent or null: none. */
  readonly environment?: string | null
  /** For the import and for the function that the file may export. Default 20 s. */
  readonly timeoutMs?: number
  /** What the file sees as `process.env`. Default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface LoadedSystem {
  readonly system: CheckedSystem
  readonly warnings: readonly Problem[]
  /** Absolute path of the system file, and its folder: what relative paths in it are relative to. */
  readonly file: string
  readonly directory: string
  /** Absolute paths of the file, of all that it imported (packages excepted), and of pages and hook modules it names. */
  readonly imported: readonly string[]
  /** What the file printed, at most 64 KB. */
  readonly output: string
}

/** `details` of every failure of loading: what the watcher and the machines want to know. */
export interface LoadFailureDetails {
  readonly file: string
  readonly imported: readonly string[]
  readonly problems?: readonly Problem[]
  readonly warnings?: readonly Problem[]
}

const timeoutDefaultMs = 20_000
const outputBytesMax = 65_536
const systemBytesMax = 4 * 1_048_576
const endings = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs', '.json']
const names = endings.filter(ending => !ending.startsWith('.c')).map(ending => `tenfold.config${ending}`)

export async function loadSystemFile(path: string, options: LoadOptions = {}): Promise<LoadedSystem> {
  const file = findSystemFile(path)
  const timeoutMs = options.timeoutMs ?? timeoutDefaultMs
  const outcome = await runChild({
    command: process.execPath,
    args: ['--max-old-space-size=1024', childFile(), file],
    directory: dirname(file),
    env: options.env ?? process.env,
    timeoutMs,
    outputBytesMax,
    channelBytesMax: systemBytesMax,
  })
  const shown = shownPath(file)
  const report = reportOf(outcome)
  if (!report) throw withoutReport(outcome, file, timeoutMs)
  if (report.kind !== 'system') throw reportedFailure(report, outcome, file)
  const result = checkSystem(report.data, { environment: options.environment ?? null })
  if (!result.ok) {
    const { imported } = report
    const { problems, warnings } = result
    throw failure('invalid', renderProblems(shown, problems), { file, imported, problems, warnings })
  }
  const { problems: unfit, warnings: doubts, watched } = readEdgeFiles(result.system, dirname(file))
  const problems = unfit.length > 0 ? unfit : await hookSyntaxProblems(result.system, dirname(file))
  const warnings = [...result.warnings, ...doubts]
  const imported = [...new Set([...report.imported, ...watched])]
  if (problems.length > 0) {
    throw failure('invalid', renderProblems(shown, problems), { file, imported, problems, warnings })
  }
  const output = outcome.stdout + outcome.stderr
  return {
    system: result.system,
    warnings,
    file,
    directory: dirname(file),
    imported,
    output,
  }
}

/** What stands in the files that a system names, once more: for one that comes from the history. */
export function requireEdgeFiles(system: CheckedSystem, directory: string): EdgeFiles {
  const { files, problems } = readEdgeFiles(system, directory)
  if (problems.length === 0) return files
  throw new Failure(fileFailures.invalid, renderProblems('The system', problems), { details: { problems } })
}

/** The absolute path of a system file; a folder stands for the file of the usual name in it. */
export function findSystemFile(path: string): string {
  const absolute = resolve(path)
  const details = { file: absolute, imported: [absolute] }
  const status = statusOf(absolute, details)
  if (status?.isDirectory()) return insideFolder(absolute, details)
  if (!status)
    throw failure('notFound', `${shownPath(absolute)} does not exist. Write one with: tenfold init`, details)
  if (!endings.includes(extname(absolute)))
    throw failure(
      'kindUnknown',
      `${shownPath(absolute)} is not a kind of file that Tenfold loads: ${endings.join(', ')}.`,
      details,
    )
  if (!status.isFile()) throw failure('notReadable', `${shownPath(absolute)} is not a file.`, details)
  try {
    accessSync(absolute, constants.R_OK)
  } catch (cause) {
    throw failure(
      'notReadable',
      `${shownPath(absolute)} can not be read: ${(cause as Error).message}.`,
      details,
    )
  }
  return absolute
}

function statusOf(path: string, details: LoadFailureDetails): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (cause) {
    throw failure('notReadable', `${shownPath(path)} can not be read: ${(cause as Error).message}.`, details)
  }
}

function insideFolder(folder: string, details: LoadFailureDetails): string {
  const inside = names
    .map(name => join(folder, name))
    .find(one => statSync(one, { throwIfNoEntry: false })?.isFile())
  if (inside) return inside
  const others = names.slice(1).join(', ')
  throw failure(
    'notFound',
    `${shownPath(folder)} is a folder without a tenfold.config.ts (or ${others}).`,
    details,
  )
}

function failure(kind: keyof typeof fileFailures, sentence: string, details: LoadFailureDetails): Failure {
  return new Failure(fileFailures[kind], sentence, { details: { ...details } })
}

function childFile(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return fileURLToPath(new URL(`./load-child.${extension}`, import.meta.url))
}

/** As people know it: relative to where they are, where that is shorter. */
function shownPath(path: string): string {
  const near = relative(process.cwd(), path)
  return near !== '' && near.length < path.length ? near : path
}

function reportOf(outcome: ChildOutcome): ChildReport | undefined {
  if (outcome.ended !== 'exit' || !outcome.channel.endsWith('\n')) return undefined
  try {
    return JSON.parse(outcome.channel) as ChildReport
  } catch {
    return undefined
  }
}

/** The child ended without a word: too late, too much, or by the file's own doing. */
function withoutReport(outcome: ChildOutcome, file: string, timeoutMs: number): Failure {
  const shown = shownPath(file)
  const details = { file, imported: [file] }
  if (outcome.ended === 'timeout')
    return failure(
      'tookTooLong',
      `${shown} was still not loaded after ${timeoutMs / 1000} s and was stopped: is there an endless loop, or something that never answers?`,
      details,
    )
  if (outcome.ended === 'channel-full')
    return failure(
      'tooLarge',
      `${shown} exports more than ${systemBytesMax / 1_048_576} MB of data.`,
      details,
    )
  if (outcome.signal)
    return failure(
      'exited',
      `${shown} ended the process that loaded it by ${outcome.signal}${/heap out of memory/.test(outcome.stderr) ? ': it used more than 1 GB of memory' : ''}.`,
      details,
    )
  const tail = lastLines(outcome.stderr, 5)
  return failure(
    'exited',
    `${shown} ended the process that loaded it with exit code ${outcome.exitCode}: remove process.exit.${tail}`,
    details,
  )
}

function lastLines(text: string, count: number): string {
  const lines = text.trimEnd().split('\n').slice(-count)
  return lines.join('').trim() === '' ? '' : `\nIt last said:\n${lines.map(line => `  ${line}`).join('\n')}`
}

function reportedFailure(
  report: Exclude<ChildReport, { kind: 'system' }>,
  outcome: ChildOutcome,
  file: string,
): Failure {
  const shown = shownPath(file)
  const { imported } = report
  switch (report.kind) {
    case 'not-plain': {
      const { problems } = report
      const kind = problems.some(one => one.code === fileFailures.tooLarge.code) ? 'tooLarge' : 'notPlain'
      return failure(kind, renderProblems(shown, problems), { file, imported, problems })
    }
    case 'no-default':
      return failure('noDefaultExport', noDefault(shown, report.exports), { file, imported })
    case 'never-settles':
      return failure('tookTooLong', `${shown} waits for a promise that never settles.`, { file, imported })
    case 'syntax':
      return failure('syntax', syntaxSentence(report, outcome.stderr, file), { file, imported })
    case 'import-missing':
      return failure(
        'importMissing',
        `${shown} imports something that is not there: ${firstLine(report.message)}.`,
        { file, imported },
      )
    case 'threw':
      return failure('threw', threwSentence(report, file), { file, imported })
  }
}

function noDefault(shown: string, exports: readonly string[]): string {
  const others = exports.length > 0 ? ` (it exports ${exports.slice(0, 10).join(', ')})` : ''
  return `${shown} has no default export${others}. Write: export default defineSystem({ ... })`
}

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').replace(/\.$/, '')

/** `shop.config.ts:4:11: Unexpected token` and the line itself. The place is in what the interpreter printed. */
function syntaxSentence(report: { message: string; stack: string }, stderr: string, file: string): string {
  const { message } = report
  const printed = `${report.stack}\n${stderr}`
  if (file.endsWith('.json')) return jsonSentence(message, file)
  const header = /^(?:file:\/\/)?(\/.*):(\d+)\n/m.exec(printed)
  const carets = /^( *)\^+$/m.exec(printed)
  if (!header) return `${shownPath(file)} does not parse: ${firstLine(message)}.`
  const at = decodeURI(header[1] as string)
  const column = carets ? (carets[1] as string).length + 1 : undefined
  return atLine(at, Number(header[2]), column, firstLine(message))
}

function jsonSentence(message: string, file: string): string {
  const position = Number(/position (\d+)/.exec(message)?.[1] ?? Number.NaN)
  if (Number.isNaN(position)) return `${shownPath(file)} does not parse: ${firstLine(message)}.`
  const before = readFileSync(file, 'utf8').slice(0, position).split('\n')
  return atLine(
    file,
    before.length,
    (before.at(-1) ?? '').length + 1,
    firstLine(message).replace(/ in JSON at.*$/, ' in JSON'),
  )
}

function threwSentence(report: { name: string; message: string; stack: string }, file: string): string {
  const said = `${report.name}: ${firstLine(report.message)}`
  const frame = [...report.stack.matchAll(/\(?file:\/\/(\/[^\s)]+):(\d+):(\d+)\)?$/gm)]
    .map(match => ({ path: decodeURI(match[1] as string), line: Number(match[2]), column: Number(match[3]) }))
    .find(one => one.path !== childFile() && !one.path.includes('/node_modules/'))
  return frame
    ? atLine(frame.path, frame.line, frame.column, `threw ${said}`)
    : `${shownPath(file)} threw ${said}.`
}

function atLine(path: string, line: number, column: number | undefined, message: string): string {
  const place = `${shownPath(path)}:${line}${column === undefined ? '' : `:${column}`}`
  const code = lineOf(path, line)
  if (code === undefined) return `${place}: ${message}`
  const pointer =
    column === undefined ? '' : `\n  ${' '.repeat(String(line).length)} | ${' '.repeat(column - 1)}^`
  return `${place}: ${message}\n\n  ${line} | ${code}${pointer}`
}

/** The line, cut where it is long; undefined when it can't be had. */
function lineOf(path: string, line: number): string | undefined {
  try {
    return readFileSync(path, 'utf8').split('\n')[line - 1]?.slice(0, 200)
  } catch {
    return undefined
  }
}
