// The keys of one policy of `guard.policies`: what is asked of the requests of a route. Whether the rooms and quotas that
// it names are there is checked in guard-checks.ts.

import type { CheckedGuardPolicy, CheckedQuota, GuardPartName } from './checked-guard.ts'
import { never, risk } from './guard-bots.ts'
import { anyOrigin } from './guard-credentials.ts'
import { securityHeaders } from './guard-headers.ts'
import { limits } from './guard-limits.ts'
import { requirement } from './guard-require.ts'
import { type ParsedRoom, quota, room } from './guard-rooms.ts'
import { uploads, waf } from './guard-waf.ts'
import { defined, either, into, listOf, strict } from './shapes.ts'
import { choice, flag, off, Refused, type Schema, text } from './values.ts'

const parts: readonly GuardPartName[] = [
  'ban',
  'identity',
  'limit',
  'sameSite',
  'bots',
  'shed',
  'challenge',
  'waf',
  'room',
  'quota',
]

const detectOnly: Schema<readonly GuardPartName[]> = either(
  'Parts that only record what they would have done; `true`: all of them.',
  into(flag('All, or none.'), on => (on ? parts : []) as readonly GuardPartName[]),
  into(listOf('Parts.', choice('A part.', parts), parts.length), list =>
    parts.filter(one => list.includes(one)),
  ),
)

const named = (about: string): Schema<string> => text(about, 'a name', { lengthMax: 40 })

/** With origins: on. */
interface SameSite {
  readonly on: boolean
  readonly origins?: readonly string[]
}

const sameSite: Schema<SameSite> = either(
  'Requests that change something must come from our own pages: others are refused by Sec-Fetch-Site and Origin. Left out: where a cookie says who it is (`require`).',
  into(flag('Whether.'), (on): SameSite => ({ on })),
  into(
    strict(
      { origins: listOf('Origins whose pages may too.', anyOrigin('An origin.'), 50, 1) },
      {
        about: 'With pages of others.',
        elsewhere: { allow: "Did you mean 'origins'?", hosts: "Did you mean 'origins'?" },
      },
    ),
    ({ origins }): SameSite => ({ on: true, origins: [...new Set(origins)] }),
  ),
)

const policyKeys = {
  require: requirement.optional(),
  limit: limits.prefault([]),
  waf: waf.prefault(true),
  uploads: uploads.optional(),
  risk: risk.optional(),
  challenge: either(
    'Asks for a proof: `suspicious` only of those whose score is high, `always` of everybody once.',
    choice('Of whom.', ['suspicious', 'always']),
    off('Of nobody.'),
  ).optional(),
  shed: choice(
    'What its requests are worth when not all can be served: the sheddable are refused first. Risk lowers by a class, an admission by a room makes critical. Left out: normal, and never refused by load.',
    ['critical', 'normal', 'sheddable'],
  ).optional(),
  room: either(
    'The waiting room before it: one of `guard.rooms`, or one of its own, which has the name of the policy.',
    named('Name of a room.'),
    room,
  ).optional(),
  quota: either(
    'How much each buyer may have: one of `guard.quotas`, or one of its own, which has the name of the policy.',
    named('Name of a quota.'),
    quota,
  ).optional(),
  headers: securityHeaders.optional(),
  sameSite: sameSite.optional(),
  detectOnly: detectOnly.prefault(false),
}

/** A policy before its name is known, and with what it holds instead of naming it. */
export interface ParsedPolicy extends Omit<CheckedGuardPolicy, 'name' | 'room' | 'quota' | 'sameSite'> {
  /** Absent: as its identity comes. */
  readonly sameSite?: boolean
  readonly room?: string | ParsedRoom
  readonly quota?: string | Omit<CheckedQuota, 'name'>
}

export const policy: Schema<ParsedPolicy> = into(
  strict(policyKeys, {
    about: 'One policy.',
    elsewhere: {
      limits: "Did you mean 'limit'?",
      rate: "Write limit: '5/min'.",
      rateLimit: "Did you mean 'limit'?",
      rate_limit: "Did you mean 'limit'?",
      ban: "'ban' is a key of 'guard'; limits have 'banAfter'.",
      allow: "'allow' is a key of 'guard'.",
      captcha: "Did you mean 'challenge'?",
      turnstile: "'turnstile' is a key of 'guard.challenge'; write challenge: 'suspicious' here.",
      bots: "'bots' is a key of 'guard'; write risk: true here.",
      rooms: "Did you mean 'room'?",
      quotas: "Did you mean 'quota'?",
      waitingRoom: "Did you mean 'room'?",
      csp: "'csp' is a key of 'headers'.",
      csrf: "Did you mean 'sameSite'?",
      cors: "'cors' is a key of routes.",
      rules: "'rules' is a key of 'waf'.",
      identity: "'identity' is a key of 'guard'; policies have 'require'.",
      auth: "Did you mean 'require'?",
      jwt: "'jwt' is a key of guard.identity; write require: 'jwt:NAME'.",
      oidc: "'oidc' is a key of guard.identity; write require: 'oidc:NAME'.",
      keys: "'keys' is a key of guard.identity; write require: 'key:NAME'.",
      basic: "'basic' is a key of guard.identity; write require: 'basic:NAME'.",
      scopes: "'scopes' is a key of 'require'.",
      claims: "'claims' is a key of 'require'.",
      dryRun: "Did you mean 'detectOnly'?",
      priority: "Did you mean 'shed'?",
      criticality: "Did you mean 'shed'?",
      path: "Routes name their policy: { path: '/checkout/*', to: '...', guard: 'NAME' }.",
    },
  }),
  (keys): ParsedPolicy | Refused => {
    const asked = keys.challenge === false ? undefined : keys.challenge
    // Nobody is suspicious without a score.
    const scored = keys.risk ?? (asked === 'suspicious' ? risk.parse(true) : undefined)
    if (asked === 'suspicious' && scored?.challengeAt === never)
      return new Refused(
        "has challenge 'suspicious', and risk.challenge is false",
        'Write from which score on, or leave out one of them.',
      )
    return defined({
      detectOnly: keys.detectOnly,
      require: keys.require,
      limits: keys.limit,
      waf: keys.waf,
      uploads: keys.uploads,
      risk: scored,
      challenge: asked,
      shed: keys.shed,
      room: keys.room,
      quota: keys.quota,
      headers: keys.headers,
      sameSite: keys.sameSite?.on,
      sameSiteOrigins: keys.sameSite?.origins,
    }) as ParsedPolicy
  },
)
