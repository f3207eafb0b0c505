// The root of the system file's schema, and its environments. Its parts are in edge.ts, routes.ts, services.ts,
// upstream.ts and databases.ts.

import { caches } from './caches.ts'
import type { CheckedListen } from './checked.ts'
import type { CheckedCache } from './checked-caches.ts'
import type { CheckedGuard } from './checked-guard.ts'
import { databases, type UnnamedDatabase } from './databases.ts'
import { edge, type ParsedEdge } from './edge.ts'
import { guard } from './guard.ts'
import { listenAt } from './network.ts'
import { type ParsedRehearsal, rehearsals } from './rehearsals.ts'
import { services, type UnnamedService } from './services.ts'
import { into, mapOf, strict } from './shapes.ts'
import { leaf, type Schema, text } from './values.ts'
import { type ParsedWorkload, workload } from './workload.ts'

/** A system whose services have no names yet and whose routes may be missing: check.ts completes it. */
export interface ParsedSystem {
  readonly name: string
  readonly control: CheckedListen
  readonly edge: ParsedEdge
  readonly services: Readonly<Record<string, UnnamedService>>
  readonly databases: Readonly<Record<string, UnnamedDatabase>>
  readonly caches: Readonly<Record<string, Omit<CheckedCache, 'name'>>>
  readonly guard?: CheckedGuard
  readonly workload?: ParsedWorkload
  readonly rehearsals: Readonly<Record<string, ParsedRehearsal>>
}

const overrides = leaf<object>({
  about:
    'What is different there: any part of the system file. Objects are merged key by key, lists replaced, and `null` takes a key away.',
  allowed: 'an object with keys of the system file',
  json: { type: 'object' },
  type: 'Overrides<SystemInput>',
  parse: value => (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined),
})

/** Parts of DESIGN that later versions bring. */
const laterKeys = ['queues', 'buckets']

export const systemSchema: Schema<ParsedSystem> = into(
  strict(
    {
      $schema: text('For editors: where the JSON Schema of this file is.', 'a URL or path').optional(),
      name: text(
        'The system: names it in status, `Via` and error pages.',
        'a name of small letters, digits and -, that begins with a letter',
        {
          pattern: /^[a-z](?:[a-z0-9-]*[a-z0-9])?$/,
          lengthMax: 40,
        },
      ),
      control: strict(
        {
          listen: listenAt(
            'Where the control API listens: a port on loopback, or `host:port`. 0 = any free port.',
            '127.0.0.1',
          ).prefault(9900),
        },
        { about: 'The control API: what `tenfold status` and the other commands talk to.' },
      ).prefault({}),
      edge: edge.prefault({}),
      services: services.prefault({}),
      databases: databases.prefault({}),
      caches: caches.prefault({}),
      guard: guard.optional(),
      workload: workload.optional(),
      rehearsals: rehearsals.prefault({}),
      environments: mapOf(overrides, {
        about: 'Overrides chosen by `--env NAME` or `TENFOLD_ENV`.',
        names: "names such as 'production': small letters, digits and -",
        pattern: /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
        entriesMax: 50,
      }).optional(),
    },
    {
      about:
        'A whole system: its front door, its services, databases, caches and guard, and what it is planned and rehearsed for.',
      later: laterKeys,
      elsewhere: {
        routes: "'routes' is a key of 'edge'.",
        listen: "'listen' is a key of 'edge' and of 'control'.",
        tls: "'tls' is a key of 'edge', and of services.",
        tcp: "'tcp' is a key of 'edge'.",
        udp: "'udp' is a key of 'edge'.",
        upstreams: "Did you mean 'services'?",
        database: "Did you mean 'databases'?",
        postgres: 'Write databases: { main: {} }.',
        cache: "Did you mean 'caches'? The edge's is a key of 'edge', and of routes.",
        waf: "Write guard: { policies: { NAME: { waf: 'block' } } }, and guard: 'NAME' in a route.",
        rateLimit: "Write guard: { policies: { NAME: { limit: '5/min' } } }, and guard: 'NAME' in a route.",
        policies: "'policies' is a key of 'guard'.",
        rooms: "'rooms' is a key of 'guard'.",
        redis: "Write caches: { main: { redis: 'redis://...' } }.",
      },
    },
  ),
  keys => ({
    name: keys.name,
    control: keys.control.listen,
    edge: keys.edge,
    services: keys.services,
    databases: keys.databases,
    caches: keys.caches,
    ...(keys.guard === undefined ? {} : { guard: keys.guard }),
    ...(keys.workload === undefined ? {} : { workload: keys.workload }),
    rehearsals: keys.rehearsals,
  }),
)
