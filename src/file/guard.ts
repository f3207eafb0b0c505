// The key `guard`: who may pass. What holds for the whole system is here; its parts are in guard-policies.ts,
// guard-limits.ts, guard-identity.ts, guard-require.ts, guard-waf.ts, guard-headers.ts, guard-bots.ts, guard-challenge.ts and guard-rooms.ts. Rooms and quotas
// that policies hold themselves get the policy's name.

import { redisUrl } from './caches.ts'
import type { EnvValue } from './checked.ts'
import type {
  CheckedAudit,
  CheckedGuard,
  CheckedGuardPolicy,
  CheckedGuardShared,
  CheckedIdentity,
  CheckedQuota,
  CheckedRequirement,
  CheckedRoom,
} from './checked-guard.ts'
import { bots } from './guard-bots.ts'
import { challenge, secretOnly } from './guard-challenge.ts'
import { identity } from './guard-identity.ts'
import { type ParsedPolicy, policy } from './guard-policies.ts'
import { type ParsedRoom, quota, room } from './guard-rooms.ts'
import { cidrBlocks } from './network.ts'
import { share } from './observe.ts'
import { secretReference, servicePattern } from './services.ts'
import { defined, either, into, listOf, mapOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, duration, type Refused, type Schema, size, text, Refused as Wrong, whole } from './values.ts'

const redis = either("A URL, or `secret('NAME')`.", redisUrl, secretReference) as Schema<EnvValue>

const sharedKeys = {
  redis: redis,
  prefix: text('Of its keys.', 'a text without spaces', { pattern: /^[!-~]+$/, lengthMax: 100 }).prefault(
    'tenfold:guard:',
  ),
  timeout: duration(
    'How long an answer may take; then it counts as away. A slow Redis slows every guarded request by this.',
    '1ms',
    '10s',
  ).prefault('50ms'),
  whenAway: choice(
    '`local`: each edge counts by itself, with its share of each limit. `refuse`: what needs it is refused.',
    ['local', 'refuse'],
  ).prefault('local'),
  edges: whole('How many edges share the limits.', 1, 1000).prefault(2),
}

const sharedObject = strict(sharedKeys, {
  about: 'With settings.',
  elsewhere: { url: "Did you mean 'redis'?", host: "Write redis: 'redis://HOST:6379'." },
})

const shared: Schema<CheckedGuardShared> = either(
  'Redis or Valkey, where several edges count together: limits, rooms, quotas, spent proofs. Left out: each counts for itself.',
  into(redisUrl, url => sharedOf(sharedObject.parse({ redis: url }))),
  into(sharedObject, keys => sharedOf(keys)),
)

function sharedOf({ timeout, ...keys }: ReturnType<(typeof sharedObject)['parse']>): CheckedGuardShared {
  return { ...keys, timeoutMs: timeout }
}

const audit: Schema<CheckedAudit> = into(
  strict(
    {
      file: filePath('Where. Left out: `logs/guard.log` in the state directory').optional(),
      size: size('It is rotated at this size.', '64KB', '4GB').prefault('64MB'),
      sample: share(
        'Which part of what was refused is written. Bans, and what operators do, always are.',
      ).prefault(1),
    },
    {
      about:
        'The log of what was refused and why: one JSON object a line, each with the hash of the one before.',
      elsewhere: { path: "Did you mean 'file'?", max: "Did you mean 'size'?" },
    },
  ),
  keys => ({ file: keys.file ?? null, bytesMax: keys.size, sample: keys.sample }),
)

const names = (what: string): string =>
  `names such as '${what}': small letters, digits and -, at most 40, beginning with a letter`

const geo = into(
  strict(
    {
      country: filePath('For countries (GeoLite2-Country.mmdb or the like)').optional(),
      asn: filePath('For autonomous systems (GeoLite2-ASN.mmdb or the like)').optional(),
    },
    { about: 'Databases of addresses (MaxMind DB files), yours: Tenfold brings none.' },
  ),
  ({ country, asn }) =>
    defined({ countryFile: country, asnFile: asn }) as { countryFile?: string; asnFile?: string },
)

const blocks = (about: string): Schema<readonly string[]> =>
  into(listOf(about, cidrBlocks('A block of addresses.'), 10_000), list => [...new Set(list.flat())])

const guardKeys = {
  policies: mapOf(policy, {
    about: 'What is asked, by name. A route has one by `guard: NAME`; routes without it let everybody pass.',
    names: names('checkout'),
    pattern: servicePattern,
    entriesMax: 200,
  }).prefault({}),
  identity: identity.prefault({}),
  allow: blocks(
    'Who is never banned, limited by address, scored or challenged. Asked before every ban.',
  ).prefault([]),
  ban: blocks('Who is refused, everywhere.').prefault([]),
  // Short at first: the next customer behind the same address is innocent.
  banSteps: listOf(
    'How long bans by rules last: the first, the second of the same client, ...; the last one from then on.',
    duration('How long.', '1s', '31d'),
    10,
    1,
  ).prefault(['1m', '10m', '1h', '1d']),
  // A browser opens six a host over HTTP/1.1, and forty people may stand behind one address.
  connectionsPerAddress: whole(
    'Connections of one address at once; further ones are closed.',
    1,
    1_000_000,
  ).prefault(256),
  // Whoever gets IPv6 gets at least a /64 to himself.
  ipv6Prefix: whole('Bits of an IPv6 address that count as one client.', 48, 128).prefault(64),
  shared: shared.optional(),
  geo: geo.prefault({}),
  audit: audit.prefault({}),
  secret: secretOnly(
    'Signs clearances, tickets and grants: 32 characters at least, the same on all edges. Left out: a key in the state directory, which several hosts do not share.',
    'GUARD_SECRET',
  ).optional(),
  bots: bots.prefault({}),
  challenge: challenge.prefault({}),
  rooms: mapOf(room, {
    about: 'Waiting rooms by name; several policies may lead into one.',
    names: names('sale'),
    pattern: servicePattern,
    entriesMax: 50,
  }).prefault({}),
  quotas: mapOf(quota, {
    about: 'How much each buyer may have, by name; several policies may share one.',
    names: names('seats'),
    pattern: servicePattern,
    entriesMax: 50,
  }).prefault({}),
}

