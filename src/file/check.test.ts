// Properties of the checker over random systems and random junk. Golden pairs are in golden.test.ts.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { evictionKinds } from '../policy/evict/index.ts'
import { balanceKinds } from '../policy/settings.ts'
import { type CheckedSystem, checkSystem, fileFailures, renderProblems, spellOut } from './index.ts'
import { systemJsonSchema } from './json-schema.ts'

const folder = join(import.meta.dirname, 'golden')

function parsed(json: string): unknown[] {
  return [JSON.parse(json) as unknown]
}

/** The systems of all golden pairs. */
const goldenSystems = readdirSync(folder).flatMap(name => {
  const head = readFileSync(join(folder, name), 'utf8').split(/^----\n/m)[0] ?? ''
  return parsed(head.replace(/^(#|env |show\b).*\n/gm, ''))
})

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
const durationMs = (minMs: number, maxMs: number): fc.Arbitrary<string> =>
  fc.integer({ min: minMs, max: maxMs }).map(value => `${value}ms`)
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })

const health = fc.oneof(
  fc.constant(false),
  fc.record({
    path: maybe(fc.constantFrom('/', '/healthz')),
    interval: maybe(durationMs(2000, 9000)),
    timeout: maybe(durationMs(10, 2000)),
    rise: maybe(fc.integer({ min: 1, max: 9 })),
    status: maybe(fc.constantFrom(200, '200-299')),
    passive: maybe(
      fc.oneof(fc.constant(false), fc.record({ failures: fc.nat(9), share: fc.constantFrom(0, 0.25, 1) })),
    ),
    panic: maybe(fc.constantFrom(0, 0.5, 1)),
  }),
)
const balance = fc.oneof(
  fc.constantFrom(...balanceKinds),
  fc.record({
    kind: fc.constantFrom('ring-hash', 'rendezvous-hash', 'maglev-hash'),
    key: maybe(fc.constantFrom('ip', 'url', 'header:X-User', 'cookie:sid', 'path:id', 'query:q')),
    loadFactor: maybe(fc.constantFrom(1.25, 2)),
  }),
)
const common = {
  balance: maybe(balance),
  health: maybe(health),
  limits: maybe(fc.record({ connections: fc.nat(100), pendingTimeout: durationMs(1, 1000) })),
  retry: maybe(
    fc.oneof(
      fc.constant(false),
      fc.record({ attempts: fc.nat(5), onStatus: fc.constantFrom([], [502, 503]) }),
    ),
  ),
  hedge: maybe(fc.record({ percentile: fc.constantFrom(50, 95, 99.9) })),
  slowStart: maybe(durationMs(0, 10_000)),
  keepAlive: maybe(fc.record({ connections: fc.nat(64) })),
}
const service = fc.oneof(
  fc.record({
    ...common,
    command: fc.oneof(fc.constant('node web.mjs'), fc.constant(['node', 'web.mjs'])),
    instances: maybe(
      fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant({ min: 2 }), fc.constant({ min: 1, max: 3 })),
    ),
    env: maybe(
      fc.dictionary(
        fc.stringMatching(/^[A-OQ-S][A-Z]{0,5}$/),
        fc.oneof(fc.stringMatching(/^[a-z ]{0,9}$/), fc.constant({ secret: 'KEY' })),
      ),
    ),
    memory: maybe(fc.constantFrom('64MB', 2_000_000)),
    stop: maybe(fc.record({ signal: fc.constantFrom('SIGTERM', 'SIGINT'), timeout: durationMs(0, 5000) })),
  }),
  fc.record({
    ...common,
    addresses: fc.uniqueArray(
      fc.constantFrom('10.0.0.1:80', '[::1]:81', 'db.example:82', 'srv:_http._tcp.x', {
        address: '10.0.0.2:80',
        weight: 3,
        tier: 1,
      }),
      { minLength: 1, maxLength: 5 },
    ),
  }),
)
const routeOf = (names: string[]): fc.Arbitrary<object> =>
  fc.record({
    path: fc.constantFrom('/*', '/a', '/a/*', '/rooms/:id/*', '/:id'),
    host: maybe(fc.constantFrom('x.example', '*.example')),
    methods: maybe(fc.constantFrom(['GET'], ['GET', 'POST'])),
    timeout: maybe(durationMs(1, 1000)),
    bodyMax: maybe(fc.constantFrom('1MB', 77)),
    to: fc.constantFrom(...names),
    rewrite: maybe(fc.constantFrom('/', '/b')),
    sticky: maybe(
      fc.constantFrom('cookie', 'ip', 'header:X-A', { by: 'cookie:c', maxAge: '1d', secure: true }),
    ),
    upgrade: maybe(fc.boolean()),
    retry: maybe(fc.constantFrom(false, { attempts: 1 })),
  })
