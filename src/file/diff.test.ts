import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Change, type CheckedSystem, checkSystem, diffSystems, renderProblems } from './index.ts'

function checked(over: object, services: object = { web: { command: 'node web.mjs' } }): CheckedSystem {
  const result = checkSystem({
    name: 'shop',
    edge: { routes: [{ path: '/*', to: Object.keys(services)[0] }] },
    services,
    ...over,
  })
  assert.ok(result.ok, result.ok ? '' : renderProblems('test', result.problems))
  return result.system
}

const web = (keys: object): CheckedSystem => checked({}, { web: { command: 'node web.mjs', ...keys } })
const told = (changes: readonly Change[]): string[] =>
  changes.map(
    ({ path, from = '-', to = '-', effect }) =>
      `${path}: ${from} -> ${to}: ${'service' in effect ? `${effect.kind} ${effect.service}` : effect.kind}`,
  )

test('the same system has no differences, in whatever order its keys stand', () => {
  const one = web({ env: { A: '1', B: '2' }, instances: 2 })
  const other = web({ instances: 2, env: { B: '2', A: '1' } })
  assert.deepEqual(diffSystems(one, other), [])
})

test('name, control address and workers are refused, each with its reason', () => {
  const changes = diffSystems(
    checked({}),
    checked({ name: 'other', control: { listen: 9901 }, edge: { workers: 2 } }),
  )
  assert.deepEqual(told(changes), [
    'name: "shop" -> "other": refused',
    'control.port: 9900 -> 9901: refused',
    'edge.workers: "cores" -> 2: refused',
  ])
  for (const { effect } of changes)
    assert.match(effect.kind === 'refused' ? effect.reason : '', /stop the system and start it again/)
})

test('listeners, limits and routes change live; routes are told by their id', () => {
  const before = checked({
    edge: {
      routes: [
        { path: '/a', to: 'web' },
        { path: '/b', to: 'web' },
      ],
    },
  })
  const after = checked({
    edge: {
      listen: { http: [8080, 8081] },
      limits: { headerCount: 50 },
      routes: [
        { path: '/c', respond: 'c' },
        { path: '/b', to: 'web' },
        { path: '/a', to: 'web', upgrade: true },
      ],
    },
  })
  const changes = diffSystems(before, after)
  assert.ok(changes.every(change => change.effect.kind === 'live'))
  assert.deepEqual(
    changes.map(change => change.path),
    [
      'edge.listeners.http-2',
      'edge.limits.headerCountMax',
      'edge.routes[/a].action.upgrade',
      'edge.routes[/c]',
      'edge.routes (order)',
    ],
  )
})

test('what an instance was started with rolls the service; the rest of a service is live', () => {
  assert.deepEqual(
    told(
      diffSystems(web({}), web({ command: 'node other.mjs', directory: 'x', user: 'www', env: { A: '1' } })),
    ),
    [
      'services.web.command: "node web.mjs" -> "node other.mjs": rolls web',
      'services.web.directory: "." -> "x": rolls web',
      'services.web.env.A: - -> "1": rolls web',
      'services.web.user: - -> "www": rolls web',
    ],
  )
  const live = diffSystems(
    web({}),
    web({ instances: 4, balance: 'random', memory: '1MB', stop: { timeout: '1s' }, health: { path: '/h' } }),
  )
  assert.ok(live.length > 5)
  assert.ok(live.every(change => change.effect.kind === 'live'))
})

test('services come, go, and move elsewhere', () => {
  const command = { command: 'x' }
  const before = checked(
    {},
    { web: command, old: command, moved: command, back: { addresses: ['10.0.0.1:80'] } },
  )
  const after = checked(
    {},
    { web: command, moved: { addresses: ['10.0.0.2:80'] }, back: command, fresh: command },
  )
  assert.deepEqual(told(diffSystems(before, after)), [
    'services.old: "runs a command" -> -: stops old',
    'services.moved: "runs a command" -> "1 addresses": stops moved',
    'services.back: "1 addresses" -> "runs a command": starts back',
    'services.fresh: - -> "runs a command": starts fresh',
  ])
})

test('a changed password is a change, but neither password is shown', () => {
  const before = web({ env: { DB_PASSWORD: 'hunter1', URL: 'postgres://app:hunter1@db/x' } })
  const after = web({ env: { DB_PASSWORD: 'hunter2', URL: 'postgres://app:hunter2@db/x' } })
  const changes = diffSystems(before, after)
  assert.deepEqual(changes.map(change => change.path).sort(), [
    'services.web.env.DB_PASSWORD',
    'services.web.env.URL',
  ])
  assert.ok(changes.every(change => change.effect.kind === 'rolls'))
  assert.doesNotMatch(JSON.stringify(changes), /hunter/)
})

test('the whole front door changes live', () => {
  const before = checked({}, { web: { command: 'x' }, next: { command: 'y' } })
  const edge = {
    listen: { http: [8080, { at: 8081, proxyProtocol: ['loopback'] }], https: 8443 },
    tls: { certificates: [{ certFile: 'a.pem', keyFile: 'b.pem' }], hsts: true },
    tcp: [{ listen: 7000, to: 'web' }],
    udp: [{ listen: 7000, to: 'web' }],
    health: 9901,
    limits: { http2Streams: 10 },
    errorPages: { 404: '404.html' },
    maintenance: { allow: ['private'] },
    tracing: 'http://127.0.0.1:4318',
    slowLog: true,
    serverTiming: true,
    routes: [
      { path: '/a/*', files: 'public', compress: true },
      {
        path: '/*',
        to: 'web',
        canary: { to: 'next', share: '5%' },
        mirror: 'next',
        cors: true,
        decodedBodyMax: '1MB',
        hooks: { module: 'hooks.ts', onRequest: 'a' },
      },
    ],
  }
  const after = checked(
    { edge },
    { web: { command: 'x', protocol: 'h2', tls: true }, next: { command: 'y' } },
  )
  const changes = diffSystems(before, after)
  assert.deepEqual(
    changes.filter(change => change.effect.kind !== 'live'),
    [],
  )
  const paths = changes.map(change => change.path)
  for (const path of [
    'edge.listeners.http.redirectToHttps',
    'edge.listeners.http-2',
    'edge.listeners.https',
    'edge.listeners.tcp-7000',
    'edge.listeners.udp-7000',
    'edge.listeners.health',
    'edge.tls',
    'edge.tracing',
    'edge.routes[/a/*]',
    'services.web.upstream.protocol',
  ])
    assert.ok(paths.includes(path), `${path} is not among ${paths.join(', ')}`)
})

test('asking for client certificates rolls services: their instances learn how to check who a client is', () => {
  const services = { web: { command: 'x' }, other: { addresses: ['10.0.0.1:80'] } }
  const listen = { https: 443 }
  const routes = [
    { path: '/a', to: 'other' },
    { path: '/*', to: 'web' },
  ]
  const tls = { clientCertificates: { caFile: 'ca.pem' } }
  const [without, asking] = [
    checked({ edge: { listen, routes, tls: {} } }, services),
    checked({ edge: { listen, routes, tls } }, services),
  ]
  const rolls = ['services.web.env.TENFOLD_IDENTITY_SECRET: - -> ***: rolls web']
  assert.deepEqual(
    told(diffSystems(without, asking)).filter(line => line.includes('rolls')),
    rolls,
  )
  assert.deepEqual(
    told(diffSystems(asking, without)).filter(line => line.includes('rolls')),
    ['services.web.env.TENFOLD_IDENTITY_SECRET: *** -> -: rolls web'],
  )
})
