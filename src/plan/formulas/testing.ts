// For tests of formulas: the value inside an answer, and digits as a table prints them.

import assert from 'node:assert/strict'
import type { Answer } from './answer.ts'

export function value<T>(answer: Answer<T>): T {
  assert.ok(answer.ok, answer.ok ? '' : answer.why)
  return answer.value
}

/** Alike in the digits that are printed: within half a unit of the last one, and 2 % of that for what rounds at the edge. */
export function same(actual: number, printed: string, what = ''): void {
  const [, mantissa = '', exponent = '0'] = /^([\d.]+)(?:e(-?\d+))?$/.exec(printed) ?? []
  assert.notEqual(mantissa, '', `${printed} is no figure`)
  const decimals = mantissa.includes('.') ? mantissa.length - mantissa.indexOf('.') - 1 : 0
  const unit = 10 ** (Number(exponent) - decimals)
  assert.ok(
    Math.abs(actual - Number(printed)) <= 0.51 * unit,
    `${what} is ${actual}, the table says ${printed}`,
  )
}

/** Within a relative error. */
export function near(actual: number, wanted: number, relative: number, what = ''): void {
  const far = Math.abs(actual - wanted)
  assert.ok(far <= relative * Math.abs(wanted), `${what} is ${actual}, not ${wanted} within ${relative}`)
}
