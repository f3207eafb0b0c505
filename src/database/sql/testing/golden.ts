// The table of statements: one a line, with what the book says of it in front. A line that begins with `!` can't be run by
// itself (it needs another, or touches the host); the others are also run on real servers.

import { readFileSync, writeFileSync } from 'node:fs'
import { pinBit, pinReasons, type StatementInfo } from '../contract.ts'

const path = `${import.meta.dirname}/statements.txt`

export interface GoldenLine {
  /** A comment or heading, as it stands; else ''. */
  readonly heading: string
  readonly expected: string
  readonly runs: boolean
  readonly sql: string
  readonly number: number
}

export function goldenLines(): readonly GoldenLine[] {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line, index) => lineOf(line, index + 1))
}

function lineOf(line: string, number: number): GoldenLine {
  if (line.startsWith('#')) return { heading: line, expected: '', runs: false, sql: '', number }
  const bar = line.indexOf(' | ')
  const rest = bar < 0 ? line : line.slice(bar + 3)
  const runs = !rest.startsWith('!')
  return {
    heading: '',
    expected: line.slice(0, Math.max(0, bar)).trimEnd(),
    runs,
    sql: runs ? rest : rest.slice(1),
    number,
  }
}

export function rewriteGolden(lines: readonly GoldenLine[], said: (sql: string) => string): void {
  const text = lines.map(line =>
    line.heading !== '' ? line.heading : `${said(line.sql).padEnd(30)} | ${line.runs ? '' : '!'}${line.sql}`,
  )
  writeFileSync(path, `${text.join('\n')}\n`)
}

/** `read select`, `write ddl pin=temp-table`: all that the router acts on. */
export function wordsOf(info: StatementInfo): string {
  const place = info.readOnly ? 'read' : info.mayWrite ? 'write' : 'primary'
  const words = [info.readOnly && info.mayWrite ? 'CONTRADICTION' : place, info.kind]
  const add = (name: string, value: string | number | boolean | null): void => {
    if (value !== null && value !== false && value !== 0 && value !== '')
      words.push(value === true ? name : `${name}=${value}`)
  }
  add('count', info.count === 1 ? null : String(info.count))
  add('transaction', info.transaction === 'none' ? null : info.transaction)
  add('pin', pinNames(info.pins))
  add('unpin', pinNames(info.unpins))
  add('locks', info.advisoryLocks)
  for (const change of info.settings) add('setting', settingWords(change))
  if (info.prepared !== null) add(info.prepared.kind, info.prepared.name ?? 'all')
  add('copy', info.copy)
  add('own-transaction', info.ownTransaction)
  add('asynchronous', info.asynchronousCommit)
  add('hint', info.hint)
  add('command', info.command === null ? null : JSON.stringify(info.command))
  return words.join(' ')
}

function pinNames(bits: number): string {
  return pinReasons.filter(reason => (bits & pinBit(reason)) !== 0).join('+')
}

function settingWords(change: StatementInfo['settings'][number]): string {
  if (change.kind === 'set') return `${change.local ? 'local:' : ''}${change.name}:${change.value}`
  if (change.kind === 'discard') return `discard-${change.what}`
  return change.kind === 'reset-all' ? 'reset-all' : `${change.kind}:${change.name ?? '?'}`
}
