// The policies against a plain reading of RFC 9111: the same exchange once as text, once as values, judged clause by clause
// without regard to speed. A failing seed is printed by fast-check.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Reuse } from './contract.ts'
import { requestDirectives } from './directives.ts'
import { judgeReuse, mayServeOnError } from './reuse.ts'
import { judgeStorage } from './storage.ts'
import { fields, httpDateAt, plainRules, question } from './testing/fields.ts'

const second = 1_000_000
const flagNames = [
  'no-store',
  'no-cache',
  'private',
  'public',
  'must-revalidate',
  'proxy-revalidate',
  'immutable',
  'foo',
] as const
type FlagName = (typeof flagNames)[number]

interface Answer {
  readonly status: number
  readonly flags: readonly FlagName[]
  readonly maxAge: number | null
  readonly sharedMaxAge: number | null
  readonly whileRevalidate: number | null
  readonly ifError: number | null
  /** Seconds from now. */
  readonly expires: number | null
  readonly date: number | null
  readonly age: number | null
  readonly modified: number | null
  readonly tag: string | null
  readonly cookie: boolean
}

interface Asked {
  readonly authorization: boolean
  readonly noCache: boolean
  readonly noStore: boolean
  readonly onlyIfCached: boolean
  readonly maxAge: number | null
  readonly minFresh: number | null
  readonly maxStale: number | null
}

const seconds = fc.option(fc.integer({ min: 0, max: 40 }))
const answers: fc.Arbitrary<Answer> = fc.record({
  status: fc.constantFrom(200, 200, 200, 203, 204, 301, 302, 404, 410, 500, 503, 599),
  flags: fc.subarray([...flagNames], { maxLength: 3 }),
  maxAge: seconds,
  sharedMaxAge: fc.option(fc.integer({ min: 0, max: 40 }), { freq: 2 }),
  whileRevalidate: seconds,
  ifError: seconds,
  expires: fc.option(fc.integer({ min: -20, max: 60 })),
  date: fc.option(fc.integer({ min: -20, max: 20 })),
  age: fc.option(fc.integer({ min: 0, max: 30 })),
  modified: fc.option(fc.integer({ min: -900, max: 20 })),
  tag: fc.option(fc.constant('"a"')),
  cookie: fc.boolean(),
})
const askings: fc.Arbitrary<Asked> = fc.record({
  authorization: fc.boolean(),
  noCache: fc.constantFrom(false, false, false, true),
  noStore: fc.constantFrom(false, false, false, true),
  onlyIfCached: fc.constantFrom(false, false, true),
  maxAge: seconds,
  minFresh: seconds,
  maxStale: seconds,
})

// Half of all, so that what is rare among the others (stale answers that may be used) is seen often in every run.
const mildAnswers: fc.Arbitrary<Answer> = fc.oneof(
  answers,
  answers.map(one => ({ ...one, status: 200, flags: [], age: null, date: null, cookie: false })),
)
const mildAskings: fc.Arbitrary<Asked> = fc.oneof(
  askings,
  askings.map(one => ({
    ...one,
    noCache: false,
    noStore: false,
    onlyIfCached: false,
    maxAge: null,
    minFresh: null,
  })),
)

// --- as text, with what may vary in it

interface Dress {
  readonly upper: boolean
  readonly quoted: boolean
  readonly blank: string
  readonly reversed: boolean
}
const dresses: fc.Arbitrary<Dress> = fc.record({
  upper: fc.boolean(),
  quoted: fc.boolean(),
  blank: fc.constantFrom('', ' ', '\t', '  '),
  reversed: fc.boolean(),
})

function controlText(members: readonly string[], { upper, quoted, blank, reversed }: Dress): string {
  const dressed = members
    .map(one => (upper ? one.toUpperCase() : one))
    .map(one => (quoted ? one.replace(/=(\d+)$/, '="$1"') : one))
  return (reversed ? dressed.reverse() : dressed).join(`${blank},${blank}`)
}

const numbered = (name: string, value: number | null): string[] =>
  value === null ? [] : [`${name}=${value}`]