const database = fc.oneof(
  fc.record({
    replicas: fc.oneof(
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom([{}, { delay: '1h' }], [{}, { from: 'primary', directory: 'b' }]),
    ),
    durability: maybe(fc.constantFrom('primary', 'one-replica', 'all-replicas')),
    settings: maybe(fc.constantFrom({ work_mem: '1MB', jit: false, max_connections: 99 })),
    backup: maybe(fc.constantFrom({ to: 'b' }, { to: 'b', every: '1h', keep: 1, drill: false })),
    reads: maybe(fc.constantFrom('fresh', 'session', 'any', 'primary', { maxLag: '2s' })),
    listen: maybe(fc.constantFrom(0, '127.0.0.1:0')),
    pool: maybe(fc.record({ size: fc.integer({ min: 1, max: 50 }), waitTimeout: durationMs(1, 1000) })),
    failover: maybe(fc.record({ automatic: fc.boolean() })),
    tls: maybe(fc.constant({ certFile: 'c', keyFile: 'k' })),
  }),
  fc.record({
    servers: fc.constantFrom(['postgres://a@127.0.0.1/app'], [{ secret: 'A' }, 'postgres://b@[::1]:5433']),
    serverTls: maybe(fc.constantFrom({}, { mode: 'require' }, { caFile: 'ca.pem' })),
    shared: maybe(fc.boolean()),
  }),
)
const systems = fc.dictionary(word, service, { minKeys: 1, maxKeys: 4 }).chain(services =>
  fc.record({
    name: word,
    services: fc.constant(services),
    databases: maybe(fc.dictionary(word, database, { maxKeys: 3 })),
    edge: fc.record({
      listen: maybe(fc.constantFrom({ http: 0 }, { http: ['127.0.0.1:8081', '[::1]:8082'] })),
      workers: maybe(fc.constantFrom('cores', 3)),
      accessLog: maybe(fc.constantFrom(true, false, 'a.log')),
      routes: fc.array(routeOf(Object.keys(services)), { minLength: 1, maxLength: 5 }),
    }),
  }),
)

function mustCheck(data: unknown): CheckedSystem {
  const result = checkSystem(data)
  assert.ok(result.ok, result.ok ? '' : renderProblems('random', result.problems))
  return result.system
}

test('any system of known keys checks, and survives JSON', () => {
  fc.assert(
    fc.property(systems, data => {
      const system = mustCheck(data)
      assert.deepEqual(JSON.parse(JSON.stringify(system)), system)
      assert.deepEqual(mustCheck(JSON.parse(JSON.stringify(data))), system)
    }),
    { numRuns: 200 },
  )
})

test('checking is idempotent: a checked system, spelled out as a file, checks to itself', () => {
  fc.assert(
    fc.property(systems, data => {
      const system = mustCheck(data)
      assert.deepEqual(mustCheck(spellOut(system)), system)
    }),
    { numRuns: 200 },
  )
})

test('every golden system that checks is the same when spelled out and checked again', () => {
  const checked = goldenSystems.map(data => checkSystem(data)).filter(result => result.ok)
  assert.ok(checked.length > 30)
  for (const { system } of checked) assert.deepEqual(mustCheck(spellOut(system)), system)
})

test('junk is never accepted by accident and never throws', () => {
  fc.assert(
    fc.property(
      fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
      junk => {
        const result = checkSystem(junk)
        assert.equal(result.ok, false)
        assert.ok(result.ok || result.problems.length > 0)
      },
    ),
    { numRuns: 1000 },
  )
})

test('a system with junk at any key gives problems with paths and known codes, or checks; it never throws', () => {
  const codes = new Set(Object.values(fileFailures).map(kind => kind.code))
  const paths = keyPaths(systemJsonSchema() as Node, [])
  assert.ok(paths.length > 80, `only ${paths.length} key paths`)
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, junk) => {
      const result = checkSystem(planted(path, junk))
      for (const problem of result.ok ? result.warnings : [...result.problems, ...result.warnings]) {
        assert.ok(codes.has(problem.code), problem.code)
        assert.ok(problem.message !== '' && problem.path !== '', JSON.stringify(problem))
        assert.doesNotMatch(problem.message, /Invalid input|undefined|\[object/)
      }
    }),
    {
      numRuns: 3000,
      // Found by earlier seeds.
      examples: [
        [['edge', 'limits', 'sendTimeout'], { toString: '' }],
        [['services', 'web', 'health', 'status'], { toString: {} }],
      ],
    },
  )
})

test('what has no text, as an object whose toString is none, is a problem at every key, never a fault', () => {
  for (const path of keyPaths(systemJsonSchema() as Node, []))
    for (const junk of [
      { toString: '' },
      [{ toString: {} }],
      { valueOf: 1, toString: 1 },
      { kind: { toString: '' } },
    ])
      assert.doesNotThrow(() => checkSystem(planted(path, junk)), path.join('.'))
})

interface Node {
  readonly properties?: Record<string, Node>
  readonly additionalProperties?: boolean | Node
  readonly items?: Node
  readonly anyOf?: readonly Node[]
}

