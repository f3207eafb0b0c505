// The checked `guard` written back as a system file has it, every default spelled out. spell-out.ts has the rest.

import type {
  CheckedBots,
  CheckedChallenge,
  CheckedGuard,
  CheckedGuardPolicy,
  CheckedGuardShared,
  CheckedLimit,
  CheckedQuota,
  CheckedQuotaSource,
  CheckedRisk,
  CheckedRoom,
  CheckedSecurityHeaders,
  CheckedWaf,
} from './checked-guard.ts'
import { never } from './guard-bots.ts'
import { rateText } from './guard-limits.ts'
import { instantText } from './guard-rooms.ts'
import { sourceText } from './guard-sources.ts'
import type { GuardInput } from './input.generated.ts'
import { defined } from './shapes.ts'
import { spellIdentity, spellRequirement } from './spell-identity.ts'
import { ms, msOf } from './spell-values.ts'

export function spellGuard(one: CheckedGuard): GuardInput {
  const { account, session, key } = one.identity
  return defined({
    policies: byName(one.policies, policy),
    identity: defined({
      account: someSources(account),
      session: someSources(session),
      key: someSources(key),
      ...spellIdentity(one.identity),
    }),
    allow: one.allow,
    ban: one.ban,
    banSteps: one.banStepsMs.map(ms),
    connectionsPerAddress: one.connectionsPerAddress,
    ipv6Prefix: one.ipv6PrefixBits,
    shared: one.shared && shared(one.shared),
    geo: defined({ country: one.geo?.countryFile, asn: one.geo?.asnFile }),
    audit: defined({
      file: one.audit.file ?? undefined,
      size: one.audit.bytesMax,
      sample: one.audit.sample,
    }),
    secret: one.secret,
    bots: bots(one.bots),
    challenge: challenge(one.challenge),
    rooms: byName(one.rooms, room),
    quotas: byName(one.quotas, quota),
  }) as unknown as GuardInput
}

const byName = <T>(map: Readonly<Record<string, T>>, spell: (one: T) => object): object =>
  Object.fromEntries(Object.entries(map).map(([name, one]) => [name, spell(one)]))

const sources = (list: readonly CheckedQuotaSource[]): readonly string[] => list.map(sourceText)
const someSources = (list: readonly CheckedQuotaSource[]): readonly string[] | undefined =>
  list.length === 0 ? undefined : sources(list)

const shared = ({ timeoutMs, ...rest }: CheckedGuardShared): object => ({ ...rest, timeout: ms(timeoutMs) })

function bots(one: CheckedBots): object {
  return {
    crawlers: one.crawlers,
    ai: one.aiCrawlers,
    crawlerFiles: one.crawlerFiles,
    signatureAgents: one.signatureAgents,
    dataCentres: { asns: one.dataCentreAsns, files: one.dataCentreFiles },
    honeypots: one.honeypots,
    honeypotFields: one.honeypotFields,
  }
}

function challenge({ provider, turnstile, pow, clearanceMs, languages }: CheckedChallenge): object {
  return defined({
    provider,
    turnstile: turnstile && spellTurnstile(turnstile),
    pow: { costMin: pow.costMin, costMax: pow.costMax, expires: ms(pow.expiresMs) },
    clearance: ms(clearanceMs),
    languages,
  })
}

function spellTurnstile({
  timeoutMs,
  hostnames,
  ...rest
}: NonNullable<CheckedChallenge['turnstile']>): object {
  return defined({
    ...rest,
    hostnames: hostnames.length === 0 ? undefined : hostnames,
    timeout: ms(timeoutMs),
  })
}

function policy(one: CheckedGuardPolicy): object {
  const { uploads } = one
  return defined({
    require: one.require && spellRequirement(one.require),
    limit: one.limits.map(limit),
    waf: one.waf ? waf(one.waf) : false,
    uploads: uploads && { types: uploads.types, max: uploads.bytesMax, count: uploads.countMax },
    risk: one.risk ? risk(one.risk) : false,
    challenge: one.challenge ?? false,
    shed: one.shed,
    room: one.room,
    quota: one.quota,
    headers: one.headers && headers(one.headers),
    sameSite: one.sameSiteOrigins ? { origins: one.sameSiteOrigins } : one.sameSite,
    detectOnly: one.detectOnly,
  })
}

function limit(one: CheckedLimit): object {
  const { kind, amount, perMs } = one
  return defined({
    name: one.name,
    rate: kind === 'concurrency' ? undefined : rateText({ kind, amount, perMs }),
    concurrency: kind === 'concurrency' ? amount : undefined,
    algorithm: kind === 'concurrency' ? undefined : one.algorithm,
    burst: kind !== 'concurrency' && one.algorithm === 'gcra' ? one.burst : undefined,
    by: sources(one.by),
    cost: one.cost,
    missingShare: one.missingShare,
    adaptive: one.adaptiveShare,
    local: one.local,
    banAfter: one.banAfter,
    detectOnly: one.detectOnly,
  })
}

function waf(one: CheckedWaf): object {
  return {
    rules: one.rules,
    mode: one.mode,
    paranoia: one.paranoia,
    inboundThreshold: one.inboundThreshold,
    outboundThreshold: one.outboundThreshold,
    exclude: one.exclude,
    bodyMax: one.bodyBytesMax,
    unreadTypes: one.unreadTypes,
    responses: one.responses,
    responseMax: one.responseBytesMax,
  }
}

const score = (value: number): number | false => (value === never ? false : value)

const risk = (one: CheckedRisk): object => ({
  slow: score(one.slowAt),
  challenge: score(one.challengeAt),
  queue: score(one.queueAt),
  refuse: score(one.refuseAt),
  slowBy: ms(one.slowMs),
})

const field = (value: string): string | false => (value === '' ? false : value)

function headers(one: CheckedSecurityHeaders): object {
  return {
    csp: field(one.contentSecurityPolicy),
    cspReportOnly: field(one.contentSecurityPolicyReportOnly),
    referrerPolicy: field(one.referrerPolicy),
    permissionsPolicy: field(one.permissionsPolicy),
    openerPolicy: field(one.crossOriginOpenerPolicy),
    resourcePolicy: field(one.crossOriginResourcePolicy),
    frameOptions: field(one.frameOptions),
  }
}

function room(one: CheckedRoom): object {
  const { opensAt, preQueueFrom } = one
  return defined({
    admit: `${one.perMinute}/min`,
    active: one.activeMax,
    opens: opensAt === undefined ? undefined : instantText(opensAt),
    preQueue: msOf(opensAt === undefined || preQueueFrom === undefined ? undefined : opensAt - preQueueFrom),
    order: one.order,
    person: someSources(one.person),
    session: ms(one.sessionMs),
    grace: ms(one.graceMs),
    grant: ms(one.grantMs),
    revokeAfter: one.revokeAfter.map(({ method, path }) => `${method} ${path}`),
    title: one.title,
    page: one.page,
    signIn: one.signIn,
    places: one.placesMax,
  })
}

function quota(one: CheckedQuota): object {
  return defined({
    keys: one.keys.map(({ by, amount }) => ({ by: sources(by), amount })),
    quantity: one.quantityField,
    stock: one.stock,
    hold: ms(one.holdMs),
    reset: msOf(one.resetMs),
    idempotent: one.idempotent,
  })
}
