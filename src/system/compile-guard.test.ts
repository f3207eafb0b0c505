import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type CheckedSystem, checkSystem, renderProblems } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'
import { compileEdge } from './compile-edge.ts'
import { compileGuard, type GuardContext, guardEnvironment, secretsOfGuard } from './compile-guard.ts'
import { noEdgeFiles, readEdgeFiles } from './edge-files.ts'
import { resolveSecrets } from './load-secrets.ts'

function checked(
  guard: object | undefined,
  over: object = {},
  environment: string | null = null,
): CheckedSystem {
  const result = checkSystem(
    {
      name: 'shop',
      edge: {
        listen: { http: 8080 },
        routes: [{ path: '/*', to: 'api', ...(guard ? { guard: 'checkout' } : {}) }],
      },
      services: { api: { command: 'node api.mjs' } },
      ...(guard ? { guard } : {}),
      ...over,
    },
    { environment },
  )
  assert.ok(result.ok, result.ok ? '' : renderProblems('test', result.problems))
  return result.system
}

const stateKey = Buffer.alloc(32, 7).toString('base64')

const context = (secrets: Record<string, string> = {}): GuardContext => ({
  secrets,
  guardSecret: stateKey,
  baseDirectory: '/shop',
  stateDirectory: '/state',
})

const withSecrets = {
  shared: { redis: { secret: 'GUARD_REDIS' } },
  secret: { secret: 'GUARD_SECRET' },
  challenge: { turnstile: { siteKey: 'site', secret: { secret: 'TURNSTILE' }, hostnames: ['shop.example'] } },
  policies: { checkout: { challenge: 'always' } },
}
const secrets = {
  GUARD_REDIS: 'redis://edge:hush-hush@10.0.0.1:6379',
  GUARD_SECRET: 'a text of more than thirty-two characters',
  TURNSTILE: '0xTURNSTILE',
}

test('a file without a guard has none in its snapshot, and its services hear nothing of one', () => {
  const system = checked(undefined)
  assert.equal(compileGuard(system, context()), null)
  assert.deepEqual(guardEnvironment(system, 'api', null), {})
  assert.deepEqual(secretsOfGuard(null), [])
})

test('secrets are put in, and each of them is known to the redactor', () => {
  const spec = compileGuard(checked(withSecrets), context(secrets))
  assert.equal(spec?.shared?.redis, secrets.GUARD_REDIS)
  assert.equal(spec?.challenge.turnstile?.secret, secrets.TURNSTILE)
  assert.equal(spec?.secretKey, Buffer.from(secrets.GUARD_SECRET).toString('base64'))
  const hidden = secretsOfGuard(spec)
  for (const one of [secrets.GUARD_REDIS, 'hush-hush', secrets.TURNSTILE, spec?.secretKey ?? ''])
    assert.ok(hidden.includes(one))
  assert.ok(hidden.includes(guardEnvironment(checked(withSecrets), 'api', spec).TENFOLD_GUARD_KEY as string))
})

test('without a secret of the file, the key of the state directory signs; other keys sign for other systems', () => {
  const system = checked({ policies: { checkout: {} } })
  const spec = compileGuard(system, context())
  assert.equal(spec?.secretKey, stateKey)
  const other = compileGuard(system, { ...context(), guardSecret: Buffer.alloc(32, 8).toString('base64') })
  const keys = [spec, other].map(one => guardEnvironment(system, 'api', one).TENFOLD_GUARD_KEY)
  assert.notEqual(keys[0], keys[1])
})

test('a secret that could be guessed is refused, and not shown', () => {
  const compile = (): unknown =>
    compileGuard(checked(withSecrets), context({ ...secrets, GUARD_SECRET: 'too-short' }))
  assert.throws(compile, (cause: unknown) => {
    assert.ok(cause instanceof Failure)
    assert.equal(cause.code, 'FILE_SECRET_SHORT')
    assert.match(cause.message, /GUARD_SECRET .*9 characters/)
    assert.doesNotMatch(cause.message, /too-short/)
    return true
  })
})

test('secrets of the guard that are missing are told with their place', () => {
  assert.throws(
    () => resolveSecrets(checked(withSecrets), {}),
    /GUARD_REDIS \(for guard\.shared\.redis\).*TURNSTILE/s,
  )
})

