import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileRoutes } from '../policy/route.ts'
import { fixedPrefix, parametersOf, routeCovers } from './patterns.ts'

const segment = fc.constantFrom('a', 'b', ':x', ':y')
const pattern = fc
  .record({ segments: fc.uniqueArray(segment, { maxLength: 3 }), rest: fc.boolean(), slash: fc.boolean() })
  .map(
    ({ segments, rest, slash }) =>
      `/${[...segments, ...(rest ? ['*'] : slash && segments.length > 0 ? [''] : [])].join('/')}`,
  )
const host = fc.option(fc.constantFrom('x.example', 'y.x.example', '*.example', '*.x.example'), {
  nil: undefined,
})
const methods = fc.option(fc.constantFrom(['GET'], ['POST'], ['GET', 'POST']), { nil: undefined })
const headers = fc.option(fc.constantFrom({ v: '1' }, { v: '*' }, { v: '2', w: '1' }), { nil: undefined })
const match = fc
  .record({ host, path: pattern, methods, headers })
  .map(
    one =>
      Object.fromEntries(Object.entries(one).filter(([, value]) => value !== undefined)) as { path: string },
  )

const request = fc.record({
  host: fc.constantFrom('', 'x.example', 'y.x.example', 'z.y.x.example', 'other'),
  path: fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 4 }).map(parts => `/${parts.join('/')}`),
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  fields: fc.constantFrom<Record<string, string>>({}, { v: '1' }, { v: '2', w: '1' }, { v: '3' }),
})

test('a route told to be hidden never gets a request by the policy that routes', () => {
  fc.assert(
    fc.property(match, match, fc.array(request, { maxLength: 30 }), (earlier, later, requests) => {
      if (!routeCovers(earlier, later)) return
      const table = compileRoutes([earlier, later])
      for (const { host: to, path, method, fields } of requests)
        assert.notEqual(table.match(to, path, { method, find: name => fields[name] }), 1, `${to}${path}`)
    }),
    { numRuns: 20_000 },
  )
})

test('the plain cases of hiding are found', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['/*', '/', true],
    ['/*', '/:id/*', true],
    ['/api/*', '/api', true],
    ['/api/*', '/api/films/*', true],
    ['/:a', '/b', true],
    ['/:a', '/b/*', false],
    ['/b', '/:a', false],
    ['/api/films', '/api/*', false],
    ['/:a/', '/b', false],
    ['/:a', '/', false],
  ]
  for (const [earlier, later, hides] of cases)
    assert.equal(routeCovers({ path: earlier }, { path: later }), hides, `${earlier} before ${later}`)
})

test('the fixed prefix is what comes before the first parameter or star', () => {
  const cases = {
    '/': '/',
    '/*': '/',
    '/api/*': '/api',
    '/a/b': '/a/b',
    '/rooms/:id/*': '/rooms',
    '/:id': '/',
  }
  for (const [path, prefix] of Object.entries(cases)) assert.equal(fixedPrefix(path), prefix, path)
})

test('parameters are listed in their order', () => {
  assert.deepEqual(parametersOf('/:b/x/:a/*'), ['b', 'a'])
})
