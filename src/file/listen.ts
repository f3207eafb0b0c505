// The keys that say where the edge listens: `listen` (HTTP, HTTPS), `tcp`, `udp`, `health`. It gives listeners with their
// ids; whether two of them want one port, and whether their services exist, is checked in cross-checks.ts.

import type { CheckedListen, CheckedListener } from './checked.ts'
import { cidrBlocks, listenAt } from './network.ts'
import { defined, either, into, listOf, strict } from './shapes.ts'
import { choice, duration, flag, leaf, off, Refused, type Schema, text, whole } from './values.ts'

const placesMax = 16
const streamsMax = 100

const proxyProtocol: Schema<readonly string[]> = into(
  listOf(
    'Balancers in front of this edge: who connects from there must begin with a PROXY header (v1 or v2); from elsewhere none is taken.',
    cidrBlocks('A block of addresses.'),
    100,
    1,
  ),
  blocks => [...new Set(blocks.flat())],
)

const http2 = flag('`false`: no HTTP/2 here, neither by ALPN nor by prior knowledge.').prefault(true)

/** `true`: to the port of the first HTTPS listener. A number: to that port (it may be mapped on the way). */
export type Redirect = boolean | number

export const redirectToHttps: Schema<Redirect> = leaf({
  about:
    'Sends plain requests to https (308; ACME challenges excepted). A port: the one that clients see, where it is not the one that is listened on. Left out: true on every place for HTTP where `edge.tls` has `certificates` or `acme` and something listens with TLS, else false.',
  allowed: 'a port from 1 to 65535, true or false',
  json: { anyOf: [{ type: 'boolean' }, { type: 'integer', minimum: 1, maximum: 65_535 }] },
  parse: value => {
    if (typeof value === 'boolean') return value
    return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535
      ? (value as number)
      : undefined
  },
})

/** One place before ids and redirects are known. */
interface HttpPlace {
  readonly at: CheckedListen
  readonly proxyProtocol?: readonly string[] | undefined
  readonly redirectToHttps?: Redirect | undefined
  readonly http2: boolean
}

const httpAt = listenAt(
  'Where to accept HTTP: a port on all addresses, or `host:port`. 0 = any free port.',
  '0.0.0.0',
)
const httpsAt = listenAt(
  'Where to accept HTTPS: a port on all addresses, or `host:port`. 0 = any free port.',
  '0.0.0.0',
)

const onePlace = (at: CheckedListen): readonly HttpPlace[] => [{ at, http2: true }]

const httpPlace: Schema<HttpPlace> = strict(
  {
    at: httpAt,
    proxyProtocol: proxyProtocol.optional(),
    redirectToHttps: redirectToHttps.optional(),
    http2,
  },
  { about: 'A place with what is special there.', elsewhere: elsewhereAt() },
)
const httpsPlace: Schema<HttpPlace> = strict(
  { at: httpsAt, proxyProtocol: proxyProtocol.optional(), http2 },
  { about: 'A place with what is special there.', elsewhere: elsewhereAt() },
)

function elsewhereAt(): Readonly<Record<string, string>> {
  return {
    port: "Write at: PORT, or at: 'host:port'.",
    host: "Write at: 'host:port'.",
    listen: "Did you mean 'at'?",
    tls: "Listen on 'https', and put certificates into edge.tls.",
  }
}

function places(
  about: string,
  at: Schema<CheckedListen>,
  place: Schema<HttpPlace>,
): Schema<readonly HttpPlace[]> {
  const one = either(
    'A place.',
    into(at, onePlace),
    into(place, made => [made] as readonly HttpPlace[]),
  )
  return either(
    about,
    one,
    into(listOf('Several places.', one, placesMax, 1), many => many.flat()),
  )
}

/** What `edge.listen` gives: made into listeners by `httpListeners`, once the rest of `edge` is known. */
export interface ParsedListen {
  readonly http: readonly HttpPlace[]
  readonly https: readonly HttpPlace[]
}

const nowhere: readonly HttpPlace[] = []

