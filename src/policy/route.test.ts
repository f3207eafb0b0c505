import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileRoutes, hostOf, needsNormalising, normalisePath, type RouteMatch } from './route.ts'

const request = (method = 'GET', fields: Record<string, string> = {}) => ({
  method,
  find: (name: string) => fields[name],
})
const firstOf = (matches: RouteMatch[], path: string, host = 'a.example', asked = request()): number =>
  compileRoutes(matches).match(host, path, asked)

test('a final star takes the rest and also nothing, but never half a segment', () => {
  const routes = [{ path: '/api/*' }]
  assert.equal(firstOf(routes, '/api'), 0)
  assert.equal(firstOf(routes, '/api/'), 0)
  assert.equal(firstOf(routes, '/api/films/7'), 0)
  assert.equal(firstOf(routes, '/apis'), -1)
  assert.equal(firstOf([{ path: '/*' }], '/'), 0)
})

test('a named segment takes exactly one segment that is not empty', () => {
  const routes = [{ path: '/rooms/:id' }, { path: '/rooms/:id/*' }]
  assert.equal(firstOf(routes, '/rooms/7'), 0)
  assert.equal(firstOf(routes, '/rooms/7/seats/2'), 1)
  assert.equal(firstOf(routes, '/rooms/'), -1)
  assert.equal(firstOf(routes, '/rooms'), -1)
  const table = compileRoutes(routes)
  assert.equal(table.parameter(1, '/rooms/7/seats/2', 'id'), '7')
  assert.equal(table.parameter(1, '/rooms/7/seats/2', 'other'), undefined)
})

test('the first route of the file that matches wins, also when a later one is more exact', () => {
  const routes = [{ path: '/:any' }, { path: '/films' }, { path: '/*' }]
  assert.equal(firstOf(routes, '/films'), 0)
  assert.equal(firstOf([{ path: '/films' }, { path: '/:any' }], '/films'), 0)
  assert.equal(firstOf(routes, '/films/7'), 2)
})

test('host, method and headers narrow a route', () => {
  const routes: RouteMatch[] = [
    { path: '/*', host: 'a.example' },
    { path: '/*', host: '*.example', methods: ['POST'] },
    { path: '/*', headers: { 'x-beta': '1', 'x-any': '*' } },
  ]
  assert.equal(firstOf(routes, '/x', 'a.example'), 0)
  assert.equal(firstOf(routes, '/x', 'b.example', request('POST')), 1)
  assert.equal(firstOf(routes, '/x', 'b.example'), -1)
  assert.equal(firstOf(routes, '/x', 'example', request('POST')), -1, 'the star needs a label')
  assert.equal(firstOf(routes, '/x', '', request('GET', { 'x-beta': '1', 'x-any': '' })), 2)
  assert.equal(firstOf(routes, '/x', '', request('GET', { 'x-beta': '2', 'x-any': '' })), -1)
})

test('the index by first segment finds what a plain walk over all routes finds', () => {
  const segment = fc.constantFrom('a', 'b', ':x', 'c')
  const pattern = fc
    .tuple(fc.array(segment, { maxLength: 3 }), fc.boolean())
    .map(([parts, open]) => `/${[...parts, ...(open ? ['*'] : [])].join('/')}`)
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 })
    .map(parts => `/${parts.join('/')}`)
  const matches = (one: string, asked: string): boolean =>
    compileRoutes([{ path: one }]).match('', asked, request()) === 0
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 12 }), path, (patterns, asked) => {
      const found = firstOf(
        patterns.map(one => ({ path: one })),
        asked,
        '',
      )
      assert.equal(
        found,
        patterns.findIndex(one => matches(one, asked)),
      )
    }),
  )
})

test('hosts are compared without case, port and final dot', () => {
  assert.equal(hostOf('Tickets.Example:8080'), 'tickets.example')
  assert.equal(hostOf('tickets.example.'), 'tickets.example')
  assert.equal(hostOf('[2001:DB8::1]:443'), '[2001:db8::1]')
  assert.equal(hostOf('[::1]'), '[::1]')
  assert.equal(hostOf(''), '')
})

test('paths get one form before anything looks at them', () => {
  for (const [given, normal] of [
    ['/a/./b/../c', '/a/c'],
    ['/a/%2e%2E/b', '/b'],
    ['/%61dmin', '/admin'],
    ['/a%2fb', '/a%2Fb'],
    ['/a/..', '/'],
    ['/a/.', '/a/'],
    ['/a/b/..', '/a/'],
    ['/.well-known/x', '/.well-known/x'],
    ['/a//b', '/a//b'],
    ['/a%20b', '/a%20b'],
  ] as const)
    assert.equal(normalisePath(given), normal, given)
})

test('paths that lead above the root, hide a NUL or a backslash, or are badly encoded are refused', () => {
  for (const path of [
    '/..',
    '/a/../../b',
    '/%2e%2e/etc',
    '/a%00',
    '/a%zz',
    '/a%',
    '/a\\b',
    '/a%5Cb',
    '/a%5cb',
  ])
    assert.equal(normalisePath(path), null, path)
})

test('normalising twice changes nothing, and what needs none is its own normal form', () => {
  const path = fc
    .array(fc.constantFrom('a', '.', '..', '', '%2e', '%41', '%2F', 'b.c', '%7e'), { maxLength: 7 })
    .map(parts => `/${parts.join('/')}`)
  fc.assert(
    fc.property(path, given => {
      const normal = normalisePath(given)
      if (normal === null) return
      assert.equal(normalisePath(normal), normal)
      assert.ok(!/(?:^|\/)\.\.?(?:\/|$)/.test(normal), `dot segments are left in ${normal}`)
      if (!needsNormalising(given)) assert.equal(normal, given)
    }),
  )
})
