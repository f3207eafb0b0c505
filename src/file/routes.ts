// The keys of one route: what it matches and what it does. It gives the checked system's routes, except for their ids
// where they are derived. Whether the services it names exist is checked in cross-checks.ts.

import { requestKey } from './balance.ts'
import type { CheckedAction, CheckedHeaderRules, CheckedRoute, CheckedSticky } from './checked.ts'
import { hostPattern } from './network.ts'
import { fixedPrefix, pathPattern } from './patterns.ts'
import { hedge, routeRetry } from './retry.ts'
import { defined, either, into, listOf, mapOf, strict } from './shapes.ts'
import { choice, duration, flag, leaf, Refused, type Schema, size, text, token, whole } from './values.ts'

// RFC 9110 7.6.1 and framing: the edge alone writes these.
const framingHeaders = [
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

function headerName(about: string, ownFraming: boolean): Schema<string> {
  return leaf({
    about,
    allowed: 'a header name, of at most 256 characters',
    json: { type: 'string', minLength: 1, maxLength: 256 },
    parse: value => {
      if (typeof value !== 'string' || value.length > 256 || !token.test(value)) return undefined
      const name = value.toLowerCase()
      return ownFraming && framingHeaders.includes(name)
        ? new Refused('is a header that the edge alone writes', 'Leave it out.')
        : name
    },
  })
}

/** RFC 9110 5.5 field-value, without leading or trailing white space. */
const headerValue = leaf<string>({
  about: 'The value.',
  allowed: 'a header value without control characters, of at most 4096 characters',
  json: { type: 'string', maxLength: 4096 },
  parse: value => {
    if (typeof value !== 'string' || value.length > 4096) return undefined
    if (/[\r\n\0]/.test(value)) return new Refused('holds a line break or NUL')
    return /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/.test(value)
      ? value
      : undefined
  },
})

function headerMap(about: string): Schema<Record<string, string>> {
  const map = mapOf(headerValue, {
    about,
    names: 'header names with their values',
    pattern: token,
    entriesMax: 100,
  })
  return into(map, headers => {
    const lower: Record<string, string> = {}
    for (const [name, value] of Object.entries(headers)) {
      const key = name.toLowerCase()
      if (Object.hasOwn(lower, key)) return new Refused(`names '${key}' twice, in different cases`)
      lower[key] = value
    }
    return lower
  })
}

function headerRules(about: string): Schema<CheckedHeaderRules> {
  const rules = strict(
    {
      set: headerMap('Set, also where the header is already there.').optional(),
      remove: listOf('Removed.', headerName('A header name.', true), 100).optional(),
    },
    { about },
  )
  return into(rules, keys => {
    const framing = Object.keys(keys.set ?? {}).find(name => framingHeaders.includes(name))
    if (framing) return new Refused(`sets '${framing}', which the edge alone writes`, 'Leave it out.')
    const both = keys.remove?.find(name => Object.hasOwn(keys.set ?? {}, name))
    if (both)
      return new Refused(`both sets and removes '${both}'`, 'Keep one: setting replaces what was there.')
    return defined({ set: keys.set, remove: keys.remove }) as CheckedHeaderRules
  })
}

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

const location = text('Where to: a path or a URL.', 'a path or an absolute URL', {
  pattern: /^(?:\/|https?:\/\/)[!-~]*$/,
  lengthMax: 2048,
})
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
  redirect: redirect.optional(),
  respond: respond.optional(),
  timeout: duration(
    'From the match to the end of the response. Left out: no overall limit.',
    '1ms',
    '24h',
  ).optional(),
  bodyMax: size('Largest request body. Left out: `edge.limits.body`.', '0B', '1024GB').optional(),
  requestHeaders: headerRules('Changed on the way to the service.').optional(),
  responseHeaders: headerRules('Changed on the way to the client.').optional(),
}

const proxyOnly = ['rewrite', 'sticky', 'upgrade', 'retry', 'hedge'] as const

export const route: Schema<CheckedRoute> = into(
  strict(routeKeys, {
    about: 'What is matched, and one of `to`, `redirect`, `respond`. The first route that matches wins.',
    later: ['guard', 'cache', 'files'],
    elsewhere: {
      service: "Did you mean 'to'?",
      proxy: "Did you mean 'to'?",
      method: "Did you mean 'methods'?",
    },
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
    }) as CheckedRoute
  },
)

interface ActionKeys {
  readonly to?: string | undefined
  readonly rewrite?: string | undefined
  readonly sticky?: CheckedSticky | undefined
  readonly upgrade?: boolean | undefined
  readonly retry?: Extract<CheckedAction, { kind: 'proxy' }>['retry'] | undefined
  readonly hedge?: Extract<CheckedAction, { kind: 'proxy' }>['hedge'] | undefined
  readonly redirect?: CheckedAction | undefined
  readonly respond?: CheckedAction | undefined
}

function actionOf(path: string, keys: ActionKeys): CheckedAction | Refused {
  const given = (['to', 'redirect', 'respond'] as const).filter(key => keys[key] !== undefined)
  if (given.length !== 1)
    return given.length === 0
      ? new Refused('does nothing', "Add one of to: 'SERVICE', redirect: '/elsewhere', respond: 'text'.")
      : new Refused(`has ${given.map(key => `'${key}'`).join(' and ')}`, 'Keep one of them.')
  const foreign = keys.to === undefined ? proxyOnly.find(key => keys[key] !== undefined) : undefined
  if (foreign)
    return new Refused(`has '${foreign}', which only routes with 'to' have`, `Leave out '${foreign}'.`)
  return keys.redirect ?? keys.respond ?? proxyAction(path, keys.to as string, keys)
}

function proxyAction(path: string, upstream: string, keys: ActionKeys): CheckedAction {
  return defined({
    kind: 'proxy' as const,
    upstream,
    rewritePrefix: keys.rewrite === undefined ? undefined : { from: fixedPrefix(path), to: keys.rewrite },
    upgrade: keys.upgrade ?? false,
    sticky: keys.sticky,
    retry: keys.retry,
    hedge: keys.hedge,
  }) as CheckedAction
}
