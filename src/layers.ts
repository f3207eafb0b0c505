// The layer table: who may import whom, and what. `tidy.test.ts` holds it against every module, and ARCHITECTURE.md shows
// the same table. A new folder under src/ needs a row here first.

export interface Layer {
  /** Folder under src/, or a file in it. */
  readonly name: string
  readonly owns: string
  /** Other layers it may import; itself always. */
  readonly imports: readonly string[]
  /** Where only some modules of a layer may be imported: paths under src/. */
  readonly only?: readonly string[]
  /** No clock, randomness, timers, environment, node:*, async: only values in and values out. */
  readonly pure: boolean
  /** Modules of Node that it may import, without `node:`. */
  readonly builtins: readonly string[]
  /** npm packages that it may import. */
  readonly packages: readonly string[]
}

/** What sockets, files, processes and threads are made of: `io` alone imports these without a word of why. */
const worldly: readonly string[] = [
  'child_process',
  'dgram',
  'dns',
  'fs',
  'fs/promises',
  'http',
  'http2',
  'https',
  'module',
  'net',
  'tls',
  'worker_threads',
  'zlib',
]
const harmless: readonly string[] = [
  'crypto',
  'events',
  'os',
  'path',
  'stream',
  'timers/promises',
  'url',
  'util',
]
const decided: readonly string[] = ['kit', 'wire', 'policy', 'file', 'io']

export const layers: readonly Layer[] = [
  {
    name: 'kit',
    owns: 'clock, random, cells, histograms, metrics, queues, failures',
    imports: [],
    pure: false,
    builtins: [],
    packages: [],
  },
  {
    name: 'wire',
    owns: 'bytes to messages and back; no sockets',
    imports: ['kit'],
    pure: true,
    builtins: [],
    packages: [],
  },
  {
    name: 'policy',
    owns: 'every decision, as a function of values',
    imports: ['kit'],
    pure: true,
    builtins: [],
    packages: [],
  },
  {
    name: 'file',
    owns: 'the system file: schemas, checks, differences',
    imports: ['kit', 'policy'],
    pure: true,
    builtins: [],
    packages: ['zod'],
  },
  {
    name: 'io',
    owns: 'sockets, files, processes, threads, names',
    imports: ['kit'],
    pure: false,
    builtins: [...worldly, ...harmless],
    packages: ['redis'],
  },
  {
    name: 'edge',
    owns: 'the front door: connections, exchanges, upstream pools',
    imports: decided,
    pure: false,
    builtins: harmless,
    packages: [],
  },
  {
    name: 'database',
    owns: 'PostgreSQL: servers, failover, the router, pools, fresh reads, backups',
    imports: decided,
    pure: false,
    builtins: harmless,
    packages: ['pg', 'libpg-query', 'pgsql-deparser', 'saslprep'],
  },
  {
    name: 'guard',
    owns: 'who may pass: identity, limits, attacks, bots, challenges, waiting rooms, quotas',
    imports: decided,
    pure: false,
    builtins: harmless,
    packages: ['altcha-lib', 'jose', 'mmdb-lib', 'openid-client'],
  },
  {
    name: 'fleet',
    owns: 'instances of services: start, watch, roll, scale',
    imports: decided,
    pure: false,
    builtins: harmless,
    packages: [],
  },
  {
    name: 'sim',
    owns: 'the same policies in virtual time: engine, models, rehearsals, reports',
    imports: ['kit', 'policy', 'file'],
    pure: true,
    builtins: [],
    packages: [],
  },
  {
    name: 'plan',
    owns: 'estimates from the file: formulas, quantities with their sources, limits, costs',
    imports: ['kit', 'policy', 'file'],
    pure: true,
    builtins: [],
    packages: [],
  },
  {
    name: 'app',
    owns: "libraries for inside a user's own services: cache, sessions, who is asking",
    imports: ['kit', 'wire', 'policy', 'io'],
    pure: false,
    builtins: [...harmless, 'v8'],
    packages: ['redis'],
  },
  {
    name: 'system',
    owns: 'the composition root: checked system to running parts, control API',
    imports: [...decided, 'edge', 'guard', 'database', 'fleet', 'app', 'index.ts'],
    pure: false,
    builtins: [...harmless, 'fs', 'fs/promises', 'http', 'net', 'readline'],
    packages: [
      'zod',
      'hono',
      '@hono/node-server',
      'pino',
      '@peculiar/x509',
      'reflect-metadata',
      'acme-client',
    ],
  },
  {
    name: 'cli',
    owns: 'the command line',
    imports: ['kit', 'file', 'plan', 'sim', 'system', 'io', 'edge', 'database'],
    only: [
      'plan/index.ts',
      'sim/index.ts',
      'system/index.ts',
      'system/control/client.ts',
      'system/control/connect.ts',
      'system/control/contract.ts',
      'edge/index.ts',
      'database/index.ts',
    ],
    pure: false,
    builtins: [...harmless, 'fs', 'fs/promises', 'http', 'readline', 'tty'],
    packages: ['commander', 'yaml'],
  },
  {
    name: 'index.ts',
    owns: "what a user's file imports",
    imports: ['file'],
    pure: true,
    builtins: [],
    packages: [],
  },
]

/** Where reachable code begins. The Bun driver is the seam's second one: its contract test runs it, no program does yet. */
export const entries: readonly string[] = [
  'index.ts',
  'cli/main.ts',
  'app/index.ts',
  'app/cache/index.ts',
  'app/cache/shared/index.ts',
  'app/sessions/index.ts',
  'app/guard/index.ts',
  'io/net-bun.ts',
]

/** The table as ARCHITECTURE.md shows it. */
export function layerTable(): string {
  const rows = layers.map(layer => {
    const imports = layer.imports.length > 0 ? layer.imports.join(', ') : 'nothing of ours'
    return `| \`${layer.name}\` | ${layer.owns} | ${imports} | ${layer.pure ? 'pure' : ''} |`
  })
  return ['| layer | owns | may import | |', '|---|---|---|---|', ...rows].join('\n')
}