function answerFields(answer: Answer, dress: Dress): [string, string][] {
  const control = controlText(
    [
      ...answer.flags,
      ...numbered('max-age', answer.maxAge),
      ...numbered('s-maxage', answer.sharedMaxAge),
      ...numbered('stale-while-revalidate', answer.whileRevalidate),
      ...numbered('stale-if-error', answer.ifError),
    ],
    dress,
  )
  const pairs: [string, string][] = []
  if (control !== '') pairs.push(['Cache-Control', control])
  if (answer.expires !== null) pairs.push(['Expires', httpDateAt(answer.expires)])
  if (answer.date !== null) pairs.push(['Date', httpDateAt(answer.date)])
  if (answer.age !== null) pairs.push(['Age', `${answer.age}`])
  if (answer.modified !== null) pairs.push(['Last-Modified', httpDateAt(answer.modified)])
  if (answer.tag !== null) pairs.push(['ETag', answer.tag])
  if (answer.cookie) pairs.push(['Set-Cookie', 'id=1'])
  return pairs
}

function askedFields(asked: Asked, dress: Dress): [string, string][] {
  const members = [
    ...(asked.noCache ? ['no-cache'] : []),
    ...(asked.noStore ? ['no-store'] : []),
    ...(asked.onlyIfCached ? ['only-if-cached'] : []),
    ...numbered('max-age', asked.maxAge),
    ...numbered('min-fresh', asked.minFresh),
    ...numbered('max-stale', asked.maxStale),
  ]
  const control = controlText(members, dress)
  const pairs: [string, string][] = control === '' ? [] : [['Cache-Control', control]]
  return asked.authorization ? [...pairs, ['Authorization', 'x']] : pairs
}

// --- the plain reading

const has = (answer: Answer, name: FlagName): boolean => answer.flags.includes(name)

/** 4.2.1; null: nobody said. */
function lifetime(answer: Answer): number | null {
  if (answer.sharedMaxAge !== null) return answer.sharedMaxAge
  if (answer.maxAge !== null) return answer.maxAge
  if (answer.expires === null) return null
  return Math.max(0, answer.expires - (answer.date ?? 0))
}

/** 4.2.3, after `residence` seconds here. */
function age(answer: Answer, residence: number): number {
  const apparent = Math.max(0, 0 - (answer.date ?? 0))
  return Math.max(apparent, answer.age ?? 0) + residence
}

/** 3, 3.5, 5.2.2, 7.3 and our own choice not to store what is of no use. */
function mayStore(answer: Answer, asked: Asked): boolean {
  const said = lifetime(answer)
  if (asked.noStore || has(answer, 'no-store') || has(answer, 'private') || answer.cookie) return false
  const shares = has(answer, 'public') || has(answer, 'must-revalidate') || answer.sharedMaxAge !== null
  if (asked.authorization && !shares) return false
  if (said === null && !has(answer, 'public') && !has(answer, 'no-cache')) return false
  // 3: public makes any status storable, no-cache needs a status that is cached by default.
  const isUsable = said !== null && said > age(answer, 0) && !has(answer, 'no-cache')
  const isValidated = answer.tag !== null || answer.modified !== null
  return (
    isUsable ||
    isValidated ||
    staleFor(answer, answer.whileRevalidate) > 0 ||
    staleFor(answer, answer.ifError) > 0
  )
}

/** 4.2.4 with RFC 5861: a window counts unless a word forbids it. */
function staleFor(answer: Answer, window: number | null): number {
  const forbidden =
    has(answer, 'must-revalidate') || has(answer, 'proxy-revalidate') || has(answer, 'no-cache')
  return forbidden || window === null ? 0 : window
}

const forbidsStale = (answer: Answer): boolean =>
  has(answer, 'must-revalidate') ||
  has(answer, 'proxy-revalidate') ||
  has(answer, 'no-cache') ||
  answer.sharedMaxAge !== null

type Plain = 'fresh' | 'stale' | 'stale-revalidate' | 'validate' | 'gateway-timeout'

