import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fleetFailures } from '../../fleet/failures.ts'
import { Failure } from '../../kit/failure.ts'
import { systemFailures } from '../failures.ts'
import { controlClient } from './client.ts'
import { contract, type Operation } from './contract.ts'
import type { ControlHandlers } from './handlers.ts'
import { failureSchema } from './schemas.ts'
import { type ControlServer, startControlServer } from './server.ts'
import { openTokens, type Tokens } from './tokens.ts'
import type { CanaryView, DatabaseView, LogLine, StatusView, SystemEvent } from './views.ts'

const at = '2026-01-02T03:04:05.678Z'

const canary: CanaryView = {
  route: '/*',
  upstream: 'next',
  share: 0.1,
  state: 'taken-out',
  reason: 'taken out: errors 12 % against 0.4 % of 500 requests',
  outSince: at,
  canary: { requests: 500, errors: 60, p95Ms: 12 },
  others: { requests: 5_000, errors: 20, p95Ms: 11 },
}

const database: DatabaseView = {
  name: 'main',
  database: 'app',
  servedBy: 'tenfold',
  state: 'ready',
  reason: 'both replicas stream',
  durability: 'one-replica',
  reads: 'fresh',
  host: '127.0.0.1',
  port: 6432,
  epoch: 2,
  timeline: 2,
  paused: null,
  traffic: {
    clients: 3,
    waiting: 0,
    held: 0,
    pins: { transaction: 1 },
    reads: { replica: 10 },
    statements: [{ kind: 'select', server: 'replica', count: 10, errors: 0, p50Ms: 0.4, p99Ms: 2 }],
    feed: null,
  },
  servers: [
    {
      id: 'main-1',
      role: 'primary',
      state: 'ready',
      reason: 'takes writes',
      address: '127.0.0.1:20001',
      pid: 11,
      delayMs: 0,
      lsn: '0/3000148',
      lagBytes: null,
      lagMs: null,
      from: null,
      connections: { total: 2, active: 1, idle: 1 },
    },
  ],
  failovers: [
    {
      at,
      kind: 'failover',
      from: 'main-2',
      to: 'main-1',
      why: 'main-2 was killed',
      tookMs: 40,
      lost: { changes: 0, file: '', covers: 'rows' },
    },
  ],
  backup: { directory: '/backups', lastAt: at, text: 'the log is archived to 0/3000000' },
}

const status: StatusView = {
  name: 'shop',
  state: 'running',
  ready: false,
  waitingFor: ['api has no ready member'],
  tenfold: '0.1.0',
  pid: 7,
  startedAt: at,
  uptimeMs: 12,
  file: '/shop/tenfold.config.ts',
  environment: null,
  stateDirectory: '/shop/.tenfold',
  controlUrl: 'http://127.0.0.1:9900',
  watching: true,
  runsAs: 'nobody',
  lastReload: { at, outcome: 'refused', text: 'name cannot change' },
  warnings: [],
  edge: {
    state: 'running',
    reason: 'started',
    pid: 8,
    adopted: false,
    restarts: 0,
    leaving: [],
    snapshotVersion: 3,
    listeners: [{ id: 'http', host: '0.0.0.0', port: 8080, url: 'http://127.0.0.1:8080' }],
    workers: [{ id: 0, state: 'running', restarts: 0, connections: 1, exchanges: 0 }],
    routes: [{ id: '/*', requests: 5, errors: 0, p50Ms: 1.5, p99Ms: 3 }],
    canaries: [canary],
    cache: { entries: 3, bytes: 4096, bytesMax: 8192, hitRatio: 0.5 },
    certificates: [
      {
        hosts: ['shop.example'],
        file: '/shop/tls/cert.pem',
        source: 'file',
        issuer: 'CN=Shop CA',
        validUntil: at,
        daysLeft: 60,
        problem: '',
      },
    ],
  },
  acme: [{ host: 'shop.example', state: 'valid', text: 'renewed by itself', validUntil: at, nextTryAt: at }],
  standDown: { at, reason: 'a new kernel' },
  maintenance: { at, allow: ['10.0.0.0/8'], retryAfterSeconds: null },
  services: [
    {
      name: 'web',
      kind: 'command',
      balance: 'round-robin',
      mode: 'normal',
      instances: { min: 1, max: 2, wanted: 1, ready: 1 },
      scaling: null,
      pending: 0,
      places: null,
      trouble: '',
      members: [
        {
          id: 'web-1',
          address: '127.0.0.1:4000',
          state: 'ready',
          reason: 'health path answers 200',
          pid: 9,
          startedAt: at,
          restarts: 0,
          adopted: false,
          cpuPercent: 1,
          residentBytes: 1024,
          traffic: null,
        },
      ],
    },
  ],
  router: {
    state: 'running',
    reason: 'started',
    pid: 10,
    adopted: false,
    restarts: 0,
    snapshotVersion: 4,
  },
  databases: [database],
  decisions: [{ at, kind: 'decision', subject: 'web/web-1', text: 'ejected: 5 failures in a row' }],
}

const unused = (): never => {
  throw new Error('not part of this test')
}

