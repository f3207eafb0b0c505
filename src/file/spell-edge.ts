// The checked `edge` written back as a system file has it, its routes too. spell-out.ts has the rest.

import type {
  CheckedAction,
  CheckedCanary,
  CheckedEdge,
  CheckedHeaderRules,
  CheckedListener,
  CheckedRoute,
  CheckedTls,
} from './checked.ts'
import type { EdgeInput, SystemInput } from './input.generated.ts'
import { defined } from './shapes.ts'
import { spellEdgeCache, spellRouteCache } from './spell-caches.ts'
import { keyText, ms, msOf, place, retry } from './spell-values.ts'

type RouteInput = NonNullable<NonNullable<SystemInput['edge']>['routes']>[number]

export function spellEdge(edge: CheckedEdge): EdgeInput {
  const { limits } = edge
  const of = <K extends CheckedListener['kind']>(kind: K): Extract<CheckedListener, { kind: K }>[] =>
    edge.listeners.filter(one => one.kind === kind) as never
  const http = of('http').filter(one => one.tls !== true)
  const https = of('http').filter(one => one.tls === true)
  const [health] = of('health')
  return defined({
    listen: {
      http: http.length > 0 && http.map(one => httpPlace(one)),
      https: https.length > 0 && https.map(one => httpPlace(one)),
    },
    tls: edge.tls && tls(edge.tls),
    tcp: of('tcp').map(tcp),
    udp: of('udp').map(udp),
    health: health && { listen: place(health), path: health.path },
    workers: edge.workers,
    trustedProxies: edge.trustedProxies,
    forwarded: edge.forwarded,
    limits: {
      requestLine: limits.requestLineBytesMax,
      headers: limits.headerBytesMax,
      headerCount: limits.headerCountMax,
      body: limits.bodyBytesMax,
      headTimeout: ms(limits.headTimeoutMs),
      idleTimeout: ms(limits.idleTimeoutMs),
      bodyTimeout: ms(limits.bodyTimeoutMs),
      sendTimeout: ms(limits.sendTimeoutMs),
      connections: limits.connectionsMax,
      requestsPerConnection: limits.requestsPerConnectionMax,
      http2Streams: limits.http2StreamsMax,
    },
    accessLog: edge.accessLog === null ? false : (edge.accessLog.file ?? true),
    slowLog: edge.slowLog
      ? defined({ threshold: ms(edge.slowLog.thresholdMs), file: edge.slowLog.file ?? undefined })
      : false,
    ...observed(edge),
    drainTimeout: ms(limits.drainTimeoutMs),
    cache: edge.cache && spellEdgeCache(edge.cache),
    region: edge.region,
    // Without HTTP there is nothing to route.
    routes: edge.routes.length === 0 ? undefined : edge.routes.map(route),
  }) as unknown as EdgeInput
}

function observed({ tracing, serverTiming, errorPages, maintenance }: CheckedEdge): object {
  return defined({
    tracing:
      tracing &&
      defined({
        endpoint: tracing.endpoint,
        sample: tracing.sampleShare,
        service: tracing.serviceName,
        headersFile: tracing.headersFile,
      }),
    serverTiming: serverTiming ?? false,
    errorPages,
    maintenance:
      maintenance &&
      defined({
        page: maintenance.page ?? undefined,
        retryAfter: ms(maintenance.retryAfterSeconds * 1000),
        allow: maintenance.allow,
      }),
  })
}

function httpPlace(one: Extract<CheckedListener, { kind: 'http' }>): object {
  return defined({
    at: place(one),
    proxyProtocol: one.proxyProtocol,
    redirectToHttps: one.tls ? undefined : (redirect(one.redirectToHttps) as boolean | number),
    http2: one.http2 ?? true,
  })
}

/** 0 is what only `true` gives. */
const redirect = (port: number | undefined): boolean | number =>
  port === undefined ? false : port === 0 ? true : port

function tcp(one: Extract<CheckedListener, { kind: 'tcp' }>): object {
  return defined({
    name: one.id,
    listen: place(one),
    to: one.upstream,
    tls: one.tls ?? false,
    proxyProtocol: one.proxyProtocol,
    sendProxy: one.sendProxy,
    idleTimeout: ms(one.idleTimeoutMs),
  })
}

const udp = (one: Extract<CheckedListener, { kind: 'udp' }>): object => ({
  name: one.id,
  listen: place(one),
  to: one.upstream,
  sessionTimeout: ms(one.sessionTimeoutMs),
  sessions: one.sessionsMax,
})