function plainReuse(answer: Answer, asked: Asked, residence: number): Plain {
  const otherwise: Plain = asked.onlyIfCached ? 'gateway-timeout' : 'validate'
  const old = age(answer, residence)
  const fresh = lifetime(answer) ?? 0
  if (has(answer, 'no-cache') || asked.noCache || asked.noStore) return otherwise
  const isReload = asked.maxAge === 0 && has(answer, 'immutable') && old < fresh
  if (asked.maxAge !== null && old >= asked.maxAge && !isReload) return otherwise
  if (asked.minFresh !== null && fresh - old < asked.minFresh) return otherwise
  if (old < fresh) return 'fresh'
  if (old - fresh < staleFor(answer, answer.whileRevalidate)) return 'stale-revalidate'
  if (asked.maxStale !== null && old - fresh <= asked.maxStale && !forbidsStale(answer)) return 'stale'
  return otherwise
}

const plainNames: Readonly<Record<number, Plain>> = {
  [Reuse.fresh]: 'fresh',
  [Reuse.freshRefresh]: 'fresh',
  [Reuse.staleRevalidate]: 'stale-revalidate',
  [Reuse.staleAllowed]: 'stale',
  [Reuse.validate]: 'validate',
  [Reuse.gatewayTimeout]: 'gateway-timeout',
}

const runs = 3_000

test('what is stored is what a plain reading of RFC 9111 3 stores', () => {
  let stored = 0
  fc.assert(
    fc.property(answers, askings, dresses, (answer, asked, dress) => {
      const judged = judgeStorage(
        question(answerFields(answer, dress), {
          status: answer.status,
          request: fields(...askedFields(asked, dress)),
        }),
      )
      if (judged.store) stored++
      assert.equal(judged.store, mayStore(answer, asked))
    }),
    { numRuns: runs },
  )
  assert.ok(stored > runs / 20, `only ${stored} of ${runs} were stored`)
})

test('what is used is what a plain reading of RFC 9111 4.2 and 5.2 uses, at any age', () => {
  const seen = new Set<Plain>()
  fc.assert(
    fc.property(
      mildAnswers,
      mildAskings,
      dresses,
      fc.integer({ min: 0, max: 90 }),
      (answer, asked, dress, residence) => {
        const judged = judgeStorage(question(answerFields(answer, dress), { status: answer.status }))
        const request = fields(...askedFields(asked, dress))
        const nowUs = judged.receivedAtUs + residence * second
        const code = judgeReuse(judged, nowUs, requestDirectives(request, plainRules), false, 0, 0)
        const expected = plainReuse(answer, asked, residence)
        seen.add(expected)
        assert.equal(plainNames[code], expected)
      },
    ),
    { numRuns: runs },
  )
  assert.equal(seen.size, 5)
})

test('when the origin fails, what is stored stands in just as RFC 5861 4 lets it', () => {
  fc.assert(
    fc.property(answers, fc.integer({ min: 0, max: 90 }), dresses, (answer, residence, dress) => {
      const judged = judgeStorage(question(answerFields(answer, dress), { status: answer.status }))
      const nowUs = judged.receivedAtUs + residence * second
      const old = age(answer, residence) - (lifetime(answer) ?? 0)
      const expected = !has(answer, 'no-cache') && (old < 0 || old < staleFor(answer, answer.ifError))
      assert.equal(mayServeOnError(judged, nowUs, requestDirectives(fields(), plainRules), 0), expected)
    }),
    { numRuns: runs },
  )
})

test('no client makes what forbids it be served stale, and no cookie be stored (CVE-2026-93748)', () => {
  fc.assert(
    fc.property(
      answers,
      askings,
      dresses,
      fc.integer({ min: 0, max: 90 }),
      (answer, asked, dress, residence) => {
        const strict: Answer = { ...answer, flags: [...answer.flags, 'proxy-revalidate'], sharedMaxAge: 0 }
        const judged = judgeStorage(question(answerFields({ ...strict, cookie: true }, dress)))
        assert.equal(judged.store, false)
        const wanting = {
          flags: 0,
          maxAgeSeconds: -1,
          minFreshSeconds: -1,
          maxStaleSeconds: asked.maxStale ?? 1e9,
        }
        const code = judgeReuse(judged, judged.receivedAtUs + residence * second, wanting, false, 0, 0)
        assert.equal(code, Reuse.validate)
      },
    ),
    { numRuns: runs },
  )
})