const databaseHandlers: ControlHandlers['databases'] = {
  switchover: async (name, to, progress) => {
    if (name !== 'main')
      throw new Failure(systemFailures.databaseUnknown, `There is no database '${name}'; there is 'main'.`)
    progress(name, 'holding statements')
    return { text: `${to ?? 'main-2'} is the primary` }
  },
  failover: async (_, { to, lossy }) => ({ text: `${to} ${lossy}` }),
  rebuild: async (_, server) => ({ text: `${server} is a replica again` }),
  pause: async (_, reason) => ({ text: `paused: ${reason}` }),
  resume: async () => ({ text: 'goes on' }),
  settings: async () => ({
    server: 'main-1',
    settings: [{ name: 'work_mem', value: '16MB', source: 'configuration file', pending: false }],
  }),
  shards: async name => ({
    database: name,
    mapVersion: 3,
    shards: [
      {
        id: '1',
        group: `${name}-s1`,
        primary: `${name}-s1-1`,
        slots: { held: 4, all: 4 },
        trouble: '',
        tables: [
          {
            table: 'public.orders',
            place: 'by customer_id',
            rows: 2,
            exact: true,
            bytes: 8,
            reads: 1,
            writes: 2,
          },
        ],
      },
    ],
  }),
  partitions: async name => ({
    database: name,
    groups: [
      {
        name,
        trouble: '',
        tables: [
          {
            table: 'public.events',
            state: 'rolled',
            partitions: [{ name: 'events_p2026_11', bounds: 'DEFAULT', rows: -1, bytes: 8 }],
            made: ['events_p2026_12'],
            removed: [],
            troubles: [],
          },
        ],
      },
    ],
  }),
  rollPartitions: async name => ({ text: `${name}: rolled` }),
  copies: async name => ({
    database: name,
    copies: [
      {
        name: 'orders_by_film',
        of: 'public.orders',
        state: 'fresh',
        trouble: '',
        streams: [{ from: '1', into: '2', state: 'streaming', lagBytes: 7 }],
      },
    ],
  }),
  copiesRebuild: async (_, copy) => ({ text: `${copy} is filled again` }),
  advise: async (name, { verify, limit }) => ({
    database: name,
    indexes: [
      {
        table: 'public.orders',
        columns: ['customer'],
        sql: 'CREATE INDEX',
        statements: [{ text: 'SELECT 1', calls: 1, totalMs: limit }],
        trial: null,
        verdict: null,
        untried: verify ? '' : 'it was not asked for',
        bytes: null,
        writes: 0,
      },
    ],
    drops: [{ kind: 'unused', table: 'public.orders', index: 'a', bytes: 1, sql: 'DROP INDEX' }],
    partitions: [],
    statements: { seen: 1, unread: 0 },
    useless: 0,
  }),
  heat: async name => ({
    database: name,
    heat: {
      format: 1,
      overMs: 1_000,
      shards: [{ shard: '1', reads: 5, writes: 2.5 }],
      families: {
        'public.orders': {
          reads: 5,
          writes: 2.5,
          slots: [{ slot: 3, shard: '1', reads: 5, writes: 2.5 }],
          keys: [{ key: ['42'], shard: '1', count: 4, error: 1, writes: 2 }],
        },
      },
    },
    advice: [{ kind: 'enough', why: 'too few' }],
  }),
  slow: async () => ({
    statements: [
      {
        server: 'main-1',
        text: 'SELECT * FROM films WHERE id = $1',
        calls: 9,
        totalMs: 3,
        meanMs: 0.3,
        maxMs: 1,
        rows: 9,
      },
    ],
  }),
  connection: async (_, as, server) => ({
    host: '127.0.0.1',
    port: 6432,
    user: as === null ? 'tenfold' : `svc_${as}`,
    password: 'p',
    database: 'app',
    sslmode: 'disable',
    through: server ?? 'the router',
  }),
  verify: async (_, progress) => {
    progress('main', 'films')
    return { text: '1 difference', findings: ['films: rows 1 to 9 differ on main-2'] }
  },
  drift: async () => ({ text: 'not the same', findings: ['index public.a: shard 1: not there'] }),
  dangling: async () => ({ text: 'all are there' }),
  unique: async (_, verify) => ({ text: verify ? 'compared' : 'kept' }),
  directory: async (database, { family, key, after, limit }) => ({
    database,
    family,
    keys: [{ key: `${key} ${after} ${limit}`, shard: '2' }],
    counts: { 2: 1 },
    otherwise: null,
    more: false,
  }),
  directorySet: async (_, { family, key, shard }) => ({ text: `${family} ${key} ${shard}` }),
  reshard: async (name, { intent, dryRun, finish }) => ({
    text: `${name} ${JSON.stringify(intent)} ${dryRun} ${finish}`,
  }),
  reshardWish: async (_, what) => ({ text: what }),
  reshardView: async database => ({ database, current: null }),
  export: async (_, { to, format }) => ({ text: `${to} ${format}` }),
  splitColumns: async (_, { table, cold }) => ({ text: `${table} ${cold}` }),
  splitColumnsWish: async (_, what) => ({ text: what }),
  splitColumnsView: async database => ({ database, current: null }),
  backup: async () => ({ text: 'done' }),
  backups: async () => ({ backups: [{ id: 'base-1', at, bytes: 4096, problem: '' }], text: 'kept' }),
  restore: async (_, { to, into }) => ({ text: `${to} ${into}` }),
  drill: async () => ({ text: 'restored' }),
}

