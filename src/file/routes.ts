// The keys of one route: what it matches and what it does. It gives the checked system's routes, except for their ids
// where they are derived. Whether the services it names exist is checked in cross-checks.ts.

import { requestKey } from './balance.ts'
import type { CheckedAction, CheckedRoute, CheckedSticky } from './checked.ts'
import { headerMap, headerRules } from './headers.ts'
import { hostPattern } from './network.ts'
import { fixedPrefix, pathPattern } from './patterns.ts'
import { hedge, routeRetry } from './retry.ts'
import { routeCache } from './route-cache.ts'
import { compress, files, filesAction, type ParsedFiles } from './route-files.ts'
import { canary, cors, hooks, mirror, split } from './route-gateway.ts'
import { defined, either, into, listOf, strict } from './shapes.ts'
import { choice, duration, flag, leaf, Refused, type Schema, size, text, token, whole } from './values.ts'

const stickyKey = requestKey(
  'Requests with the same value go to the same member. `path:id` is what `:id` of the route matched; `cookie` is issued by the edge.',
  ['cookie', 'header', 'path', 'query'],
  ['cookie', 'ip'],
)

type StickyKey = { readonly by: string; readonly name?: string }

function cookieSticky(
  key: StickyKey,
  options: { maxAge?: number; secure?: boolean; sameSite?: 'Strict' | 'Lax' | 'None' },
): CheckedSticky {
  const { maxAge, secure = false, sameSite = 'Lax' } = options
  return defined({
    by: 'cookie' as const,
    name: key.name ?? 'tenfold_member',
    maxAgeMs: maxAge,
    secure,
    sameSite,
  })
}

const sticky: Schema<CheckedSticky> = either(
  'Keeps a client, or a key, with one member for as long as that member is there.',
  into(
    stickyKey,
    (key): CheckedSticky => (key.by === 'cookie' ? cookieSticky(key, {}) : (key as CheckedSticky)),
  ),
  into(
    strict({
      by: stickyKey,
      maxAge: duration(
        'How long the cookie lives. Left out: as long as the browser runs.',
        '1s',
        '400d',
      ).optional(),
      secure: flag('The cookie is sent over HTTPS only.').optional(),
      sameSite: choice('SameSite of the cookie.', ['Strict', 'Lax', 'None']).optional(),
    }),
    ({ by, ...options }): CheckedSticky | Refused => {
      const set = Object.entries(options).find(([, value]) => value !== undefined)
      if (by.by !== 'cookie')
        return set ? new Refused(`sets '${set[0]}', which only cookies have`) : (by as CheckedSticky)
      return options.sameSite === 'None' && !options.secure
        ? new Refused("has sameSite 'None' without secure: true", 'Browsers refuse such cookies.')
        : cookieSticky(by, defined(options))
    },
  ),
)

const location = text(
  "Where to: a path or a URL. `{host}`, `{path}`, `{query}` (with its `?`), `{uri}` (path and query), `{rest}` (what the final `*` matched) and `{name}` of the route's `:name` are filled in.",
  'a path or an absolute URL',
  {
    pattern: /^(?:\/|https?:\/\/)[!-~]*$/,
    lengthMax: 2048,
  },
)
const redirect: Schema<Extract<CheckedAction, { kind: 'redirect' }>> = either(
  'Sends the client elsewhere.',
  into(location, to => ({ kind: 'redirect' as const, status: 308 as const, location: to })),
  into(
    strict({
      to: location,
      status: choice('308 and 307 keep the method.', [301, 302, 303, 307, 308]).prefault(308),
    }),
    keys => ({ kind: 'redirect' as const, status: keys.status, location: keys.to }),
  ),
)

const body = leaf<string>({
  about: 'The body.',
  allowed: 'a text, of at most 65536 characters',
  json: { type: 'string', maxLength: 65_536 },
  parse: value => (typeof value === 'string' && value.length <= 65_536 ? value : undefined),
})
const respond: Schema<Extract<CheckedAction, { kind: 'respond' }>> = either(
  'Answers by itself: a text (200), or a status, body and content type.',
  into(body, answer => ({
    kind: 'respond' as const,
    status: 200,
    body: answer,
    contentType: 'text/plain; charset=utf-8',
  })),
  into(
    strict({
      status: whole('The status.', 200, 599).prefault(200),
      body: body.prefault(''),
      contentType: text('Content-Type of the body.', 'a content type', {
        pattern: /^[!-~]+\/[!-~]+(?:; ?[!-~]+)*$/,
        lengthMax: 200,
      }).prefault('text/plain; charset=utf-8'),
    }),
    keys =>
      keys.body !== '' && [204, 205, 304].includes(keys.status)
        ? new Refused(`has a body, which status ${keys.status} does not allow`, 'Leave out the body.')
        : { kind: 'respond' as const, ...keys },
  ),
)

