// Descriptions in, routes out: golden files beside them. TENFOLD_REWRITE_GOLDEN=1 writes what came out instead: read the
// difference before you commit it.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkSystem } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'
import { listText, moduleText } from './commands/routes.ts'
import { routesOfOpenApi } from './openapi-routes.ts'

const folder = new URL('./fixtures/openapi/', import.meta.url)
const wishes: Readonly<Record<string, { service: string; prefix: string }>> = {
  'orders.json': { service: 'orders', prefix: '/api' },
  'admin.yaml': { service: 'api', prefix: '/admin' },
}
const plain = { service: 'api', prefix: '' }
const names = readdirSync(folder).filter(name => /\.(?:yaml|json)$/.test(name))

for (const name of names)
  test(`${name} gives the routes and warnings of its golden file, and they are routes that a system may have`, () => {
    const text = readFileSync(new URL(name, folder), 'utf8')
    const wished = wishes[name] ?? plain
    const imported = routesOfOpenApi(text, wished)
    const warnings = imported.warnings.map(warning => `${name}:${warning.line}: ${warning.text}\n`).join('')
    const seen = `${listText(imported, `tenfold routes import ${name}`)}\n\n${warnings}`
    const golden = new URL(`${name}.golden`, folder)
    if (process.env.TENFOLD_REWRITE_GOLDEN === '1') writeFileSync(golden, seen)
    else assert.equal(seen, readFileSync(golden, 'utf8'))
    const checked = checkSystem({
      name: 'shop',
      edge: { routes: imported.routes },
      services: { [wished.service]: { command: 'node api.mjs' } },
    })
    assert.deepEqual('problems' in checked ? checked.problems : [], [])
  })

test('there are descriptions to try', () => assert.ok(names.length >= 3))

test('the text of a module is a module that gives the same routes', async () => {
  const text = readFileSync(new URL('petstore.yaml', folder), 'utf8')
  const imported = routesOfOpenApi(text, plain)
  const source = moduleText(imported, "it's `quoted`".replaceAll('`', ''))
  const made = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as { routes: unknown }
  assert.deepEqual(made.routes, imported.routes)
})

const failing: readonly (readonly [name: string, text: string, code: string, sentence: RegExp])[] = [
  [
    'a tab as indentation',
    'openapi: 3.1.0\npaths:\n\t/a: {}\n',
    'CLI_DESCRIPTION_UNREADABLE',
    /^Line 3, column \d+: /,
  ],
  ['a text', 'hello', 'CLI_DESCRIPTION_INVALID', /^Line 1: .*no map/],
  ['JSON that is cut', '{"openapi": "3.1.0", "paths"', 'CLI_DESCRIPTION_UNREADABLE', /^Line 1, column/],
  ['another thing', 'name: x\n', 'CLI_DESCRIPTION_INVALID', /no key 'openapi'/],
  ['Swagger', 'info: {}\nswagger: "2.0"\n', 'CLI_DESCRIPTION_INVALID', /^Line 2: this is Swagger 2\.0/],
  ['a version to come', 'openapi: 4.0.0\n', 'CLI_DESCRIPTION_INVALID', /^Line 1: this is OpenAPI 4\.0\.0/],
  ['no paths', 'openapi: 3.0.0\npaths: {}\n', 'CLI_DESCRIPTION_INVALID', /no 'paths'/],
  [
    'a path without a slash',
    'openapi: 3.0\npaths:\n  pets: {}\n',
    'CLI_DESCRIPTION_INVALID',
    /^Line 3: the path 'pets'/,
  ],
]

for (const [name, text, code, sentence] of failing)
  test(`a description that is none is refused with its place: ${name}`, () => {
    assert.throws(
      () => routesOfOpenApi(text, plain),
      error => error instanceof Failure && error.code === code && sentence.test(error.message),
    )
  })

test('more paths than an edge has routes are refused', () => {
  const paths = Array.from({ length: 501 }, (_, i) => `  /p${i}: { get: {} }\n`).join('')
  assert.throws(() => routesOfOpenApi(`openapi: 3.1.0\npaths:\n${paths}`, plain), /501 paths/)
})

test('a description whose aliases would unfold without end is read in no time, because nothing is unfolded', () => {
  const levels = Array.from(
    { length: 30 },
    (_, i) => `x-${i + 1}: &a${i + 1} [*a${i}, *a${i}, *a${i}]\n`,
  ).join('')
  const text = `openapi: 3.1.0\nx-0: &a0 [x]\n${levels}paths:\n  /a: { get: { x: *a30 } }\n`
  assert.equal(routesOfOpenApi(text, plain).routes.length, 1)
})