function tls(one: CheckedTls): object {
  const { acme } = one
  return defined({
    certificates: one.certificates,
    acme:
      acme &&
      defined({
        directory: acme.directory,
        email: acme.email,
        hosts: acme.hosts,
        agreeTerms: true,
        caFile: acme.caFile,
        renewBefore: msOf(acme.renewBeforeMs),
      }),
    minVersion: one.minVersion,
    clientCertificates: one.clientCertificates,
    hsts: hsts(one.hsts),
  })
}

function hsts(value: string | undefined): object | false {
  if (value === undefined) return false
  return {
    maxAge: ms(Number(/max-age=(\d+)/.exec(value)?.[1]) * 1000),
    includeSubDomains: value.includes('includeSubDomains'),
    preload: value.includes('preload'),
  }
}

function route(one: CheckedRoute): RouteInput {
  const { host, path, methods, headers } = one.match
  const derived = [methods?.join(','), `${host ?? ''}${path}`].filter(Boolean).join(' ')
  const named = one.id !== derived && !one.id.includes(' ')
  const { cors, compress, hooks } = one
  return {
    ...defined({ name: named ? one.id : undefined, host, path, methods, headers }),
    ...action(one.action),
    ...defined({
      requestHeaders: one.requestHeaders && rules(one.requestHeaders),
      responseHeaders: one.responseHeaders && rules(one.responseHeaders),
      timeout: msOf(one.timeoutMs),
      bodyMax: one.bodyBytesMax,
      decodedBodyMax: one.decodedBytesMax,
      causal: one.causal,
      cache: one.cache && spellRouteCache(one.cache),
      guard: one.guard,
      cors: cors && {
        origins: cors.origins,
        methods: cors.methods,
        headers: cors.requestHeaders,
        expose: cors.exposeHeaders,
        credentials: cors.credentials,
        maxAge: ms(cors.maxAgeSeconds * 1000),
      },
      compress: compress && {
        encodings: compress.encodings,
        min: compress.bytesMin,
        types: compress.types,
        level: compress.level,
      },
      hooks:
        hooks &&
        defined({
          module: hooks.module,
          onRequest: hooks.onRequest,
          onResponse: hooks.onResponse,
          deadline: ms(hooks.deadlineMs),
          onFailure: hooks.onFailure,
        }),
    }),
  } as RouteInput
}

const rules = ({ set, remove }: CheckedHeaderRules): object => defined({ set, remove })

function action(one: CheckedAction): object {
  switch (one.kind) {
    case 'redirect':
      return { redirect: { to: one.location, status: one.status } }
    case 'respond':
      return { respond: { status: one.status, body: one.body, contentType: one.contentType } }
    case 'files':
      return { files: files(one) }
    case 'proxy':
      return proxy(one)
  }
}

function files({
  kind: _,
  prefix,
  cacheControl,
  ...rest
}: Extract<CheckedAction, { kind: 'files' }>): object {
  return { ...rest, strip: prefix !== '/', cacheControl: cacheControl ?? '' }
}

function proxy(one: Extract<CheckedAction, { kind: 'proxy' }>): object {
  const { sticky, hedge, split, canary, mirror } = one
  return defined({
    to: split ? undefined : one.upstream,
    split: split && Object.fromEntries(split.map(part => [part.upstream, part.share])),
    rewrite: one.rewritePrefix?.to,
    upgrade: one.upgrade,
    sticky:
      sticky?.by === 'cookie'
        ? defined({
            by: `cookie:${sticky.name}`,
            maxAge: msOf(sticky.maxAgeMs),
            secure: sticky.secure,
            sameSite: sticky.sameSite,
          })
        : sticky && { by: keyText(sticky) },
    retry: one.retry && retry(one.retry),
    hedge: hedge && { percentile: hedge.percentile, delayMin: ms(hedge.delayMinMs) },
    canary: canary && spellCanary(canary),
    mirror: mirror && { to: mirror.upstream, share: mirror.share, inFlight: mirror.inFlightMax },
  })
}

function spellCanary({ upstream, share, header, cookie, rollback }: CheckedCanary): object {
  return defined({
    to: upstream,
    share,
    header: header && `${header.name}: ${header.value}`,
    cookie: cookie && `${cookie.name}=${cookie.value}`,
    rollback: rollback !== null && {
      window: ms(rollback.windowMs),
      requestsMin: rollback.requestsMin,
      errors: rollback.errorShareExcess,
      latencyFactor: rollback.latencyFactor,
    },
  }) as object
}
