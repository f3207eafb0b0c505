// Against the tables of textbooks.

import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { normalQuantile, studentQuantile } from './student.ts'

test('normal quantiles are those of the tables', () => {
  const table: [number, number][] = [
    [0.5, 0],
    [0.84134, 0.99998],
    [0.95, 1.644854],
    [0.975, 1.959964],
    [0.995, 2.575829],
    [0.9995, 3.290527],
    [0.001, -3.090232],
  ]
  for (const [p, value] of table)
    assert.ok(Math.abs(normalQuantile(p) - value) < 2e-5, `${p}: ${normalQuantile(p)}`)
})

test("Student's quantiles are those of the tables", () => {
  const table: [number, number, number][] = [
    [0.975, 1, 12.7062],
    [0.975, 2, 4.3027],
    [0.975, 3, 3.1824],
    [0.975, 4, 2.7764],
    [0.975, 9, 2.2622],
    [0.975, 29, 2.0452],
    [0.975, 1000, 1.9623],
    [0.95, 10, 1.8125],
    [0.995, 5, 4.0321],
    [0.025, 9, -2.2622],
  ]
  for (const [p, freedom, value] of table)
    assert.ok(
      Math.abs(studentQuantile(p, freedom) - value) < 5e-4,
      `${p} ${freedom}: ${studentQuantile(p, freedom)}`,
    )
})