export const listen: Schema<ParsedListen> = into(
  strict(
    {
      http: either(
        'HTTP: one place, or several. `false`: none.',
        into(off('Nowhere.'), () => nowhere),
        places('One place, or several.', httpAt, httpPlace),
      ).prefault(8080),
      https: either(
        'HTTPS, with the certificates of `edge.tls`: one place, or several. Left out: none.',
        into(off('Nowhere.'), () => nowhere),
        places('One place, or several.', httpsAt, httpsPlace),
      ).prefault(false),
    },
    {
      about: 'Where clients connect.',
      later: ['http3'],
      elsewhere: {
        tcp: "'tcp' is a key of 'edge'.",
        udp: "'udp' is a key of 'edge'.",
        port: 'Write http: 8080, or https: 8443.',
        quic: 'HTTP/3 is not available in this version of Tenfold.',
      },
    },
  ),
  ({ http, https }) => twice([...http, ...https]) ?? { http, https },
)

function twice(all: readonly HttpPlace[]): Refused | undefined {
  const fixed = all.filter(({ at }) => at.port !== 0).map(({ at }) => `${at.host}:${at.port}`)
  const place = fixed.find((one, index) => fixed.indexOf(one) !== index)
  return place === undefined ? undefined : new Refused(`names ${place} twice`, 'Keep one of them.')
}

/** The default of `redirectToHttps`: only where browsers will believe the certificate. */
export function httpListeners(
  { http, https }: ParsedListen,
  redirect: Redirect | undefined,
  certified: boolean,
): readonly CheckedListener[] | Refused {
  const wanted = http.map(one => one.redirectToHttps ?? redirect ?? (certified && https.length > 0))
  if (https.length === 0 && wanted.some(one => one === true))
    return new Refused(
      'redirects to https, but nothing listens there',
      'Add https: 8443 to edge.listen, or write the port that clients see: redirectToHttps: 443.',
    )
  const httpsPort = https[0]?.at.port ?? 0
  return [
    ...http.map((one, index): CheckedListener => {
      const to = wanted[index]
      const port = to === true ? httpsPort : to === false ? undefined : to
      return { ...httpListener('http', one, index), redirectToHttps: port } as CheckedListener
    }),
    ...https.map(
      (one, index): CheckedListener =>
        ({ ...httpListener('https', one, index), tls: true }) as CheckedListener,
    ),
  ].map(one => defined(one) as CheckedListener)
}

function httpListener(word: string, one: HttpPlace, index: number): object {
  return {
    id: index === 0 ? word : `${word}-${index + 1}`,
    kind: 'http',
    ...one.at,
    proxyProtocol: one.proxyProtocol,
    http2: one.http2 ? undefined : false,
  }
}

const streamAt = (what: string): Schema<CheckedListen> =>
  listenAt(
    `Where to accept ${what}: a port on all addresses, or \`host:port\`. 0 = any free port.`,
    '0.0.0.0',
  )
const listenerName = text(
  'Its name in status, metrics and logs. Left out: by its port.',
  'a name of small letters, digits and -',
  {
    pattern: /^[a-z][a-z0-9-]*$/,
    lengthMax: 40,
  },
).optional()
const target = text('Name of the service that answers.', 'the name of a service', { lengthMax: 40 })

/** A listener of tcp or udp whose id is given when all of them are known. */
export type UnnamedListener = Exclude<CheckedListener, { kind: 'http' }> & { readonly name?: string }