const guardHandlers: ControlHandlers['guard'] = {
  status: async () => ({
    policies: [{ name: 'checkout', passed: 5, refused: 1, answered: 0, left: 0 }],
    rules: [{ step: 'limit', rule: 'limit:login', refused: 1, detected: 0 }],
    closed: { banned: 1, tooMany: 2 },
    rulings: [{ kind: 'ban', block: '192.0.2.0/24', until: null, reason: 'a test', by: 'operator' }],
    bans: {
      count: 1,
      last: [{ key: '198.51.100.7', until: at, strikes: 1, reason: 'too many', by: 'limit:login' }],
    },
    audit: {
      file: '/logs/guard.log',
      written: 7,
      sampledOut: 0,
      dropped: 0,
      head: { chain: 'a', seq: 7, hash: 'b' },
    },
    messagesDropped: 0,
    parts: { limit: { entries: 3 } },
  }),
  explain: async id => ({
    id,
    at,
    outcome: 'refused',
    policy: 'checkout',
    route: '/*',
    method: 'GET',
    host: 'shop.example',
    path: '/?token',
    address: '192.0.2.7',
    account: '',
    session: '',
    key: '',
    status: 429,
    code: 'GUARD_LIMITED',
    risk: 0,
    riskReasons: [],
    findings: [{ step: 'limit', rule: 'limit:login', text: 'a test', detected: false }],
  }),
  rule: async ({ kind, block }) => ({ text: `${kind} ${block}` }),
  unban: async what => ({ text: what }),
  ask: async question => ({ asked: question.kind }),
}

const cacheHandlers: ControlHandlers['caches'] = {
  sharedStatus: async (cache, of) => ({ cache, of, servers: [], warnings: ['it evicts leases'] }),
  sharedEntry: async (cache, of, key) => ({
    cache,
    of,
    key,
    state: 'hit',
    entry: { value: '7', bytes: 1, format: 'json', tags: ['a'], version: -1, freshMs: 1, graceMs: 0 },
  }),
  sharedPurge: async (_, { keys }) => ({ text: String(keys) }),
  purge: async ({ tags = [] }, peers) => ({
    text: `${tags.join()} ${peers}`,
    complete: !tags.includes('half'),
    edges: [{ edge: 'edge process 8', done: true, why: '' }],
  }),
  push: async ({ urls, body }) => ({
    text: body?.contentType ?? 'from the origin',
    complete: true,
    results: urls.map(url => ({
      url,
      stored: true,
      status: 200,
      bytes: body === undefined ? 5 : Buffer.from(body.base64, 'base64').length,
      why: '',
    })),
  }),
  status: async () => ({
    name: 'tenfold-fra',
    eviction: 's3-fifo',
    store: {
      entries: 3,
      bytes: 4096,
      bytesMax: 8192,
      evicted: 0,
      refused: 0,
      purges: 1,
      diskEntries: 0,
      diskBytes: 0,
      diskFailures: 0,
    },
    routes: [
      {
        id: '/*',
        hits: 1,
        stale: 0,
        revalidated: 0,
        collapsed: 0,
        misses: 1,
        bypassed: 0,
        hitBytes: 5,
        hitRatio: 0.5,
      },
    ],
    peers: [{ url: 'http://127.0.0.1:9901', waiting: 1, why: 'away' }],
  }),
  look: async url => ({
    url,
    route: '/*',
    key: 'shop.example /',
    why: 'stored',
    entry: {
      status: 200,
      state: 'fresh',
      ageMs: 10,
      freshForMs: 990,
      bodyBytes: 5,
      fields: 'a: b\r\n',
    },
  }),
}