function keyPaths(node: Node, path: readonly string[]): string[][] {
  const below = [
    ...Object.entries(node.properties ?? {}),
    ...(typeof node.additionalProperties === 'object' ? [['web', node.additionalProperties] as const] : []),
    ...(node.items ? [['0', node.items] as const] : []),
  ].flatMap(([key, one]) => [[...path, key], ...keyPaths(one, [...path, key])])
  return [...below, ...(node.anyOf ?? []).flatMap(one => keyPaths(one, path))]
}

/** A system that is right but for what is planted at the path. */
function planted(path: readonly string[], junk: unknown): unknown {
  const system = structuredClone({
    name: 'shop',
    edge: { routes: [{ path: '/*', to: 'web' }] },
    services: { web: path.includes('addresses') ? {} : { command: 'x' } },
  }) as Record<string, unknown>
  let at: Record<string, unknown> = system
  for (const key of path.slice(0, -1)) {
    const next = at[key]
    at[key] = typeof next === 'object' && next !== null ? next : path[path.indexOf(key) + 1] === '0' ? [] : {}
    at = at[key] as Record<string, unknown>
  }
  at[path.at(-1) as string] = junk
  return system
}

test('what a system holds that is not plain data is named by its path', () => {
  const cycle: Record<string, unknown> = { name: 'x' }
  cycle.self = { back: [cycle] }
  const cases: readonly (readonly [unknown, string, RegExp])[] = [
    [
      { name: 'x', services: { web: { command: () => 'x' } } },
      'services.web.command',
      /function \(command\)/,
    ],
    [{ name: 'x', edge: { routes: [new Date(0)] } }, 'edge.routes[0]', /is a Date/],
    [{ name: Symbol('x') }, 'name', /symbol/],
    [{ name: 10n }, 'name', /bigint/],
    [{ name: 'x', 'a b': Number.NaN }, '["a b"]', /NaN/],
    [cycle, 'self.back[0]', /refers back/],
    [JSON.parse('{"name":"x","__proto__":{"a":1}}'), '__proto__', /can not have/],
  ]
  for (const [data, path, message] of cases) {
    const result = checkSystem(data)
    assert.ok(!result.ok)
    assert.equal(result.problems[0]?.path, path)
    assert.match(result.problems[0]?.message ?? '', message)
    assert.equal(result.problems[0]?.code, fileFailures.notPlain.code)
  }
})

test('a getter that throws, a too deep and a too large system are refused, not thrown', () => {
  const throwing = Object.defineProperty({}, 'name', {
    enumerable: true,
    get: () => {
      throw new Error('no')
    },
  })
  let deep: unknown = 1
  for (let level = 0; level < 100; level++) deep = { deep }
  const codes = [throwing, deep, { name: new Array(200_001).fill(1) }].map(data => {
    const result = checkSystem(data)
    return result.ok ? 'ok' : result.problems[0]?.code
  })
  assert.deepEqual(codes, [
    fileFailures.notPlain.code,
    fileFailures.tooLarge.code,
    fileFailures.tooLarge.code,
  ])
})

test('keys whose value is undefined are as good as absent', () => {
  const service = { command: 'x', instances: undefined, health: { path: undefined } }
  assert.deepEqual(
    mustCheck({ name: 'x', services: { web: service } }),
    mustCheck({ name: 'x', services: { web: { command: 'x' } } }),
  )
})

test('a service may have a name that objects have by birth, and a route to one that is missing is told', () => {
  assert.ok(mustCheck({ name: 'x', services: { constructor: { command: 'x' } } }).services.constructor)
  const result = checkSystem({
    name: 'x',
    services: { web: { command: 'x' } },
    edge: { routes: [{ path: '/*', to: 'constructor' }] },
  })
  assert.equal(result.ok ? '' : result.problems[0]?.code, fileFailures.unknownService.code)
})

test('the file offers exactly the eviction policies that there are', () => {
  for (const eviction of evictionKinds)
    mustCheck({ name: 'x', services: { web: { command: 'x' } }, edge: { cache: { eviction } } })
  const edge = { cache: { eviction: 'none' } }
  const result = checkSystem({ name: 'x', services: { web: { command: 'x' } }, edge })
  const allowed = result.ok ? '' : (result.problems[0]?.allowed ?? '')
  assert.deepEqual(
    [...allowed.matchAll(/'([a-z0-9-]+)'/g)].map(match => match[1]).sort(),
    [...evictionKinds].sort(),
  )
})

test('the file offers exactly the balancing algorithms that the policies have', () => {
  for (const kind of balanceKinds)
    mustCheck({ name: 'x', services: { web: { command: 'x', balance: kind } } })
  const result = checkSystem({ name: 'x', services: { web: { command: 'x', balance: 'none' } } })
  const allowed = result.ok ? '' : (result.problems[0]?.allowed ?? '')
  assert.deepEqual(
    [...allowed.matchAll(/'([a-z-]+)'/g)].map(match => match[1]).sort(),
    [...balanceKinds].sort(),
  )
})