const method = leaf<string>({
  about: 'A method.',
  allowed: "a method in capitals such as 'GET', of at most 32 characters",
  json: { type: 'string', minLength: 1, maxLength: 32 },
  parse: value => {
    if (typeof value !== 'string' || value.length > 32 || !token.test(value)) return undefined
    if (value !== value.toUpperCase())
      return new Refused('is not in capitals', `Write '${value.toUpperCase()}'.`)
    return value === 'CONNECT' ? new Refused('is a method that the edge never passes on') : value
  },
})

const routeKeys = {
  name: text('Its name in metrics and logs. Left out: methods, host and path.', 'a name', {
    pattern: /^[!-~]+$/,
    lengthMax: 200,
  }).optional(),
  host: hostPattern('Only requests for this host; `*.example` takes all names below it.').optional(),
  path: pathPattern(
    '`/exact`, `/prefix/*` or `/rooms/:id/*`: `:name` takes one segment, a final `*` the rest (also nothing).',
  ),
  methods: listOf('Only these methods. `GET` does not include `HEAD`.', method, 32, 1).optional(),
  headers: headerMap("Only requests with these headers; `'*'` is any value.").optional(),
  to: text('Name of the service that answers.', 'the name of a service', { lengthMax: 40 }).optional(),
  split: split.optional(),
  files: files.optional(),
  rewrite: text(
    "Replaces the pattern's fixed beginning: with `path: '/api/*'`, `rewrite: '/'` turns `/api/films` into `/films`.",
    'a path that begins with /',
    {
      pattern: /^\/[!-~]*$/,
    },
  ).optional(),
  sticky: sticky.optional(),
  upgrade: flag('Lets WebSocket and other upgrades through.').optional(),
  retry: routeRetry.optional(),
  hedge: hedge.optional(),
  canary: canary.optional(),
  mirror: mirror.optional(),
  redirect: redirect.optional(),
  respond: respond.optional(),
  timeout: duration(
    'From the match to the end of the response. Left out: no overall limit.',
    '1ms',
    '24h',
  ).optional(),
  bodyMax: size('Largest request body. Left out: `edge.limits.body`.', '0B', '1024GB').optional(),
  decodedBodyMax: size(
    'Compressed request bodies are looked into on the way: one that becomes larger than this gets 413. Left out: they pass unseen.',
    '1KB',
    '1024GB',
  ).optional(),
  compress: compress.optional(),
  cors: cors.optional(),
  hooks: hooks.optional(),
  causal: flag(
    'Users read their own writes, whichever instance serves them: the `Tenfold-After` of an instance travels in a cookie and comes back with the next requests.',
  ).optional(),
  cache: routeCache.optional(),
  guard: text('Who may pass: a policy of `guard.policies`. Left out: everybody.', 'the name of a policy', {
    lengthMax: 40,
  }).optional(),
  requestHeaders: headerRules('Changed on the way to the service.').optional(),
  responseHeaders: headerRules('Changed on the way to the client.').optional(),
}

const proxyOnly = [
  'rewrite',
  'sticky',
  'upgrade',
  'retry',
  'hedge',
  'canary',
  'mirror',
  'decodedBodyMax',
  'causal',
  'cache',
] as const
const actions = ['to', 'split', 'files', 'redirect', 'respond'] as const

const elsewhere = {
  service: "Did you mean 'to'?",
  proxy: "Did you mean 'to'?",
  proxy_pass: "Did you mean 'to'?",
  reverse_proxy: "Did you mean 'to'?",
  upstream: "Did you mean 'to'?",
  backend: "Did you mean 'to'?",
  method: "Did you mean 'methods'?",
  root: "Write files: 'FOLDER'.",
  alias: "Write files: 'FOLDER'.",
  static: "Write files: 'FOLDER'.",
  file_server: "Write files: 'FOLDER'.",
  try_files: "Write files: { root: 'FOLDER', spa: true }.",
  spa: "Write files: { root: 'FOLDER', spa: true }.",
  gzip: "Did you mean 'compress'?",
  brotli: "Did you mean 'compress'?",
  encode: "Did you mean 'compress'?",
  proxy_cache: "Did you mean 'cache'?",
  ttl: "'ttl' is a key of 'cache'.",
  tags: "'tags' is a key of 'cache'.",
  websocket: "Did you mean 'upgrade'?",
  strip_prefix: "Write rewrite: '/'.",
  stripPrefix: "Write rewrite: '/'.",
  return: "Did you mean 'redirect' or 'respond'?",
  weights: "Did you mean 'split'?",
  client_max_body_size: "Did you mean 'bodyMax'?",
  policy: "Did you mean 'guard'?",
  waf: "Write guard: { policies: { NAME: { waf: 'block' } } } beside 'edge', and guard: 'NAME' here.",
  limit: "Write guard: { policies: { NAME: { limit: '5/min' } } } beside 'edge', and guard: 'NAME' here.",
  limit_req: "Write guard: { policies: { NAME: { limit: '5/min' } } } beside 'edge', and guard: 'NAME' here.",
  rateLimit: "Write guard: { policies: { NAME: { limit: '5/min' } } } beside 'edge', and guard: 'NAME' here.",
  challenge: "'challenge' is a key of policies: write guard: 'NAME' here.",
  room: "'room' is a key of policies: write guard: 'NAME' here.",
  quota: "'quota' is a key of policies: write guard: 'NAME' here.",
  middlewares: 'What changes requests stands in the route itself: rewrite, requestHeaders, cors, hooks.',
}