function handlers(own: Partial<ControlHandlers> = {}): ControlHandlers {
  return {
    status: async () => status,
    ready: async () => true,
    metrics: async () => '# TYPE up gauge\nup 1\n',
    history: () => ({
      entries: [{ number: 1, at, text: 'started', current: true, services: ['web'] }],
    }),
    scale: async (service, instances, progress) => {
      if (service !== 'web')
        throw new Failure(fleetFailures.serviceUnknown, `There is no service '${service}'.`)
      progress('web', 'web-2 starts')
      return { text: `web has ${instances} instances` }
    },
    restart: async (_, progress) => {
      progress('web', 'web-1 is replaced')
      throw new Failure(systemFailures.startFailed, 'web-1 did not become ready.')
    },
    drain: async member => ({ text: `${member} drains` }),
    undrain: async member => ({ text: `${member} is back` }),
    reload: async ({ dryRun }) => ({
      text: dryRun ? 'would change 1 setting' : 'applied',
      changes: [{ path: 'services.web.balance', from: 'a', to: 'b', effect: 'live', note: '' }],
    }),
    rollback: async number => ({ text: `back to ${number}` }),
    renew: async (host, progress) => {
      progress(host ?? 'all', 'asking')
      return { text: `${host} is new` }
    },
    standDown: async reason => ({ text: `stands down: ${reason}` }),
    standUp: async () => ({ text: 'serves' }),
    maintenanceOn: async wish => ({ text: `for ${wish.retryAfterSeconds} s` }),
    maintenanceOff: async () => ({ text: 'over' }),
    canaries: async () => ({ canaries: [canary] }),
    canary: async (route, action) => ({ ...canary, route, state: action === 'stop' ? 'stopped' : 'running' }),
    stop: () => ({ text: 'stopping' }),
    databases: databaseHandlers,
    caches: cacheHandlers,
    guard: guardHandlers,
    latestLogs: async () => [{ service: 'web', instance: 'web-1', at: null, text: 'hello' }],
    followLogs: (_, onLine) => {
      const timer = setInterval(() => onLine({ service: 'web', instance: 'web-1', at, text: 'tick' }), 5)
      return () => clearInterval(timer)
    },
    followEvents: onEvent => {
      const timer = setInterval(() => onEvent(status.decisions[0] as SystemEvent), 5)
      return () => clearInterval(timer)
    },
    ...own,
  }
}

interface Started {
  readonly server: ControlServer
  readonly tokens: Tokens
  readonly directory: string
}

async function started(t: TestContext, own: Partial<ControlHandlers> = {}): Promise<Started> {
  const directory = await mkdtemp(join(tmpdir(), 'tf-control-'))
  const tokens = openTokens(directory)
  const server = await startControlServer({
    host: '127.0.0.1',
    port: 0,
    version: '0.1.0',
    tokens,
    handlers: handlers(own),
    onFault: fault => {
      assert.match(String(fault), /expected by the test/)
    },
  })
  t.after(async () => {
    await server.close()
    rmSync(directory, { recursive: true })
  })
  return { server, tokens, directory }
}

interface Asked {
  readonly status: number
  readonly body: string
  readonly contentType: string
}

/** node:http, since fetch does not let a test choose the Host header. */
function ask(
  server: ControlServer,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; untilLines?: number } = {},
): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, server.url), {
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      agent: false,
    })
    sent.once('error', reject)
    sent.once('response', response => {
      let body = ''
      const done = (): void =>
        resolve({
          status: response.statusCode ?? 0,
          body,
          contentType: response.headers['content-type'] ?? '',
        })
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
        if (options.untilLines !== undefined && body.split('\n').length > options.untilLines) {
          done()
          response.destroy()
        }
      })
      response.once('end', done)
    })
    sent.end(options.body)
  })
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

