import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ask, Flag, type FreshnessMeta, type RequestDirectives, Reuse } from './contract.ts'
import { cacheReasonLabel } from './reason.ts'
import { ageUs, judgeReuse, mayServeOnError, reuseReason } from './reuse.ts'
import { freshMeta, nothingAsked } from './testing/fields.ts'

const second = 1_000_000
const nameOf = new Map<number, string>(Object.entries(Reuse).map(([name, code]) => [code, name]))

interface Case {
  readonly at: number
  readonly meta?: Partial<FreshnessMeta>
  readonly asked?: Partial<RequestDirectives>
  readonly softly?: boolean
  readonly ahead?: number
  readonly random?: number
}

function verdict({ at, meta, asked, softly = false, ahead = 0, random = 0.5 }: Case): string {
  const stored = freshMeta(meta)
  const directives = { ...nothingAsked, ...asked }
  const code = judgeReuse(stored, at * second, directives, softly, ahead, random)
  return `${nameOf.get(code)}: ${cacheReasonLabel(reuseReason(stored, at * second, directives, softly))}`
}

/** Fresh for 100 s. */
const swr = { staleWhileRevalidateUs: 30 * second }
const strict = { flags: Flag.strict }
const table: readonly (readonly [string, Case, string])[] = [
  ['4.2: fresh', { at: 99 }, 'fresh: fresh'],
  ['4.2: its life is over at its end', { at: 100 }, 'validate: expired'],
  ['4.2.3: it came old', { at: 50, meta: { initialAgeUs: 60 * second } }, 'validate: expired'],
  ['a clock that went back', { at: -5 }, 'fresh: fresh'],
  ['RFC 5861 3: within the window', { at: 129, meta: swr }, 'staleRevalidate: stale-revalidate'],
  ['RFC 5861 3: beyond it', { at: 130, meta: swr }, 'validate: expired'],
  ['5.2.2.4: no-cache', { at: 1, meta: { flags: Flag.alwaysValidate } }, 'validate: must-validate'],
  ['5.2.1.4: no-cache', { at: 1, asked: { flags: Ask.noCache } }, 'validate: client-no-cache'],
  ['5.2.1.5: no-store', { at: 1, asked: { flags: Ask.noStore } }, 'validate: request-no-store'],
  ['5.2.1.1: max-age=0', { at: 0, asked: { maxAgeSeconds: 0 } }, 'validate: client-max-age'],
  ['5.2.1.1: young enough', { at: 59, asked: { maxAgeSeconds: 60 } }, 'fresh: fresh'],
  ['5.2.1.1: too old', { at: 61, asked: { maxAgeSeconds: 60 } }, 'validate: client-max-age'],
  ['5.2.1.3: long enough', { at: 49, asked: { minFreshSeconds: 51 } }, 'fresh: fresh'],
  ['5.2.1.3: too short', { at: 50, asked: { minFreshSeconds: 51 } }, 'validate: client-min-fresh'],
  ['5.2.1.2: within', { at: 110, asked: { maxStaleSeconds: 10 } }, 'staleAllowed: stale-allowed'],
  ['5.2.1.2: beyond', { at: 111, asked: { maxStaleSeconds: 10 } }, 'validate: expired'],
  ['4.2.4: forbidden', { at: 110, meta: strict, asked: { maxStaleSeconds: 10 } }, 'validate: expired'],
  [
    '5.2.1.7: nothing usable',
    { at: 110, asked: { flags: Ask.onlyIfCached } },
    'gatewayTimeout: client-only-if-cached',
  ],
  ['5.2.1.7: fresh', { at: 10, asked: { flags: Ask.onlyIfCached } }, 'fresh: fresh'],
  [
    '5.2.1.7: with no-cache',
    { at: 10, asked: { flags: Ask.onlyIfCached | Ask.noCache } },
    'gatewayTimeout: client-only-if-cached',
  ],
  [
    'RFC 8246: reload',
    { at: 10, meta: { flags: Flag.immutable }, asked: { maxAgeSeconds: 0 } },
    'fresh: fresh',
  ],
  [
    'RFC 8246: reload when stale',
    { at: 100, meta: { flags: Flag.immutable }, asked: { maxAgeSeconds: 0 } },
    'validate: client-max-age',
  ],
  [
    'RFC 8246: forced',
    { at: 10, meta: { flags: Flag.immutable }, asked: { flags: Ask.noCache } },
    'validate: client-no-cache',
  ],
  ['purged softly', { at: 10, softly: true }, 'staleRevalidate: purged-softly'],
  ['purged softly, and stale', { at: 100, softly: true }, 'validate: expired'],
  [
    'purged softly, to be validated anyway',
    { at: 10, softly: true, meta: { flags: Flag.alwaysValidate } },
    'validate: must-validate',
  ],
  ['ahead: not in its last fifth', { at: 79, ahead: 0.2, random: 0 }, 'fresh: fresh'],
  ['ahead: hardly begun', { at: 81, ahead: 0.2, random: 0.5 }, 'fresh: fresh'],
  ['ahead: hardly begun, by chance', { at: 81, ahead: 0.2, random: 0 }, 'freshRefresh: fresh'],
  ['ahead: nearly over', { at: 99, ahead: 0.2, random: 0.5 }, 'freshRefresh: fresh'],
]

for (const [name, one, expected] of table) {
  test(`reuse, ${name}: ${expected}`, () => assert.equal(verdict(one), expected))
}

test('a response ages from the age that it came with (RFC 9111 4.2.3)', () => {
  assert.equal(
    ageUs(freshMeta({ receivedAtUs: 5 * second, initialAgeUs: 7 * second }), 8 * second),
    10 * second,
  )
})

const sie = { staleIfErrorUs: 20 * second }
const errors: readonly (readonly [
  string,
  number,
  number,
  Partial<FreshnessMeta>,
  boolean,
  Partial<RequestDirectives>?,
])[] = [
  ['no connection, within the window', 119, 0, sie, true],
  ['no connection, beyond it', 120, 0, sie, false],
  ['no connection, no window', 100, 0, {}, false],
  ['500', 110, 500, sie, true],
  ['502', 110, 502, sie, true],
  ['503', 110, 503, sie, true],
  ['504', 110, 504, sie, true],
  ['501 is an answer', 110, 501, sie, false],
  ['404 is an answer', 110, 404, sie, false],
  ['still fresh, and to be validated for a client', 50, 503, {}, true, { flags: Ask.noCache }],
  ['no-cache of the origin', 50, 503, { ...sie, flags: Flag.alwaysValidate }, false],
  ['no-store of the client', 110, 503, sie, false, { flags: Ask.noStore }],
  ['what is stored is a failure itself', 110, 503, { ...sie, flags: Flag.negative }, false],
]

for (const [name, at, status, meta, expected, asked] of errors) {
  test(`stale-if-error (RFC 5861 4), ${name}: ${expected ? 'served' : 'not served'}`, () => {
    const directives = { ...nothingAsked, ...asked }
    assert.equal(mayServeOnError(freshMeta(meta), at * second, directives, status), expected)
  })
}