const tcpListener: Schema<UnnamedListener> = into(
  strict(
    {
      name: listenerName,
      listen: streamAt('connections'),
      to: target,
      tls: flag('Ends TLS here, with the certificates of `edge.tls`.').prefault(false),
      proxyProtocol: proxyProtocol.optional(),
      sendProxy: choice('Tells members about the client by a PROXY header of this version.', [
        'v1',
        'v2',
      ]).optional(),
      idleTimeout: duration(
        'A connection that is silent in both directions for this long is ended.',
        '100ms',
        '30d',
      ).prefault('10m'),
    },
    {
      about: 'One port whose connections go to a service as they are, whatever they speak.',
      elsewhere: {
        port: "Did you mean 'listen'?",
        upstream: "Did you mean 'to'?",
        service: "Did you mean 'to'?",
        guard:
          'A guard reads HTTP, and these are bytes; guard.ban and guard.connectionsPerAddress hold here too.',
      },
    },
  ),
  keys =>
    defined({
      kind: 'tcp' as const,
      name: keys.name,
      id: '',
      ...keys.listen,
      proxyProtocol: keys.proxyProtocol,
      upstream: keys.to,
      tls: keys.tls ? (true as const) : undefined,
      sendProxy: keys.sendProxy,
      idleTimeoutMs: keys.idleTimeout,
    }) as UnnamedListener,
)

const udpListener: Schema<UnnamedListener> = into(
  strict(
    {
      name: listenerName,
      listen: streamAt('datagrams'),
      to: target,
      sessionTimeout: duration(
        'A client (address and port) keeps its member until it is silent for this long.',
        '100ms',
        '24h',
      ).prefault('30s'),
      sessions: whole(
        'Clients at once, for each worker thread; datagrams of further ones are dropped and counted.',
        1,
        1_000_000,
      ).prefault(10_000),
    },
    {
      about: 'One port whose datagrams go to a service.',
      elsewhere: {
        port: "Did you mean 'listen'?",
        upstream: "Did you mean 'to'?",
        service: "Did you mean 'to'?",
        guard:
          'A guard reads HTTP, and these are bytes; guard.ban and guard.connectionsPerAddress hold here too.',
      },
    },
  ),
  keys =>
    defined({
      kind: 'udp' as const,
      name: keys.name,
      id: '',
      ...keys.listen,
      upstream: keys.to,
      sessionTimeoutMs: keys.sessionTimeout,
      sessionsMax: keys.sessions,
    }) as UnnamedListener,
)

export const tcp: Schema<readonly UnnamedListener[]> = listOf(
  'Layer 4: connections that go to a service as they are.',
  tcpListener,
  streamsMax,
)
export const udp: Schema<readonly UnnamedListener[]> = listOf(
  'Layer 4: datagrams that go to a service.',
  udpListener,
  streamsMax,
)

const healthAt = listenAt(
  'Where to listen: a port on loopback, or `host:port`. 0 = any free port.',
  '127.0.0.1',
)
const healthListener = (at: CheckedListen, path: string): CheckedListener => ({
  id: 'health',
  kind: 'health',
  ...at,
  path,
})

export const health: Schema<CheckedListener> = either(
  'Says 200 while this edge should get traffic, and 503 with the reason when not: for keepalived, or a balancer in front. Left out: none.',
  into(healthAt, at => healthListener(at, '/health')),
  into(
    strict(
      {
        listen: healthAt,
        path: text('The only path that is answered.', 'a path that begins with /', {
          pattern: /^\/[!-~]*$/,
        }).prefault('/health'),
      },
      { about: 'A place and a path.' },
    ),
    keys => healthListener(keys.listen, keys.path),
  ),
)

/** Ids that stay when other listeners come and go; names that people gave must differ. */
export function withListenerIds(
  listeners: readonly UnnamedListener[],
  others: readonly CheckedListener[],
): readonly CheckedListener[] | Refused {
  const taken = new Set(['health', ...others.map(one => one.id)])
  const names = listeners.flatMap(one => one.name ?? [])
  const same = names.find((name, index) => names.indexOf(name) !== index || taken.has(name))
  if (same !== undefined)
    return new Refused(`has two listeners of the name '${same}'`, 'Give each its own name.')
  for (const name of names) taken.add(name)
  return listeners.map(({ name, ...one }) => {
    const id = name ?? freeId(`${one.kind}-${one.port === 0 ? 'any' : one.port}`, taken)
    taken.add(id)
    return { ...one, id } as CheckedListener
  })
}

function freeId(id: string, taken: ReadonlySet<string>): string {
  if (!taken.has(id)) return id
  for (let number = 2; ; number++) if (!taken.has(`${id}-${number}`)) return `${id}-${number}`
}