/** What a test sends to have each route answer. */
const examples: Record<Operation, { path: string; body?: object; untilLines?: number }> = {
  livez: { path: '/livez' },
  readyz: { path: '/readyz' },
  openapi: { path: '/openapi.json' },
  metrics: { path: '/metrics' },
  status: { path: '/v1/status' },
  events: { path: '/v1/events', untilLines: 3 },
  logs: { path: '/v1/logs?lines=10&follow=true', untilLines: 3 },
  history: { path: '/v1/history' },
  scale: { path: '/v1/services/web/scale', body: { instances: 2 } },
  restart: { path: '/v1/services/web/restart' },
  drain: { path: '/v1/members/web%2Fweb-1/drain' },
  undrain: { path: '/v1/members/web-1/undrain' },
  reload: { path: '/v1/reload', body: { dryRun: true } },
  rollback: { path: '/v1/rollback', body: { number: 3 } },
  renew: { path: '/v1/certificates/renew', body: { host: 'shop.example' } },
  standDown: { path: '/v1/standdown', body: { reason: 'a new kernel' } },
  standUp: { path: '/v1/standup', body: {} },
  maintenanceOn: { path: '/v1/maintenance', body: { retryAfterSeconds: 60, allow: ['::1'] } },
  maintenanceOff: { path: '/v1/maintenance/off' },
  canaries: { path: '/v1/canaries' },
  canaryResume: { path: '/v1/canaries/resume', body: { route: '/*' } },
  canaryStop: { path: '/v1/canaries/stop', body: { route: '/*' } },
  stop: { path: '/v1/stop' },
  databaseSwitchover: { path: '/v1/databases/main/switchover', body: { to: 'main-2' } },
  databaseFailover: { path: '/v1/databases/main/failover', body: { lossy: true } },
  databaseRebuild: { path: '/v1/databases/main/rebuild', body: { server: 'main-2' } },
  databasePause: { path: '/v1/databases/main/pause', body: { reason: 'a disk' } },
  databaseResume: { path: '/v1/databases/main/resume' },
  databaseSettings: { path: '/v1/databases/main/settings' },
  databaseSlow: { path: '/v1/databases/main/slow' },
  databaseShards: { path: '/v1/databases/main/shards' },
  databaseHeat: { path: '/v1/databases/main/heat' },
  databasePartitions: { path: '/v1/databases/main/partitions' },
  databasePartitionsRoll: { path: '/v1/databases/main/partitions' },
  databaseConnection: { path: '/v1/databases/main/connection', body: { as: 'web' } },
  databaseVerify: { path: '/v1/databases/main/verify' },
  databaseDrift: { path: '/v1/databases/main/drift' },
  databaseDangling: { path: '/v1/databases/main/dangling' },
  databaseUnique: { path: '/v1/databases/main/unique' },
  databaseCopies: { path: '/v1/databases/main/copies' },
  databaseCopiesRebuild: { path: '/v1/databases/main/copies-rebuild', body: { copy: 'a' } },
  databaseAdvise: { path: '/v1/databases/main/advise' },
  databaseDirectory: { path: '/v1/databases/main/directory', body: { family: 'public.t' } },
  databaseDirectorySet: {
    path: '/v1/databases/main/directory-set',
    body: { family: 'public.t', key: '42', shard: '2' },
  },
  databaseReshard: { path: '/v1/databases/main/reshard', body: { intent: { kind: 'even' } } },
  databaseReshardWish: { path: '/v1/databases/main/reshard-wish', body: { wish: 'finish' } },
  databaseReshardView: { path: '/v1/databases/main/reshard' },
  databaseExport: { path: '/v1/databases/main/export', body: { to: '/tmp/export' } },
  databaseSplitColumns: {
    path: '/v1/databases/main/split-columns',
    body: { table: 'films', cold: ['plot'] },
  },
  databaseSplitColumnsWish: { path: '/v1/databases/main/split-columns-wish', body: { wish: 'undo' } },
  databaseSplitColumnsView: { path: '/v1/databases/main/split-columns' },
  databaseBackup: { path: '/v1/databases/main/backup' },
  databaseBackups: { path: '/v1/databases/main/backups' },
  databaseRestore: { path: '/v1/databases/main/restore', body: { to: 'latest', into: 'copy' } },
  databaseDrill: { path: '/v1/databases/main/drill' },
  purge: { path: '/v1/purge', body: { tags: ['half'] } },
  push: { path: '/v1/push', body: { urls: ['https://shop.example/'] } },
  cache: { path: '/v1/cache' },
  cacheLook: { path: '/v1/cache/look?url=https://shop.example/' },
  guard: { path: '/v1/guard' },
  guardExplain: { path: '/v1/guard/explain?id=a-1' },
  guardRule: { path: '/v1/guard/rulings', body: { kind: 'ban', block: '192.0.2.0/24', forMs: 1 } },
  guardUnban: { path: '/v1/guard/unban', body: { what: '192.0.2.0/24' } },
  guardAsk: { path: '/v1/guard/ask', body: { question: { kind: 'rooms' } } },
  sharedCache: { path: '/v1/caches/main?of=films' },
  sharedEntry: { path: '/v1/caches/main/entry?of=films&key=film%207' },
  sharedPurge: { path: '/v1/caches/main/purge', body: { of: 'films', keys: ['film 7'] } },
}

