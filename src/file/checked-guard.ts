// The checked `guard` part of the file: who may pass. Plain data; times in milliseconds, sizes in bytes, paths and secrets
// as written (the system resolves them). Absent optional keys mean "off".

import type { SecretReference } from './checked.ts'

/** Parts of a policy, in the order in which they are asked; those that can be told to detect only. */
export type GuardPartName =
  | 'ban'
  | 'identity'
  | 'limit'
  | 'sameSite'
  | 'bots'
  | 'shed'
  | 'challenge'
  | 'waf'
  | 'room'
  | 'quota'

export interface CheckedGuard {
  readonly identity: CheckedIdentity
  /** CIDR blocks that are never banned, limited by address, scored or challenged. Asked before every ban. */
  readonly allow: readonly string[]
  readonly ban: readonly string[]
  /** How long the next ban of the same address lasts: each time the next one of these, the last one for ever after. */
  readonly banStepsMs: readonly number[]
  /** Open connections of one address (IPv6: of one /64). */
  readonly connectionsPerAddress: number
  /** Bits of an IPv6 address that count as one client: 48 to 128. */
  readonly ipv6PrefixBits: number
  /** Counters, rooms, spent proofs and quotas for all edges of the system. Absent: this edge's own. */
  readonly shared?: CheckedGuardShared
  /** MaxMind DB files of the operator, as written. */
  readonly geo?: { readonly countryFile?: string; readonly asnFile?: string }
  readonly audit: CheckedAudit
  /** Signs clearances, tickets, grants and identity. Absent: a key in the state directory, which several hosts don't share. */
  readonly secret?: SecretReference
  readonly bots: CheckedBots
  readonly challenge: CheckedChallenge
  readonly rooms: Readonly<Record<string, CheckedRoom>>
  readonly quotas: Readonly<Record<string, CheckedQuota>>
  readonly policies: Readonly<Record<string, CheckedGuardPolicy>>
}

/**
 * Where a value of a request is found. `ip` is the client's address (IPv6: its prefix); `account`, `session` and `key`
 * are what `identity` says; `path` is a `:name` of the route; `country` and `asn` need `geo`; `fingerprint` is JA4.
 */
export type CheckedSource =
  | { readonly by: 'ip'; readonly ipv4Bits?: number; readonly ipv6Bits?: number }
  | { readonly by: 'account' | 'session' | 'key' | 'fingerprint' | 'country' | 'asn' | 'route' | 'all' }
  | { readonly by: 'header' | 'cookie' | 'query' | 'path' | 'jwt'; readonly name: string }

export interface CheckedIdentity {
  /** The first source that has a value names the account. `jwt` is a claim of a verified token. Empty: none. */
  readonly account: readonly CheckedSource[]
  readonly session: readonly CheckedSource[]
  /** API key: its holder's name once verified, else its text's hash. */
  readonly key: readonly CheckedSource[]
  /** What verifies who somebody is, by name; policies require it (`jwt:NAME`). Absent: none. */
  readonly jwt?: Readonly<Record<string, CheckedJwt>>
  readonly oidc?: Readonly<Record<string, CheckedOidc>>
  readonly keys?: Readonly<Record<string, CheckedKeys>>
  readonly basic?: Readonly<Record<string, CheckedBasic>>
}

export type JwtAlgorithm =
  | `${'RS' | 'PS' | 'ES' | 'HS'}${'256' | '384' | '512'}`
  /** Ed25519 (RFC 8037, RFC 9864). */
  | 'EdDSA'

/** Where a credential stands in a request. `bearer`: `Authorization: Bearer ...` (RFC 6750). */
export type CheckedCredentialPlace =
  | { readonly by: 'bearer' }
  | { readonly by: 'cookie' | 'header'; readonly name: string }