export const guard: Schema<CheckedGuard> = into(
  strict(guardKeys, {
    about: 'Who may pass: limits, firewall, bots, waiting rooms, quotas. Routes choose a policy.',
    elsewhere: {
      policy: "Did you mean 'policies'?",
      limit: "'limit' is a key of policies: policies: { NAME: { limit: '5/min' } }.",
      limits: "'limit' is a key of policies: policies: { NAME: { limit: '5/min' } }.",
      waf: "'waf' is a key of policies: policies: { NAME: { waf: 'block' } }.",
      headers: "'headers' is a key of policies.",
      risk: "'risk' is a key of policies.",
      room: "Did you mean 'rooms'? Policies have 'room'.",
      quota: "Did you mean 'quotas'? Policies have 'quota'.",
      whitelist: "Did you mean 'allow'?",
      blacklist: "Did you mean 'ban'?",
      deny: "Did you mean 'ban'?",
      block: "Did you mean 'ban'?",
      redis: "Did you mean 'shared'?",
      turnstile: "'turnstile' is a key of 'challenge'.",
      honeypots: "'honeypots' is a key of 'bots'.",
      trustedProxies: "'trustedProxies' is a key of 'edge'.",
      enabled: 'A guard is there where a route names one of its policies.',
    },
  }),
  (keys): CheckedGuard | Refused => {
    const held = roomsAndQuotas(keys.policies, keys.rooms, keys.quotas)
    if (held instanceof Wrong) return held
    const { country, asn } = { country: keys.geo.countryFile, asn: keys.geo.asnFile }
    return defined({
      identity: keys.identity,
      allow: keys.allow,
      ban: keys.ban,
      banStepsMs: keys.banSteps,
      connectionsPerAddress: keys.connectionsPerAddress,
      ipv6PrefixBits: keys.ipv6Prefix,
      shared: keys.shared,
      geo: country === undefined && asn === undefined ? undefined : keys.geo,
      audit: keys.audit,
      secret: keys.secret,
      bots: keys.bots,
      challenge: keys.challenge,
      rooms: withNames(held.rooms, one => ({ ...one, person: personOf(one, keys.identity) })),
      quotas: withNames(held.quotas, one => one),
      policies: withNames(keys.policies, (one, name) => policyOf(one, name, keys.identity)),
    }) as CheckedGuard
  },
)

type Quota = Omit<CheckedQuota, 'name'>

/** Those of the guard, and those that policies hold. */
function roomsAndQuotas(
  policies: Readonly<Record<string, ParsedPolicy>>,
  rooms: Readonly<Record<string, ParsedRoom>>,
  quotas: Readonly<Record<string, Quota>>,
): { rooms: Record<string, ParsedRoom>; quotas: Record<string, Quota> } | Refused {
  const all = { rooms: { ...rooms }, quotas: { ...quotas } }
  for (const [name, one] of Object.entries(policies)) {
    for (const [kind, held] of Object.entries({ room: one.room, quota: one.quota })) {
      if (held === undefined || typeof held === 'string') continue
      const known = all[`${kind}s` as 'rooms'] as Record<string, unknown>
      if (Object.hasOwn(known, name))
        return new Wrong(
          `has a ${kind} '${name}' in '${kind}s' and one in policies.${name}`,
          `Write ${kind}: '${name}' in the policy, or give it another name.`,
        )
      known[name] = held
    }
  }
  return all
}

function withNames<T extends object, N>(
  map: Readonly<Record<string, T>>,
  make: (one: T, name: string) => Omit<N, 'name'>,
): Readonly<Record<string, N>> {
  return Object.fromEntries(
    Object.entries(map).map(([name, one]) => [name, { name, ...make(one, name) } as N]),
  )
}

function personOf(one: ParsedRoom, { account, session }: CheckedIdentity): CheckedRoom['person'] {
  if (one.person !== undefined) return one.person
  if (account.length > 0 || one.order === 'lottery') return [{ by: 'account' }]
  return session.length > 0 ? [{ by: 'session' }] : []
}

function policyOf(
  { room: into, quota: taken, sameSite, ...rest }: ParsedPolicy,
  name: string,
  identity: CheckedIdentity,
): Omit<CheckedGuardPolicy, 'name'> {
  return defined({
    ...rest,
    sameSite: sameSite ?? comesByCookie(rest.require, identity),
    room: into === undefined || typeof into === 'string' ? into : name,
    quota: taken === undefined || typeof taken === 'string' ? taken : name,
  }) as Omit<CheckedGuardPolicy, 'name'>
}

/** Browsers send cookies with whatever asks; other credentials only who means to. */
function comesByCookie(require: CheckedRequirement | undefined, { jwt }: CheckedIdentity): boolean {
  const ways = require?.any ?? []
  return ways.some(
    ({ method, name }) => method === 'oidc' || (method === 'jwt' && jwt?.[name]?.from.by === 'cookie'),
  )
}