test('every route answers what its schema says, and the OpenAPI description has exactly these routes', async t => {
  const { server, tokens } = await started(t)
  const described = JSON.parse((await ask(server, '/openapi.json')).body) as {
    openapi: string
    paths: Record<string, Record<string, { operationId: string; responses: object }>>
  }
  assert.equal(described.openapi, '3.1.0')
  const operations = Object.values(described.paths).flatMap(path =>
    Object.values(path).map(entry => entry.operationId),
  )
  assert.deepEqual(operations.sort(), Object.keys(contract).sort())

  for (const [operation, route] of Object.entries(contract) as [Operation, (typeof contract)[Operation]][]) {
    const { path, body, untilLines } = examples[operation]
    const answer = await ask(server, path, {
      method: route.method.toUpperCase(),
      headers: { ...bearer(tokens.admin), ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(untilLines ? { untilLines } : {}),
    })
    const entry = described.paths[route.path]?.[route.method]
    assert.ok(entry, `${operation} is not described`)
    assert.ok(
      String(answer.status) in entry.responses,
      `${operation} answered ${answer.status}: ${answer.body}`,
    )
    if (route.answer.kind === 'text') assert.equal(answer.contentType, route.answer.contentType)
    else if (route.answer.kind === 'json') route.answer.schema.parse(JSON.parse(answer.body))
    else {
      const lines = answer.body.split('\n').filter(line => line !== '')
      assert.ok(lines.length > 0)
      for (const line of lines.slice(0, untilLines)) route.answer.schema.parse(JSON.parse(line))
    }
  }
})

test('a token may do what its scope includes and no more', async t => {
  const { server, tokens, directory } = await started(t)
  const list = JSON.parse(readFileSync(join(directory, 'tokens.json'), 'utf8')) as {
    tokens: { scope: 'read' | 'metrics'; token: string }[]
  }
  const tokenOf = (scope: string): string => list.tokens.find(entry => entry.scope === scope)?.token ?? ''
  const statusOf = async (method: string, path: string, headers: Record<string, string>): Promise<number> =>
    (await ask(server, path, { method, headers })).status

  assert.equal(await statusOf('GET', '/livez', {}), 200)
  assert.equal(await statusOf('GET', '/metrics', {}), 401)
  assert.equal(await statusOf('GET', '/metrics', bearer('tf_wrong')), 401)
  assert.equal(await statusOf('GET', '/metrics', { authorization: `Basic ${tokens.admin}` }), 401)
  assert.equal(await statusOf('GET', '/metrics', bearer(tokenOf('metrics'))), 200)
  assert.equal(await statusOf('GET', '/v1/status', bearer(tokenOf('metrics'))), 403)
  assert.equal(await statusOf('GET', '/v1/status', bearer(tokenOf('read'))), 200)
  assert.equal(await statusOf('GET', '/metrics', bearer(tokenOf('read'))), 200)
  assert.equal(await statusOf('POST', '/v1/stop', bearer(tokenOf('read'))), 403)
  assert.equal(await statusOf('POST', '/v1/stop', bearer(tokens.admin)), 202)
})

test('who is refused is told why', async t => {
  const { server, directory } = await started(t)
  const list = JSON.parse(readFileSync(join(directory, 'tokens.json'), 'utf8')) as {
    tokens: { scope: string; token: string }[]
  }
  const metricsToken = list.tokens.find(entry => entry.scope === 'metrics')?.token ?? ''
  const codeOf = async (headers: Record<string, string>): Promise<string> =>
    failureSchema.parse(JSON.parse((await ask(server, '/v1/status', { headers })).body)).error.code
  assert.equal(await codeOf({}), 'SYSTEM_UNAUTHORIZED')
  assert.equal(await codeOf(bearer(metricsToken)), 'SYSTEM_FORBIDDEN')
  assert.equal(await codeOf({ origin: 'http://evil.example' }), 'SYSTEM_FORBIDDEN')
  assert.equal(await codeOf({ host: 'evil.example' }), 'SYSTEM_HOST_REFUSED')
})

test('a token that is added to tokens.json works at once, and one that is removed no longer', async t => {
  const { server, directory } = await started(t)
  const token = 'tf_added_while_it_runs_0001'
  const file = join(directory, 'tokens.json')
  const statusNow = async (): Promise<number> =>
    (await ask(server, '/v1/status', { headers: bearer(token) })).status
  assert.equal(await statusNow(), 401)
  writeFileSync(file, JSON.stringify({ format: 1, tokens: [{ name: 'new', scope: 'read', token }] }))
  assert.equal(await statusNow(), 200)
  rmSync(file)
  assert.equal(await statusNow(), 401)
})

test('token files are readable by their owner only', async t => {
  const { directory } = await started(t)
  for (const name of ['token', 'tokens.json']) {
    assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600)
  }
})

test('requests for another host or from another origin are refused, also where no token is needed', async t => {
  const { server } = await started(t)
  const port = new URL(server.url).port
  const statusOf = async (headers: Record<string, string>): Promise<number> =>
    (await ask(server, '/livez', { headers })).status
  assert.equal(await statusOf({ host: 'evil.example' }), 421)
  assert.equal(await statusOf({ host: `evil.example:${port}` }), 421)
  assert.equal(await statusOf({ host: '127.0.0.1.evil.example' }), 421)
  assert.equal(await statusOf({ host: '10.0.0.1' }), 421)
  assert.equal(await statusOf({ host: `localhost:${port}` }), 200)
  assert.equal(await statusOf({ host: `[::1]:${port}` }), 200)
  assert.equal(await statusOf({ origin: 'http://evil.example' }), 403)
  assert.equal(await statusOf({ origin: 'null' }), 403)
  assert.equal(await statusOf({ origin: server.url }), 200)
})

test('failures are JSON with code, message and remedy', async t => {
  const { server, tokens } = await started(t, {
    status: async () => {
      throw new Error('expected by the test: secret detail')
    },
  })
  const headers = { ...bearer(tokens.admin), 'content-type': 'application/json' }
  const cases: [string, string, string | undefined, number, string][] = [
    ['GET', '/v1/nothing', undefined, 404, 'SYSTEM_NOT_FOUND'],
    ['POST', '/v1/services/no/scale', '{"instances":1}', 404, 'FLEET_SERVICE_UNKNOWN'],
    ['POST', '/v1/services/web/scale', '{"instances":-1}', 400, 'SYSTEM_REQUEST_INVALID'],
    ['POST', '/v1/services/web/scale', '{"instances":1,"extra":1}', 400, 'SYSTEM_REQUEST_INVALID'],
    ['POST', '/v1/services/web/scale', '{', 400, 'SYSTEM_REQUEST_INVALID'],
    ['POST', '/v1/services/web/scale', `{"x":"${'y'.repeat(70_000)}"}`, 413, 'SYSTEM_REQUEST_INVALID'],
    ['POST', '/v1/maintenance', '{"allow":["10.0.0.0/99"]}', 400, 'SYSTEM_REQUEST_INVALID'],
    ['POST', '/v1/maintenance', '{"retryAfterSeconds":0}', 400, 'SYSTEM_REQUEST_INVALID'],
    [
      'POST',
      '/v1/maintenance',
      '{"page":{"contentType":"x\\r\\nX: y","body":"z"}}',
      400,
      'SYSTEM_REQUEST_INVALID',
    ],
    ['POST', '/v1/canaries/resume', '{}', 400, 'SYSTEM_REQUEST_INVALID'],
    ['GET', '/v1/logs?lines=x', undefined, 400, 'SYSTEM_REQUEST_INVALID'],
    ['GET', '/v1/status', undefined, 500, 'SYSTEM_INTERNAL'],
  ]
  for (const [method, path, body, expected, code] of cases) {
    const answer = await ask(server, path, { method, headers, ...(body === undefined ? {} : { body }) })
    assert.equal(answer.status, expected, path)
    const { error } = failureSchema.parse(JSON.parse(answer.body))
    assert.equal(error.code, code)
    assert.doesNotMatch(answer.body, /secret detail/)
  }
})