/** Tokens that others signed (RFC 7519). */
export interface CheckedJwt {
  readonly issuer: string
  /** A token must be for one of these; never empty. */
  readonly audience: readonly string[]
  readonly algorithms: readonly JwtAlgorithm[]
  /** `discover`: the issuer's /.well-known/openid-configuration says. A `file` (JWKS or PEM) is as written. */
  readonly keys:
    | { readonly kind: 'discover' }
    | { readonly kind: 'url'; readonly url: string }
    | { readonly kind: 'file'; readonly file: string }
    | { readonly kind: 'secret'; readonly secret: SecretReference }
  readonly from: CheckedCredentialPlace
  readonly clockToleranceMs: number
  /** Tokens older than this (`iat`) are refused, whatever they say themselves. Absent: as long as they say. */
  readonly ageMaxMs?: number
  /** How long keys are believed while the issuer is out of reach. */
  readonly staleMaxMs: number
  /** Of one fetch of keys, and of a request that waits for one. */
  readonly timeoutMs: number
  /** `at+jwt`: only tokens of this type (RFC 8725 3.11). Absent: not asked. */
  readonly typ?: string
}

/** Logins at an OpenID provider; the session is a cookie of ours. */
export interface CheckedOidc {
  readonly issuer: string
  readonly clientId: string
  /** Absent: a public client, by PKCE alone. */
  readonly clientSecret?: SecretReference
  /** `openid` is among them. */
  readonly scopes: readonly string[]
  /** Claims that are kept in the session, beside `sub`. */
  readonly claims: readonly string[]
  /** Origins where people may log in, the first for whoever asks elsewhere: `https://shop.example`. Empty: the host that is asked. */
  readonly origins: readonly string[]
  /** A session that nobody uses ends after this, and every session after `absoluteMs`. */
  readonly idleMs: number
  readonly absoluteMs: number
  /** Path where people land who have logged out. */
  readonly afterLogout: string
  readonly timeoutMs: number
  readonly clockToleranceMs: number
  /** Further parameters of the authorization request: `prompt`, `acr_values`. */
  readonly parameters: Readonly<Record<string, string>>
}

/** API keys of ours (`tenfold guard key new`). */
export interface CheckedKeys {
  /** As written. */
  readonly file: string
  readonly from: readonly CheckedCredentialPlace[]
}

/** User names and passwords (RFC 7617). */
export interface CheckedBasic {
  /** As written. */
  readonly file: string
  readonly realm: string
}

/** One way to say who one is. `name` is '' for `mtls`. */
export interface CheckedIdentityWay {
  readonly method: 'jwt' | 'oidc' | 'key' | 'basic' | 'mtls'
  readonly name: string
}

/** Who may pass: somebody whom one of these ways verifies, with all scopes and claims. */
export interface CheckedRequirement {
  readonly any: readonly CheckedIdentityWay[]
  readonly scopes: readonly string[]
  /** Each claim must be, or hold, one of its values. */
  readonly claims: Readonly<Record<string, readonly string[]>>
  /** Whoever carries nothing passes unknown; what is carried and wrong is refused all the same. */
  readonly optional: boolean
  /** The credential itself reaches the instance too. */
  readonly forward: boolean
}

export interface CheckedGuardShared {
  readonly redis: string | SecretReference
  /** Of its keys. */
  readonly prefix: string
  readonly timeoutMs: number
  /** While Redis is away: each edge counts by itself, with its share of each limit; or what needs Redis is refused. */
  readonly whenAway: 'local' | 'refuse'
  /** How many edges share the limits: an edge alone lets rate / edges through while Redis is away. */
  readonly edges: number
}

export interface CheckedAudit {
  /** `null` = `logs/guard.log` in the state directory; else as written. */
  readonly file: string | null
  readonly bytesMax: number
  /** 0..1 of what was refused; bans and changes by operators are always written. */
  readonly sample: number
}

// --- limits ---------------------------------------------------------------------------------------------------------

