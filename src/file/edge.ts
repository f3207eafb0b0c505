// The keys of `edge`: listeners, workers, trust, limits, access log. Its routes are in routes.ts.

import type { CheckedEdge, CheckedLimits, CheckedListen, CheckedListener, CheckedRoute } from './checked.ts'
import { cidrBlocks, listenAt } from './network.ts'
import { route } from './routes.ts'
import { either, into, listOf, strict } from './shapes.ts'
import { choice, duration, flag, Refused, type Schema, size, text, whole } from './values.ts'

const httpListen = listenAt(
  'Where to accept HTTP: a port on all addresses, or `host:port`. 0 = any free port.',
  '0.0.0.0',
)

const listen: Schema<readonly CheckedListener[]> = into(
  strict(
    {
      http: either(
        'One place, or several.',
        into(httpListen, at => [at] as readonly CheckedListen[]),
        listOf('Several places.', httpListen, 16, 1),
      ).prefault(8080),
    },
    { about: 'Where clients connect.', later: ['https', 'http3'] },
  ),
  ({ http }) => {
    const fixed = http.filter(at => at.port !== 0).map(at => `${at.host}:${at.port}`)
    const twice = fixed.find((place, index) => fixed.indexOf(place) !== index)
    return twice
      ? new Refused(`names ${twice} twice`, 'Keep one of them.')
      : http.map((at, index) => ({
          id: index === 0 ? 'http' : `http-${index + 1}`,
          kind: 'http' as const,
          ...at,
        }))
  },
)

const limits: Schema<Omit<CheckedLimits, 'drainTimeoutMs'>> = into(
  strict(
    {
      requestLine: size('Longest request line; longer ones get 414.', '256B', '64KB').prefault('8KB'),
      headers: size('All header lines of a request together; larger ones get 431.', '1KB', '1MB').prefault(
        '32KB',
      ),
      headerCount: whole('Header lines of a request; more get 431.', 10, 1000).prefault(100),
      body: size(
        'Largest request body; larger ones get 413. A route can say otherwise by `bodyMax`.',
        '0B',
        '1024GB',
      ).prefault('16MB'),
      headTimeout: duration(
        'From the first byte of a request to the end of its head; slower ones get 408.',
        '100ms',
        '10m',
      ).prefault('10s'),
      idleTimeout: duration(
        'How long a keep-alive connection may wait for its next request.',
        '100ms',
        '1h',
      ).prefault('1m'),
      bodyTimeout: duration('Between two reads of a request body.', '100ms', '1h').prefault('30s'),
      sendTimeout: duration('How long a client may take nothing of a response.', '100ms', '1h').prefault(
        '30s',
      ),
      connections: whole('Client connections at once; further ones are closed.', 1, 1_000_000).prefault(
        20_000,
      ),
      requestsPerConnection: whole(
        'Requests on one client connection before it is closed politely.',
        1,
        1_000_000_000,
      ).prefault(10_000),
    },
    { about: 'What one client may ask for.' },
  ),
  keys => ({
    requestLineBytesMax: keys.requestLine,
    headerBytesMax: keys.headers,
    headerCountMax: keys.headerCount,
    bodyBytesMax: keys.body,
    headTimeoutMs: keys.headTimeout,
    idleTimeoutMs: keys.idleTimeout,
    bodyTimeoutMs: keys.bodyTimeout,
    sendTimeoutMs: keys.sendTimeout,
    connectionsMax: keys.connections,
    requestsPerConnectionMax: keys.requestsPerConnection,
  }),
)

const accessLog: Schema<CheckedEdge['accessLog']> = either(
  'JSON lines, one a request: `true` = `logs/access.log` in the state directory, or a file. `false`: none.',
  into(flag('On or off.'), on => (on ? { file: null } : null) as CheckedEdge['accessLog']),
  into(
    text("A file, relative to the system file's folder.", 'a path', { lengthMax: 4096 }),
    file => ({ file }) as CheckedEdge['accessLog'],
  ),
)

/** `edge` before the routes of a file without any are filled in. */
export type ParsedEdge = Omit<CheckedEdge, 'routes'> & {
  readonly routes: readonly CheckedRoute[] | undefined
}

export const edge: Schema<ParsedEdge> = into(
  strict(
    {
      listen: listen.prefault({}),
      workers: either(
        "Worker threads: `'cores'` = one for each core, or a number.",
        choice('One for each core.', ['cores']),
        whole('Worker threads.', 1, 256),
      ).prefault('cores') as Schema<'cores' | number>,
      trustedProxies: listOf(
        'Whose `X-Forwarded-*`, `Forwarded`, `X-Request-Id` and `traceparent` are believed.',
        cidrBlocks('A block of addresses.'),
        1000,
      ).prefault([]),
      forwarded: choice('Which headers tell instances about the client.', [
        'x-forwarded',
        'forwarded',
        'both',
        'none',
      ]).prefault('x-forwarded'),
      limits: limits.prefault({}),
      accessLog: accessLog.prefault(false),
      drainTimeout: duration(
        'How long requests in flight may go on after a stop began.',
        '0ms',
        '24h',
      ).prefault('30s'),
      routes: listOf(
        'What goes where. Left out: everything goes to the only service.',
        route,
        2000,
        1,
      ).optional(),
    },
    { about: 'The front door.', later: ['tls', 'tcp'] },
  ),
  keys => ({
    listeners: keys.listen,
    workers: keys.workers,
    trustedProxies: [...new Set(keys.trustedProxies.flat())],
    forwarded: keys.forwarded,
    limits: { ...keys.limits, drainTimeoutMs: keys.drainTimeout },
    accessLog: keys.accessLog,
    routes: keys.routes,
  }),
)
