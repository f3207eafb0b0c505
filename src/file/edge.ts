// The keys of `edge`: listeners, workers, trust, limits, access log. Its routes are in routes.ts.

import type { CheckedEdge, CheckedLimits, CheckedListener, CheckedRoute, CheckedTls } from './checked.ts'
import { edgeCache, region } from './edge-cache.ts'
import {
  health,
  httpListeners,
  listen,
  redirectToHttps,
  tcp,
  type UnnamedListener,
  udp,
  withListenerIds,
} from './listen.ts'
import { cidrBlocks } from './network.ts'
import { accessLog, type ParsedTracing, serverTiming, slowLog, tracing } from './observe.ts'
import { errorPages, maintenance } from './pages.ts'
import { route } from './routes.ts'
import { defined, either, into, listOf, strict } from './shapes.ts'
import { tls } from './tls.ts'
import { choice, duration, Refused, type Schema, size, whole } from './values.ts'

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
      http2Streams: whole('Requests at once on one HTTP/2 connection.', 1, 10_000).prefault(128),
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
    http2StreamsMax: keys.http2Streams,
  }),
)

/** `edge` before the routes of a file without any are filled in, and what has the system's name by default. */
export type ParsedEdge = Omit<CheckedEdge, 'routes' | 'tracing'> & {
  readonly routes: readonly CheckedRoute[] | undefined
  readonly tracing?: ParsedTracing
}

const edgeKeys = {
  listen: listen.prefault({}),
  redirectToHttps: redirectToHttps.optional(),
  tls: tls.optional(),
  tcp: tcp.optional(),
  udp: udp.optional(),
  health: health.optional(),
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
  slowLog: slowLog.optional(),
  tracing: tracing.optional(),
  serverTiming: serverTiming.optional(),
  errorPages: errorPages.optional(),
  maintenance: maintenance.optional(),
  cache: edgeCache.optional(),
  region: region.optional(),
  drainTimeout: duration('How long requests in flight may go on after a stop began.', '0ms', '24h').prefault(
    '30s',
  ),
  routes: listOf(
    'What goes where. Left out: everything goes to the only service.',
    route,
    2000,
    1,
  ).optional(),
}

export const edge: Schema<ParsedEdge> = into(
  strict(edgeKeys, {
    about: 'The front door.',
    elsewhere: {
      http: "'http' is a key of 'edge.listen'.",
      https: "'https' is a key of 'edge.listen'.",
      port: 'Write listen: { http: 8080 }.',
      ssl: "Did you mean 'tls'?",
      certificates: "'certificates' is a key of 'edge.tls'.",
      acme: "'acme' is a key of 'edge.tls'.",
      hsts: "'hsts' is a key of 'edge.tls'.",
      letsencrypt: "'acme' is a key of 'edge.tls'.",
      stream: "Did you mean 'tcp'?",
      gzip: "'compress' is a key of routes.",
      compress: "'compress' is a key of routes.",
      cors: "'cors' is a key of routes.",
      files: "'files' is a key of routes.",
      upstreams: "Write 'services', beside 'edge'.",
      services: "'services' stands beside 'edge'.",
      entryPoints: "Did you mean 'listen'?",
      routers: "Did you mean 'routes'?",
      error_page: "Did you mean 'errorPages'?",
      otel: "Did you mean 'tracing'?",
      openTelemetry: "Did you mean 'tracing'?",
    },
  }),
  (keys): ParsedEdge | Refused => {
    const secure =
      keys.listen.https.length > 0 || (keys.tcp?.some(one => one.kind === 'tcp' && one.tls) ?? false)
    const certified = (keys.tls?.certificates.length ?? 0) > 0 || keys.tls?.acme !== undefined
    const listeners = allListeners(keys, certified)
    if (listeners instanceof Refused) return listeners
    return defined({
      listeners,
      workers: keys.workers,
      trustedProxies: [...new Set(keys.trustedProxies.flat())],
      forwarded: keys.forwarded,
      limits: { ...keys.limits, drainTimeoutMs: keys.drainTimeout },
      accessLog: keys.accessLog,
      routes: keys.routes,
      tls: keys.tls ?? (secure ? tlsDefaults : undefined),
      maintenance: keys.maintenance,
      errorPages: keys.errorPages,
      tracing: keys.tracing,
      slowLog: keys.slowLog,
      serverTiming: keys.serverTiming,
      cache: keys.cache,
      region: keys.region,
    }) as ParsedEdge
  },
)

const tlsDefaults: CheckedTls = { certificates: [], minVersion: '1.2' }

interface ListenKeys {
  readonly listen: Parameters<typeof httpListeners>[0]
  readonly redirectToHttps?: Parameters<typeof httpListeners>[1]
  readonly tcp?: readonly UnnamedListener[] | undefined
  readonly udp?: readonly UnnamedListener[] | undefined
  readonly health?: CheckedListener | undefined
}

function allListeners(keys: ListenKeys, certified: boolean): readonly CheckedListener[] | Refused {
  const http = httpListeners(keys.listen, keys.redirectToHttps, certified)
  if (http instanceof Refused) return http
  const streams = withListenerIds([...(keys.tcp ?? []), ...(keys.udp ?? [])], http)
  if (streams instanceof Refused) return streams
  const all = [...http, ...streams]
  if (all.length === 0)
    return new Refused('listens nowhere', 'Give edge.listen an http or https place, or add tcp or udp.')
  return keys.health === undefined ? all : [...all, keys.health]
}
