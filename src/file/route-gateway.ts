// The keys of a route by which a gateway steers: `split`, `canary`, `mirror`, `cors`, `hooks`. Whether the services they
// name exist is checked in cross-checks.ts.

import type { CheckedAction, CheckedCanary, CheckedCors, CheckedHooks } from './checked.ts'
import { headerName } from './headers.ts'
import { share } from './observe.ts'
import { defined, either, into, listOf, mapOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, decimal, duration, flag, leaf, Refused, type Schema, text, token, whole } from './values.ts'

type ProxyAction = Extract<CheckedAction, { kind: 'proxy' }>

const serviceName = text('Name of a service.', 'the name of a service', { lengthMax: 40 })

/** Weights become shares that add up to 1. */
export const split: Schema<NonNullable<ProxyAction['split']>> = into(
  mapOf(decimal('Its part, relative to the others.', 0, 1_000_000), {
    about:
      'Several services by weight, instead of `to`: `{ shop: 90, next: 10 }`. A client stays with its service.',
    names: 'names of services with their weights',
    pattern: /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
    entriesMax: 20,
  }),
  weights => {
    const entries = Object.entries(weights)
    const sum = entries.reduce((all, [, weight]) => all + weight, 0)
    if (entries.length < 2) return new Refused('has fewer than two services', "Write to: 'NAME' for one.")
    if (sum === 0) return new Refused('has only weights of 0', 'Give one a weight.')
    return entries.map(([upstream, weight]) => ({ upstream, share: Number((weight / sum).toFixed(9)) }))
  },
)

type NameAndValue = { readonly name: string; readonly value: string }

/** `'x-canary: 1'` for headers, `'canary=1'` for cookies. */
function pair(about: string, kind: 'header' | 'cookie'): Schema<NameAndValue> {
  const sign = kind === 'header' ? ':' : '='
  return leaf<NameAndValue>({
    about,
    allowed: `a name and its value such as '${kind === 'header' ? 'x-canary: 1' : 'canary=1'}', of at most 1024 characters`,
    json: { type: 'string', minLength: 3, maxLength: 1024 },
    parse: value => {
      if (typeof value !== 'string' || value.length > 1024) return undefined
      const at = value.indexOf(sign)
      const name = value.slice(0, at)
      const rest = value.slice(at + 1).trim()
      if (at < 1 || rest === '') return new Refused(`has no '${sign}' between name and value`)
      if (
        !token.test(name) ||
        !/^[!-~]+(?: [!-~]+)*$/.test(rest) ||
        (kind === 'cookie' && /[;,\s]/.test(rest))
      )
        return undefined
      return { name: kind === 'header' ? name.toLowerCase() : name, value: rest }
    },
  })
}

const rollbackDefaults = { windowMs: 60_000, requestsMin: 100, errorShareExcess: 0.05, latencyFactor: 3 }

const rollback: Schema<CheckedCanary['rollback']> = either(
  'Takes the canary out by itself when it is worse than the others; `false`: never.',
  into(
    flag('With the defaults, or never.'),
    on => (on ? rollbackDefaults : null) as CheckedCanary['rollback'],
  ),
  into(
    strict(
      {
        window: duration('How far back is looked.', '5s', '1h').prefault('1m'),
        requestsMin: whole('Fewer requests to the canary in the window say nothing.', 1, 1_000_000).prefault(
          100,
        ),
        errors: share(
          "Out when its share of errors (5xx, failures) is above the others' by more than this.",
        ).prefault('5%'),
        latencyFactor: decimal(
          "Out when the time of its slowest twentieth (p95) is above this multiple of the others'. 0 = not looked at.",
          0,
          1000,
        ).prefault(3),
      },
      { about: 'When it is taken out.' },
    ),
    keys => ({
      windowMs: keys.window,
      requestsMin: keys.requestsMin,
      errorShareExcess: keys.errors,
      latencyFactor: keys.latencyFactor,
    }),
  ),
)

export const canary: Schema<CheckedCanary> = into(
  strict(
    {
      to: serviceName,
      share: share('Share of the clients that get it.').prefault(0),
      header: pair('Requests with this header always go to the canary.', 'header').optional(),
      cookie: pair('Requests with this cookie always go to the canary.', 'cookie').optional(),
      rollback: rollback.prefault(true),
    },
    {
      about: 'A new version of the service for some of the clients, taken out again when it is worse.',
      elsewhere: {
        weight: "Did you mean 'share'?",
        percent: "Did you mean 'share'?",
        service: "Did you mean 'to'?",
      },
    },
  ),
  (keys): CheckedCanary | Refused => {
    const { to, ...rest } = keys
    if (rest.share === 0 && rest.header === undefined && rest.cookie === undefined)
      return new Refused('gets no request', "Add share: '5%', a header or a cookie.")
    return defined({ upstream: to, ...rest }) as CheckedCanary
  },
)

type Mirror = NonNullable<ProxyAction['mirror']>

