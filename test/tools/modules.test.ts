import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, importsOf, withoutComments } from './modules.ts'

test('comments go, also beside quotes, templates and patterns that look like them', () => {
  const source = [
    "const a = 'http://x' // gone",
    ['const b = `// stays $', '{one /* gone */ + `in $', '{two}`} // stays`'].join(''),
    'const c = /[/*]"/.test(d) /* gone',
    ' gone */ + 1',
    'const e = f / g // gone',
  ].join('\n')
  const plain = withoutComments(source)
  assert.ok(!plain.includes('gone'))
  assert.equal(plain.match(/stays/g)?.length, 2)
  assert.ok(plain.includes("'http://x'") && plain.includes('/[/*]"/.test(d)') && plain.includes('e = f / g'))
})

test('texts are blanked, code in placeholders is not', () => {
  const source = ["log('Date.now()', `setTimeout $", '{Math.random()} x`, /process\\/x/)'].join('')
  const code = codeOf(source)
  assert.equal(code.length, source.length)
  assert.ok(!code.includes('Date') && !code.includes('setTimeout') && !code.includes('process'))
  assert.ok(code.includes('Math.random()'))
})

test('every way of importing is seen, also whether only types are meant, and none inside texts', () => {
  const source = `
import './a.ts'
import type { B } from './b.ts'
import {
  c,
  type D,
} from '../c.ts'
import * as z from 'zod'
export { e } from './e.ts'
export type * from './f.ts'
export * from './g.ts'
const h = await import('./h.ts')
const worker = new URL('./i.ts', import.meta.url)
const text = "import './not.ts'"
const page = \`
import { not } from './not.ts'
\`
`
  const threads =
    "startThread(import.meta.url, 'j', {})\nthreadPlace(import.meta.url, 'l')\nnew URL(`./k.$".concat(
      '{extension}`, import.meta.url)',
    )
  assert.deepEqual(
    importsOf(threads).map(one => one.specifier),
    ['./j.ts', './l.ts', './k.ts'],
  )
  const found = importsOf(source).map(one => one.specifier)
  const expected = ['./a.ts', './b.ts', '../c.ts', 'zod', './e.ts', './f.ts', './g.ts', './h.ts', './i.ts']
  assert.deepEqual(found.toSorted(), expected.toSorted())
  assert.deepEqual(
    importsOf(source)
      .filter(one => one.typeOnly)
      .map(one => one.specifier),
    ['./b.ts', './f.ts'],
  )
})