export interface CheckedLimit {
  /** Unique in the policy: in RateLimit fields, metrics and explanations. */
  readonly name: string
  readonly kind: 'rate' | 'concurrency' | 'bytes'
  /** Of `rate` and `bytes`. `gcra` has no window edge; `sliding` = two windows weighted; `fixed` = calendar windows. */
  readonly algorithm: 'gcra' | 'sliding' | 'fixed'
  /** Requests, requests at once, or bytes of requests and answers in `perMs`. */
  readonly amount: number
  /** 0 for `concurrency`. */
  readonly perMs: number
  /** gcra: how many may come at once above the even flow; at least 1. */
  readonly burst: number
  /** Composite: all of them together are the key. */
  readonly by: readonly CheckedSource[]
  /** What a request costs, by method (`POST`) or `*`; absent: 1. */
  readonly cost?: Readonly<Record<string, number>>
  /** When a part of the key is missing: the address counts instead, with this share (0..1) of the amount. */
  readonly missingShare: number
  /** Tightens with risk and load: at risk 100 or full load only this share (0..1) of the amount is left. 1: never. */
  readonly adaptiveShare: number
  /** This edge decides alone even when `shared` is there: cheaper, not exact over hosts. */
  readonly local: boolean
  /** After so many refusals in a row within a minute the address is banned for the first step. 0: never. */
  readonly banAfter: number
  readonly detectOnly: boolean
}

// --- web application firewall ---------------------------------------------------------------------------------------

export interface CheckedWaf {
  /** `builtin` = our own rules; else folders or files in SecLang (OWASP CRS), in order, as written. */
  readonly rules: 'builtin' | readonly string[]
  readonly mode: 'detect' | 'block'
  readonly paranoia: 1 | 2 | 3 | 4
  /** Anomaly score at which a request, or an answer, is refused. */
  readonly inboundThreshold: number
  readonly outboundThreshold: number
  /** Rules (ids, or `tag:NAME`) that are off here; `941100;ARGS:bio` only for this variable. */
  readonly exclude: readonly string[]
  /** Bytes of a body that are held and looked at; a longer one is refused in mode `block`. */
  readonly bodyBytesMax: number
  /** Body types that are let through unread (uploads); everything else that can't be parsed is refused. */
  readonly unreadTypes: readonly string[]
  readonly responses: boolean
  /** Of an answer's body, when `responses`. */
  readonly responseBytesMax: number
}

export interface CheckedUploads {
  /** Media types of files in multipart bodies, by their first bytes and as declared; `image/*`. Empty: none allowed. */
  readonly types: readonly string[]
  readonly bytesMax: number
  readonly countMax: number
}

// --- bots and challenges --------------------------------------------------------------------------------------------

export interface CheckedBots {
  /** By name of the crawler list: what it may do. Unlisted verified crawlers: `allow`. */
  readonly crawlers: 'allow' | 'refuse'
  readonly aiCrawlers: Readonly<Record<'search' | 'training' | 'user', 'allow' | 'refuse'>>
  /** Files of `{ "name": ..., "ranges": [...], "hosts": [...] }`: crawlers beside the built-in ones, as written. */
  readonly crawlerFiles: readonly string[]
  /** Web Bot Auth: key directories that are believed, by URL; a file of keys is a path. */
  readonly signatureAgents: readonly { readonly agent: string; readonly keysFile?: string }[]
  /** Autonomous systems that count as data centres, and address lists, as written. */
  readonly dataCentreAsns: readonly number[]
  readonly dataCentreFiles: readonly string[]
  /** Paths that no person is led to; who asks for one gains risk. */
  readonly honeypots: readonly string[]
  /** Names of form fields that people do not see. */
  readonly honeypotFields: readonly string[]
}

/** Risk 0-100 at which a request is slowed, challenged, left to wait for ever, or refused. 101: never. */
export interface CheckedRisk {
  readonly slowAt: number
  readonly challengeAt: number
  readonly queueAt: number
  readonly refuseAt: number
  readonly slowMs: number
}

export interface CheckedChallenge {
  readonly provider: 'pow' | 'turnstile'
  readonly turnstile?: CheckedTurnstile
  readonly pow: CheckedProofOfWork
  /** How long who has passed is not asked again. */
  readonly clearanceMs: number
  /** Language of the page; its texts are there in these. */
  readonly languages: readonly string[]
}

export interface CheckedTurnstile {
  readonly siteKey: string
  readonly secret: SecretReference
  readonly hostnames: readonly string[]
  /** Of siteverify; another one in tests. */
  readonly verifyUrl: string
  readonly scriptUrl: string
  readonly timeoutMs: number
  /** Cloudflare's public test secrets are refused unless this is true. */
  readonly allowTestKeys: boolean
}