export const mirror: Schema<Mirror> = either(
  'Copies requests to another service; its answers are thrown away. Bodies of more than 16KB are not copied.',
  into(serviceName, (upstream): Mirror => ({ upstream, share: 1, inFlightMax: 100 })),
  into(
    strict(
      {
        to: serviceName,
        share: share('Share of the requests that are copied.').prefault(1),
        inFlight: whole(
          'Copies in flight at once, for each worker thread; further ones are not made, and counted.',
          1,
          100_000,
        ).prefault(100),
      },
      { about: 'With settings.' },
    ),
    (keys): Mirror => ({ upstream: keys.to, share: keys.share, inFlightMax: keys.inFlight }),
  ),
)

const origin = leaf<string>({
  about: 'An origin.',
  allowed:
    "'*', 'null' or an origin such as 'https://shop.example' or 'https://*.example', of at most 300 characters",
  json: { type: 'string', minLength: 1, maxLength: 300 },
  parse: value => {
    if (typeof value !== 'string' || value.length > 300) return undefined
    if (value === '*' || value === 'null') return value
    const match = /^([a-z][a-z0-9+.-]*:\/\/)(\*\.)?([^\s/?#*]+)(.*)$/i.exec(value)
    if (!match) return new Refused('has no scheme', `Write 'https://${value}'.`)
    if (match[4]?.startsWith('*')) return new Refused("has a '*' that is not its whole first label")
    if (match[4]) return new Refused('has a path', `Write '${match[1]}${match[2] ?? ''}${match[3]}'.`)
    return value.toLowerCase()
  },
})
const corsMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const corsDefaults: Omit<CheckedCors, 'origins'> = {
  methods: corsMethods,
  requestHeaders: ['*'],
  exposeHeaders: [],
  credentials: false,
  maxAgeSeconds: 600,
}
const methodName = text('A method.', 'a method in capitals', { pattern: /^[A-Z][A-Z-]*$/, lengthMax: 32 })
const corsHeader = (about: string): Schema<string> =>
  either(about, choice('Any.', ['*']), headerName('A header name.', false))

export const cors: Schema<CheckedCors | undefined> = either(
  'Lets pages of other origins read the answers. `true`: of any origin, without credentials; or a list of origins. Left out: nothing is changed.',
  into(flag('Any origin, or none.'), on => (on ? { origins: ['*'], ...corsDefaults } : undefined)),
  either(
    'Which.',
    into(
      listOf('Origins.', origin, 200, 1),
      (origins): CheckedCors => ({ origins: [...new Set(origins)], ...corsDefaults }),
    ),
    into(
      strict(
        {
          origins: listOf('Which origins: exact, `https://*.example`, or `*`.', origin, 200, 1),
          methods: listOf('Methods that pages may use.', methodName, 32, 1).prefault(corsMethods),
          headers: listOf('Headers that pages may send; `*`: all.', corsHeader('A header.'), 100).prefault([
            '*',
          ]),
          expose: listOf('Headers of answers that pages may read.', corsHeader('A header.'), 100).prefault(
            [],
          ),
          credentials: flag('Pages may send cookies and certificates.').prefault(false),
          maxAge: duration('How long browsers remember it.', '0s', '24h').prefault('10m'),
        },
        {
          about: 'With settings.',
          elsewhere: {
            origin: "Did you mean 'origins'?",
            allowedHeaders: "Did you mean 'headers'?",
            exposedHeaders: "Did you mean 'expose'?",
          },
        },
      ),
      (keys): CheckedCors | Refused =>
        keys.credentials && keys.origins.includes('*')
          ? new Refused(
              "has credentials for the origin '*'",
              'Every page on the web could act for your users: name the origins.',
            )
          : {
              origins: [...new Set(keys.origins)],
              methods: keys.methods,
              requestHeaders: [...new Set(keys.headers)],
              exposeHeaders: [...new Set(keys.expose)],
              credentials: keys.credentials,
              maxAgeSeconds: Math.floor(keys.maxAge / 1000),
            },
    ),
  ),
)

const exportName = (about: string): Schema<string | undefined> =>
  text(about, 'the name of an export', { pattern: /^[A-Za-z_$][\w$]*$/, lengthMax: 100 }).optional()

export const hooks: Schema<CheckedHooks> = into(
  strict(
    {
      module: filePath('The module (.ts, .mts, .js or .mjs)'),
      onRequest: exportName('Its export that sees each request before it is sent on.'),
      onResponse: exportName('Its export that sees the head of each answer.'),
      deadline: duration(
        'A call that takes longer has failed, and its worker is replaced.',
        '1ms',
        '10s',
      ).prefault('50ms'),
      onFailure: choice('What becomes of a request whose hook fails: 502, or on without the hook.', [
        'refuse',
        'pass',
      ]).prefault('refuse'),
    },
    { about: 'Functions of yours at the edge, by module and export.' },
  ),
  (keys): CheckedHooks | Refused => {
    if (!/\.m?[jt]s$/.test(keys.module))
      return new Refused(`names '${keys.module}', which is no module`, 'Use .ts, .mts, .js or .mjs.')
    if (keys.onRequest === undefined && keys.onResponse === undefined)
      return new Refused('names no export', "Add onRequest: 'NAME' or onResponse: 'NAME'.")
    const { deadline, ...rest } = keys
    return defined({ ...rest, deadlineMs: deadline }) as CheckedHooks
  },
)
