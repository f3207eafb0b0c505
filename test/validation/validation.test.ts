// Each row of docs/validation.md is simulated anew: within its interval of what is known, and the page says what came out.
// UPDATE_VALIDATION=1 writes the page.

import { strict as assert } from 'node:assert'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Estimate } from '../../src/sim/core/index.ts'
import { type Row, rows } from './rows.ts'

const page = join(import.meta.dirname, '..', '..', 'docs', 'validation.md')
const begin = '<!-- begin rows -->'
const end = '<!-- end rows -->'
/** Of the interval's half width: beyond that it is no chance. */
const widthsMax = 3

test('what is simulated is what is known, and the page says so', () => {
  const done = rows().map(row => ({ row, seen: row.simulate() }))
  const wrong = done.filter(({ row, seen }) => !agrees(row, seen))
  const text = tableOf(done)
  const before = readFileSync(page, 'utf8')
  const [head = '', rest = ''] = before.split(begin)
  const next = `${head}${begin}\n${text}\n${end}${rest.split(end)[1] ?? ''}`
  if (process.env.UPDATE_VALIDATION === '1') writeFileSync(page, next)
  assert.deepEqual(
    wrong.map(
      ({ row, seen }) => `${row.group}, ${row.model}: ${seen.value} ± ${seen.halfWidth}, known ${row.exact}`,
    ),
    [],
  )
  assert.ok(done.length >= 60, `${done.length} rows`)
  // Other versions of the engine compute logarithms with other last digits, and draw other runs.
  if (process.versions.node.startsWith('26.') && process.env.UPDATE_VALIDATION !== '1')
    assert.equal(before, next, 'docs/validation.md is not what came out: UPDATE_VALIDATION=1 writes it')
})

function agrees({ exact, allowed }: Row, { value, halfWidth }: Estimate): boolean {
  return Math.abs(value - exact) <= widthsMax * (halfWidth ?? 0) + allowed * Math.abs(exact)
}

function tableOf(done: readonly { row: Row; seen: Estimate }[]): string {
  const lines = [
    '| model | known | simulated | off | run | seed | source |',
    '|---|---:|---:|---:|---|---:|---|',
  ]
  let group = ''
  for (const { row, seen } of done) {
    if (row.group !== group) lines.push(`| **${row.group}** | | | | | | |`)
    group = row.group
    const within = seen.halfWidth === null ? '' : ` ± ${digits(seen.halfWidth)}`
    const off = `${((seen.value / row.exact - 1) * 100).toFixed(1)} %`
    lines.push(
      `| ${row.model} | ${digits(row.exact)} | ${digits(seen.value)}${within} | ${off} | ${row.run} | ${row.seed} | ${row.source} |`,
    )
  }
  return lines.join('\n')
}

function digits(value: number): string {
  return String(Number(value.toPrecision(4)))
}