test('paths are meant from the folder of the file; logs are in the state directory', () => {
  const spec = compileGuard(
    checked({
      geo: { country: 'geo/country.mmdb' },
      bots: {
        crawlerFiles: ['bots.json'],
        dataCentres: { files: ['/etc/dc.txt'] },
        signatureAgents: [{ agent: 'https://a.example', keysFile: 'a.json' }],
      },
      rooms: { sale: { admit: '1/s', page: 'room.html' } },
      policies: { checkout: { room: 'sale', waf: { rules: ['crs', '/usr/share/modsecurity-crs'] } } },
    }),
    context(),
  )
  assert.equal(spec?.geo?.countryFile, '/shop/geo/country.mmdb')
  assert.deepEqual(spec?.bots.crawlerFiles, ['/shop/bots.json'])
  assert.deepEqual(spec?.bots.dataCentreFiles, ['/etc/dc.txt'])
  assert.deepEqual(spec?.bots.signatureAgents, [{ agent: 'https://a.example', keysFile: '/shop/a.json' }])
  assert.equal(spec?.rooms.sale?.page, '/shop/room.html')
  assert.deepEqual(spec?.policies.checkout?.waf?.rules, ['/shop/crs', '/usr/share/modsecurity-crs'])
  assert.equal(spec?.audit.file, '/state/logs/guard.log')
})

test('the guard knows the hosts of the file, and whether this is production', () => {
  const over = {
    edge: {
      listen: { http: 8080 },
      routes: [
        { host: 'shop.example', path: '/*', to: 'api', guard: 'checkout' },
        { host: '*.shop.example', path: '/*', to: 'api' },
      ],
    },
    environments: { production: {} },
  }
  const spec = compileGuard(checked({ policies: { checkout: {} } }, over, 'production'), context())
  assert.deepEqual(spec?.hosts, ['shop.example'])
  assert.equal(spec?.production, true)
  assert.equal(compileGuard(checked({ policies: { checkout: {} } }, over), context())?.production, false)
})

test('services are told where the edge answers itself, and nothing where no listener does', () => {
  const policies = { policies: { checkout: {} } }
  const url = (listen: object): string | undefined => {
    const system = checked(policies, {
      edge: { listen, routes: [{ path: '/*', to: 'api', guard: 'checkout' }] },
    })
    return guardEnvironment(system, 'api', compileGuard(system, context())).TENFOLD_GUARD_URL
  }
  assert.equal(url({ http: 8080 }), 'http://127.0.0.1:8080')
  assert.equal(url({ http: ['10.0.0.1:80'] }), 'http://10.0.0.1:80')
  assert.equal(url({ http: '[::]:80' }), 'http://[::1]:80')
  assert.equal(url({ http: 0 }), undefined)
  assert.equal(url({ http: { at: 80, redirectToHttps: 443 }, https: 443 }), undefined)
})

test('the pages of the guard are before all routes of the file, which keep their policies; rulings come with each snapshot', () => {
  const system = checked({ policies: { checkout: {} } })
  const rulings = [{ block: '10.0.0.0/8', kind: 'ban', untilMs: 0, reason: 'noise', by: 'operator' }] as const
  const snapshot = compileEdge(system, {
    version: 1,
    members: new Map(),
    stickySecret: '',
    identitySecret: '',
    stateDirectory: '/state',
    baseDirectory: '/shop',
    files: noEdgeFiles,
    ownCertificates: [],
    switches: {},
    guard: compileGuard(system, context()),
    rulings,
  })
  assert.deepEqual(
    snapshot.routes.map(({ id, match, guard, action }) => [id, match.path, guard, action.kind]),
    [
      ['(guard)', '/.tenfold/guard/*', undefined, 'guard'],
      ['/*', '/*', 'checkout', 'proxy'],
    ],
  )
  assert.deepEqual(snapshot.guard?.rulings, rulings)
  assert.deepEqual(JSON.parse(JSON.stringify(snapshot.guard)), snapshot.guard)
})

test('files that the guard names are looked for when the file is loaded', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-guard-files-'))
  try {
    writeFileSync(join(folder, 'there.mmdb'), 'x')
    const system = checked({
      geo: { country: 'there.mmdb', asn: 'gone.mmdb' },
      rooms: { sale: { admit: '1/s', page: 'gone.html' } },
      policies: { checkout: { room: 'sale', waf: { rules: ['.', 'gone-rules'] } } },
    })
    assert.deepEqual(
      readEdgeFiles(system, folder).problems.map(({ path, value }) => `${path} ${value}`),
      [
        'guard.geo.asn "gone.mmdb"',
        'guard.rooms.sale.page "gone.html"',
        'guard.policies.checkout.waf.rules "gone-rules"',
      ],
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})