test('the client gives back answers, progress and failures', async t => {
  const { server, tokens } = await started(t)
  const client = controlClient({ url: server.url, token: tokens.admin })
  assert.deepEqual(await client.status(), status)
  assert.match(await client.metrics(), /up 1/)
  const steps: string[] = []
  const done = await client.scale('web', 2, line => steps.push(line.text))
  assert.deepEqual(steps, ['web-2 starts'])
  assert.equal(done.text, 'web has 2 instances')
  assert.equal((await client.reload({ dryRun: true })).changes?.length, 1)
  assert.equal((await client.rollback(2)).text, 'back to 2')
  assert.equal((await client.renew('shop.example')).text, 'shop.example is new')
  assert.equal((await client.standDown('a disk')).text, 'stands down: a disk')
  assert.equal((await client.standUp()).text, 'serves')
  assert.equal((await client.maintenanceOn({ retryAfterSeconds: 60 })).text, 'for 60 s')
  assert.equal((await client.maintenanceOff()).text, 'over')
  assert.deepEqual((await client.canaries()).canaries, [canary])
  assert.equal((await client.canaryStop('/api/*')).state, 'stopped')
  assert.deepEqual(await client.canaryResume('/api/*'), { ...canary, route: '/api/*', state: 'running' })
  const moved: string[] = []
  assert.equal(
    (await client.databases.switchover('main', { to: 'main-2' }, line => moved.push(line.text))).text,
    'main-2 is the primary',
  )
  assert.deepEqual(moved, ['holding statements'])
  assert.equal((await client.databases.failover('main', { to: 'main-3', lossy: true })).text, 'main-3 true')
  assert.equal((await client.databases.rebuild('main', 'main-1')).text, 'main-1 is a replica again')
  assert.equal((await client.databases.pause('main')).text, 'paused: asked for by an operator')
  assert.equal((await client.databases.resume('main')).text, 'goes on')
  assert.equal((await client.databases.settings('main')).settings[0]?.value, '16MB')
  assert.equal((await client.databases.slow('main')).statements[0]?.calls, 9)
  assert.equal((await client.databases.shards('main')).shards[0]?.group, 'main-s1')
  const { groups } = await client.databases.partitions('main')
  assert.deepEqual(groups[0]?.tables[0]?.made, ['events_p2026_12'])
  assert.equal((await client.databases.rollPartitions('main')).text, 'main: rolled')
  assert.equal((await client.databases.copies('main')).copies[0]?.streams[0]?.lagBytes, 7)
  assert.equal((await client.databases.copiesRebuild('main', 'sales')).text, 'sales is filled again')
  const advised = await client.databases.advise('main', { verify: false })
  assert.deepEqual(
    [advised.indexes[0]?.untried, advised.indexes[0]?.statements[0]?.totalMs],
    ['it was not asked for', 10],
  )
  const { heat } = await client.databases.heat('main')
  assert.deepEqual(heat.families['public.orders']?.keys[0]?.key, ['42'])
  assert.equal((await client.databases.connection('main', { as: 'web' })).user, 'svc_web')
  assert.equal((await client.databases.connection('main', { server: 'primary' })).through, 'primary')
  assert.deepEqual((await client.databases.verify('main')).findings, ['films: rows 1 to 9 differ on main-2'])
  assert.deepEqual((await client.databases.drift('main')).findings, ['index public.a: shard 1: not there'])
  assert.equal((await client.databases.dangling('main')).text, 'all are there')
  assert.equal((await client.databases.unique('main', false)).text, 'kept')
  assert.equal((await client.databases.unique('main', true)).text, 'compared')
  const intent = { kind: 'isolate', family: 'orders', key: ['42'], into: '3' }
  assert.equal(
    (await client.databases.reshard('main', { intent, dryRun: true })).text,
    `main ${JSON.stringify(intent)} true false`,
  )
  const listed = await client.databases.directory('main', { family: 'public.t', after: 'a' })
  assert.deepEqual(listed.keys, [{ key: 'null a 1000', shard: '2' }])
  const set = { family: 'public.t', key: '42', shard: '2' }
  assert.equal((await client.databases.directorySet('main', set)).text, 'public.t 42 2')
  assert.equal((await client.databases.reshardWish('main', 'rollBack')).text, 'rollBack')
  assert.deepEqual(await client.databases.reshardView('main'), { database: 'main', current: null })
  assert.equal((await client.databases.export('main', { to: '/tmp/out' })).text, '/tmp/out csv')
  assert.equal((await client.databases.backup('main')).text, 'done')
  assert.equal((await client.databases.backups('main')).backups[0]?.id, 'base-1')
  assert.equal((await client.databases.restore('main', { to: 'latest' })).text, 'latest null')
  assert.equal((await client.databases.drill('main')).text, 'restored')
  await assert.rejects(client.databases.switchover('other'), { code: 'SYSTEM_DATABASE_UNKNOWN' })
  await assert.rejects(client.scale('no', 1), { code: 'FLEET_SERVICE_UNKNOWN' })
  await assert.rejects(client.restart('web'), {
    code: 'SYSTEM_START_FAILED',
    message: /did not become ready/,
  })
  const lines: LogLine[] = []
  const stop = new AbortController()
  await client.logs({ follow: true, signal: stop.signal }, line => {
    lines.push(line)
    if (lines.length === 3) stop.abort()
  })
  assert.deepEqual(
    lines.slice(0, 3).map(line => line.text),
    ['hello', 'tick', 'tick'],
  )
})