export interface CheckedProofOfWork {
  /** Cost at risk 0 and at risk 100; load moves it up too. */
  readonly costMin: number
  readonly costMax: number
  readonly expiresMs: number
}

// --- rooms and quotas -----------------------------------------------------------------------------------------------

export interface CheckedRoom {
  readonly name: string
  /** At most so many admitted people who are active. */
  readonly activeMax: number
  readonly perMinute: number
  /** Wall clock, milliseconds; before `opensAt` everybody waits in the pre-queue, and a lottery makes the order. */
  readonly opensAt?: number
  readonly preQueueFrom?: number
  readonly order: 'first-come' | 'lottery'
  /** Who one person is; empty: whoever holds the ticket. A lottery needs an account. */
  readonly person: readonly CheckedSource[]
  readonly sessionMs: number
  /** Without a sign of life for so long a place is lost. */
  readonly graceMs: number
  /** A grant must be used for its first request within this time. */
  readonly grantMs: number
  /** Paths whose success (2xx) uses the grant up: `POST /api/orders`. */
  readonly revokeAfter: readonly { readonly method: string; readonly path: string }[]
  /** Shown on the page. */
  readonly title: string
  /** HTML file instead of ours, as written; `{position}`, `{estimate}`, `{title}` are filled in. */
  readonly page?: string
  /** Path of this site where one signs in: linked where a place needs an account. */
  readonly signIn?: string
  readonly placesMax: number
}

/** Of quotas only: a field of the JSON or form body as well (`payment.fingerprint`). */
export type CheckedQuotaSource = CheckedSource | { readonly by: 'field'; readonly name: string }

export interface CheckedQuota {
  readonly name: string
  /** Each of these keys may have at most `amount` in all. */
  readonly keys: readonly { readonly by: readonly CheckedQuotaSource[]; readonly amount: number }[]
  /** How much a request asks for: a JSON or form field (`items.*.quantity`: the sum); absent: 1. */
  readonly quantityField?: string
  /** Instances honour Idempotency-Key: a repeated one is passed on, uncounted. Else the guard refuses it (409). */
  readonly idempotent: boolean
  /** Units there are in all; absent: unbounded. */
  readonly stock?: number
  /** A reservation that is not confirmed by a 2xx answer is free again after this. */
  readonly holdMs: number
  /** The count of a key starts again after this; absent: never. */
  readonly resetMs?: number
}

// --- policies -------------------------------------------------------------------------------------------------------

export interface CheckedGuardPolicy {
  readonly name: string
  /** Parts that only record what they would have done. */
  readonly detectOnly: readonly GuardPartName[]
  /** Absent: nobody is asked who he is. */
  readonly require?: CheckedRequirement
  readonly limits: readonly CheckedLimit[]
  readonly waf?: CheckedWaf
  readonly uploads?: CheckedUploads
  readonly risk?: CheckedRisk
  /** `always`, or of those whose risk is high enough. Absent: nobody is challenged. */
  readonly challenge?: 'suspicious' | 'always'
  /** What its requests are worth when not all can be served. Absent: `normal`, and never refused by load. */
  readonly shed?: 'critical' | 'normal' | 'sheddable'
  /** Names of `rooms` and `quotas`. */
  readonly room?: string
  readonly quota?: string
  /** Fields of the answers. */
  readonly headers?: CheckedSecurityHeaders
  /** Requests that change something must come from our own pages (Sec-Fetch-Site, Origin). */
  readonly sameSite: boolean
  /** Other origins whose pages may (`https://app.example`); of `sameSite`. */
  readonly sameSiteOrigins?: readonly string[]
}

export interface CheckedSecurityHeaders {
  /** Each a field's value; '' = not sent. */
  readonly contentSecurityPolicy: string
  readonly contentSecurityPolicyReportOnly: string
  readonly referrerPolicy: string
  readonly permissionsPolicy: string
  readonly crossOriginOpenerPolicy: string
  readonly crossOriginResourcePolicy: string
  readonly frameOptions: string
  /** `{nonce}` in a policy: a fresh one for each answer, told to instances in `Tenfold-Nonce`. */
  readonly usesNonce: boolean
}