export const route: Schema<CheckedRoute> = into(
  strict(routeKeys, {
    about:
      'What is matched, and one of `to`, `split`, `files`, `redirect`, `respond`. The first route that matches wins.',
    elsewhere,
  }),
  (keys): CheckedRoute | Refused => {
    const { name, host, path, methods, headers, timeout, bodyMax, requestHeaders, responseHeaders } = keys
    const action = actionOf(path, keys)
    if (action instanceof Refused) return action
    const match = defined({ host, path, methods, headers }) as CheckedRoute['match']
    const id = name ?? [methods?.join(','), `${host ?? ''}${path}`].filter(Boolean).join(' ')
    return defined({
      id,
      match,
      action,
      requestHeaders,
      responseHeaders,
      timeoutMs: timeout,
      bodyBytesMax: bodyMax,
      cors: keys.cors,
      compress: keys.compress,
      hooks: keys.hooks,
      decodedBytesMax: keys.decodedBodyMax,
      causal: keys.causal || undefined,
      cache: keys.cache,
      guard: keys.guard,
    }) as CheckedRoute
  },
)

type Proxy = Extract<CheckedAction, { kind: 'proxy' }>

interface ActionKeys {
  readonly to?: string | undefined
  readonly split?: Proxy['split'] | undefined
  readonly files?: ParsedFiles | undefined
  readonly rewrite?: string | undefined
  readonly sticky?: CheckedSticky | undefined
  readonly upgrade?: boolean | undefined
  readonly retry?: Proxy['retry'] | undefined
  readonly hedge?: Proxy['hedge'] | undefined
  readonly canary?: Proxy['canary'] | undefined
  readonly mirror?: Proxy['mirror'] | undefined
  readonly decodedBodyMax?: number | undefined
  readonly causal?: boolean | undefined
  readonly cache?: CheckedRoute['cache']
  readonly compress?: CheckedRoute['compress'] | undefined
  readonly redirect?: CheckedAction | undefined
  readonly respond?: CheckedAction | undefined
}

function actionOf(path: string, keys: ActionKeys): CheckedAction | Refused {
  const given = actions.filter(key => keys[key] !== undefined)
  if (given.length !== 1)
    return given.length === 0
      ? new Refused(
          'does nothing',
          "Add one of to: 'SERVICE', files: 'FOLDER', redirect: '/elsewhere', respond: 'text'.",
        )
      : new Refused(`has ${given.map(key => `'${key}'`).join(' and ')}`, 'Keep one of them.')
  const proxied = keys.to !== undefined || keys.split !== undefined
  const foreign = proxied ? undefined : proxyOnly.find(key => keys[key] !== undefined)
  if (foreign)
    return new Refused(`has '${foreign}', which only routes with 'to' have`, `Leave out '${foreign}'.`)
  if (keys.redirect && keys.compress)
    return new Refused("has 'compress', but a redirect has nothing to compress", "Leave out 'compress'.")
  if (keys.files) return filesAction(path, keys.files)
  return keys.redirect ?? keys.respond ?? proxyAction(path, keys)
}

function proxyAction(path: string, keys: ActionKeys): Proxy | Refused {
  if (keys.split && keys.canary)
    return new Refused("has 'split' and 'canary'", 'Keep one: a canary is a split that can be taken out.')
  return defined({
    kind: 'proxy' as const,
    upstream: keys.to ?? (keys.split?.[0]?.upstream as string),
    rewritePrefix: keys.rewrite === undefined ? undefined : { from: fixedPrefix(path), to: keys.rewrite },
    upgrade: keys.upgrade ?? false,
    sticky: keys.sticky,
    retry: keys.retry,
    hedge: keys.hedge,
    split: keys.split,
    canary: keys.canary,
    mirror: keys.mirror,
  }) as Proxy
}