test('a stream ends for the client without a failure when the system stops', async t => {
  const { server, tokens } = await started(t)
  const client = controlClient({ url: server.url, token: tokens.admin })
  let seen = 0
  const followed = client.events({}, () => {
    seen += 1
    if (seen === 2) void server.close()
  })
  await followed
  assert.ok(seen >= 2)
  await assert.rejects(client.status(), { code: 'SYSTEM_CONTROL_UNREACHABLE' })
})

test('a follower that leaves is forgotten', async t => {
  let following = 0
  const { server, tokens } = await started(t, {
    followEvents: onEvent => {
      following += 1
      const timer = setInterval(() => onEvent(status.decisions[0] as SystemEvent), 1)
      return () => {
        following -= 1
        clearInterval(timer)
      }
    },
  })
  await ask(server, '/v1/events', { headers: bearer(tokens.admin), untilLines: 2 })
  for (let tries = 0; following > 0 && tries < 1_000; tries += 1) {
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  assert.equal(following, 0)
})

test('a taken control port is one sentence with a remedy', async t => {
  const holder = createServer()
  await new Promise<void>(resolve => holder.listen(0, '127.0.0.1', resolve))
  t.after(() => holder.close())
  const { port } = holder.address() as { port: number }
  await assert.rejects(
    startControlServer({
      host: '127.0.0.1',
      port,
      version: '0',
      tokens: { scopeOf: unused },
      handlers: handlers(),
      onFault: unused,
    }),
    { code: 'SYSTEM_PORT_TAKEN', message: new RegExp(`127\\.0\\.0\\.1:${port} is taken`) },
  )
})

test('caches: purges and pushes need admin, looks only read; a purge that reached only some answers 207', async t => {
  const { server, tokens, directory } = await started(t)
  const { tokens: list } = JSON.parse(readFileSync(join(directory, 'tokens.json'), 'utf8')) as {
    tokens: { scope: string; token: string }[]
  }
  const reader = list.find(entry => entry.scope === 'read')?.token ?? ''
  const asked = async (method: string, path: string, token: string, body?: object): Promise<number> =>
    (
      await ask(server, path, {
        method,
        headers: { ...bearer(token), 'content-type': 'application/json' },
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
    ).status
  const tag = { tags: ['film:7'] }
  assert.equal(await asked('POST', '/v1/purge', reader, tag), 403)
  assert.equal(await asked('POST', '/v1/push', reader, { urls: ['https://shop.example/'] }), 403)
  assert.equal(await asked('GET', '/v1/cache', reader), 200)
  assert.equal(await asked('POST', '/v1/purge', tokens.admin, tag), 200)
  assert.equal(await asked('POST', '/v1/purge', tokens.admin, { tags: ['half'] }), 207)
  assert.equal(await asked('POST', '/v1/purge', tokens.admin, { tags: ['two words'] }), 400)
  assert.equal(await asked('POST', '/v1/push', tokens.admin, { urls: ['/films'] }), 400)
})

test('a pushed body may be larger than other bodies, and only there', async t => {
  const { server, tokens } = await started(t)
  const client = controlClient({ url: server.url, token: tokens.admin })
  const base64 = Buffer.alloc(2 * 1024 * 1024, 'x').toString('base64')
  const body = { base64, contentType: 'text/plain', ttlMs: 1000 }
  const view = await client.caches.push({ urls: ['https://shop.example/'], body })
  assert.equal(view.results[0]?.bytes, 2 * 1024 * 1024)
  await assert.rejects(client.caches.purge({ tags: Array.from({ length: 200 }, () => 'x'.repeat(1000)) }), {
    code: 'SYSTEM_REQUEST_INVALID',
  })
  assert.deepEqual(await client.caches.look('https://shop.example/films?page=2'), {
    ...(await cacheHandlers.look('https://shop.example/films?page=2')),
  })
})
