import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CacheRules, Flag, type StorageQuestion } from './contract.ts'
import { ageOf } from './lifetime.ts'
import { CacheReason, cacheReasonLabel } from './reason.ts'
import { judgeStorage } from './storage.ts'
import { fields, httpDateAt, now, plainKey, question } from './testing/fields.ts'

type Pairs = readonly (readonly [string, string])[]
type More = Parameters<typeof question>[1]

const second = 1_000_000
const cc = (text: string): readonly [string, string] => ['Cache-Control', text]
const tag: readonly [string, string] = ['ETag', '"a"']

/** `stored 60 max-age`, or `not private`. */
function verdict(response: Pairs, more?: More): string {
  const { store, why, freshForUs, initialAgeUs } = judgeStorage(question(response, more))
  const left = (freshForUs - initialAgeUs) / second
  const label = cacheReasonLabel(why)
  return store ? `${left} ${label}` : label
}

const ruled = (rules: Partial<CacheRules>, more: More = {}): More => ({ ...more, rules })
const asked = (...pairs: Pairs): More => ({ request: fields(...pairs) })

const table: readonly (readonly [string, Pairs, string, More?])[] = [
  ['3: max-age', [cc('max-age=60')], '60 stored-max-age'],
  ['4.2.1: s-maxage before max-age', [cc('max-age=60, s-maxage=5')], '5 stored-shared-max-age'],
  ['4.2.1: max-age before Expires', [cc('max-age=60'), ['Expires', '0']], '60 stored-max-age'],
  [
    '5.3: Expires less Date',
    [
      ['Expires', httpDateAt(90)],
      ['Date', httpDateAt(-10)],
    ],
    '90 stored-expires',
  ],
  [
    '5.3: Date unreadable',
    [
      ['Expires', httpDateAt(90)],
      ['Date', 'foo'],
    ],
    '90 stored-expires',
  ],
  ['5.3: Expires unreadable is past', [['Expires', '0'], tag], '0 stored-expires'],
  [
    '5.3: Expires twice is unreadable',
    [
      ['Expires', httpDateAt(9)],
      ['Expires', httpDateAt(9)],
    ],
    'useless-stale',
  ],
  ['5.3: past', [['Expires', httpDateAt(-90)]], 'useless-stale'],
  [
    'RFC 9213: CDN-Cache-Control stands in for both',
    [cc('no-store'), ['Expires', httpDateAt(5)], ['CDN-Cache-Control', 'max-age=9']],
    '9 stored-targeted',
  ],
  [
    'RFC 9213: without freshness Expires does not count',
    [
      ['Expires', httpDateAt(5)],
      ['CDN-Cache-Control', 'x'],
    ],
    'nothing-said',
  ],
  ['RFC 9213: forbids too', [cc('max-age=60'), ['CDN-Cache-Control', 'no-store']], 'no-store'],
  ['RFC 9213: malformed', [cc('max-age=60'), ['CDN-Cache-Control', 'no-store,']], '60 stored-max-age'],
  ['nothing said', [tag, ['Last-Modified', httpDateAt(-1_000)]], 'nothing-said'],
  ['5.2.2.5', [cc('no-store, max-age=60')], 'no-store'],
  ['5.2.2.7', [cc('private, max-age=60')], 'private'],
  ['5.2.2.7: some fields', [cc('private="x", max-age=60')], '60 stored-max-age'],
  ['5.2.2.4: stored to be validated', [cc('no-cache'), tag], '0 stored-to-validate'],
  ['5.2.2.4: nothing to validate with', [cc('no-cache')], 'useless-stale'],
  ['stale, yet it can be validated', [cc('max-age=0'), tag], '0 stored-max-age'],
  ['stale, yet it may be served so', [cc('max-age=0, stale-if-error=5')], '0 stored-max-age'],
  ['stale and useless', [cc('max-age=0')], 'useless-stale'],
  [
    'RFC 5861: no window where it must be validated',
    [cc('max-age=0, stale-if-error=5, must-revalidate')],
    'useless-stale',
  ],
  // status
  ['3: interim', [cc('max-age=60')], 'status-interim', { status: 103 }],
  ['3.3: a part', [cc('max-age=60')], 'status-partial', { status: 206 }],
  ['4.3: 304 for the client', [cc('max-age=60')], 'status-not-modified', { status: 304 }],
  ['3: any final status with explicit freshness', [cc('max-age=60')], '60 stored-max-age', { status: 599 }],
  ['404 with explicit freshness', [cc('max-age=60')], '60 stored-max-age', { status: 404 }],
  ['400 with explicit freshness', [cc('max-age=60')], '60 stored-max-age', { status: 400 }],
  ['7.1: 431 never', [cc('max-age=60')], 'clients-fault', { status: 431 }],
  ['7.1: 416 never', [cc('max-age=60')], 'clients-fault', { status: 416 }],
  ['414 of a whole target', [cc('max-age=60')], '60 stored-max-age', { status: 414 }],
  [
    '7.1: 414 of a part of the target',
    [cc('max-age=60')],
    'clients-fault',
    { status: 414, key: { ...plainKey, query: { except: ['a'] } } },
  ],
  ['401 never', [cc('public, max-age=60')], 'clients-fault', { status: 401 }],
  ['5.2.2.3: not understood', [cc('must-understand, max-age=60')], 'status-not-understood', { status: 599 }],
  [
    '5.2.2.3: understood, in spite of no-store',
    [cc('must-understand, no-store, max-age=60')],
    '60 stored-max-age',
  ],
  ['5.2.2.3: but not of private', [cc('must-understand, private, max-age=60')], 'private'],
  // whose answer
  ['3.5: Authorization', [cc('max-age=60')], 'authorization', asked(['Authorization', 'x'])],
  ['3.5: public', [cc('max-age=60, public')], '60 stored-max-age', asked(['Authorization', 'x'])],
  ['3.5: s-maxage', [cc('s-maxage=60')], '60 stored-shared-max-age', asked(['Authorization', 'x'])],
  [
    '3.5: must-revalidate',
    [cc('max-age=60, must-revalidate')],
    '60 stored-max-age',
    asked(['Authorization', 'x']),
  ],
  [
    '3.5: proxy-revalidate is not enough',
    [cc('max-age=60, proxy-revalidate')],
    'authorization',
    asked(['Authorization', 'x']),
  ],
  ['3.5: a rule neither', [], 'authorization', ruled({ ttlMs: 9_000 }, asked(['Authorization', 'x']))],
  [
    'Authorization in the key',
    [cc('max-age=60')],
    '60 stored-max-age',
    { ...asked(['Authorization', 'x']), key: { ...plainKey, headers: ['authorization'] } },
  ],
  ['7.3: Set-Cookie', [cc('public, max-age=60'), ['Set-Cookie', 'a=b']], 'set-cookie'],
  ['Set-Cookie under a rule', [['Set-Cookie', 'a=b']], 'set-cookie', ruled({ ttlMs: 9_000 })],
  [
    'Set-Cookie stripped',
    [cc('max-age=60'), ['Set-Cookie', 'a=b']],
    '60 stored-max-age',
    ruled({ stripCookies: true }),
  ],
  [
    'Set-Cookie named by the origin',
    [cc('max-age=60, no-cache="Set-Cookie"'), ['Set-Cookie', 'a=b']],
    '60 stored-max-age',
  ],
  [
    'Set-Cookie for all, by an operator',
    [cc('max-age=60'), ['Set-Cookie', 'a=b']],
    '60 stored-max-age',
    ruled({ shareCookies: true }),
  ],
  ['Cookie does not forbid', [cc('max-age=60')], '60 stored-max-age', asked(['Cookie', 'a=b'])],
  [
    '5.2.1.5: the client says no-store',
    [cc('max-age=60')],
    'request-no-store',
    asked(['Cache-Control', 'no-store']),
  ],
  [
    'no-store of a client under a rule',
    [],
    '9 stored-rule',
    ruled({ ttlMs: 9_000 }, asked(['Cache-Control', 'no-store'])),
  ],
  // vary
  ['4.1: *', [cc('max-age=60'), ['Vary', 'a, *']], 'vary-star'],
  ['4.1: names', [cc('max-age=60'), ['Vary', 'A, b']], '60 stored-max-age'],
  [
    '4.1: too many',
    [cc('max-age=60'), ['Vary', Array.from({ length: 17 }, (_, i) => `n${i}`).join()]],
    'too-many-names',
  ],
  ['4.1: too long', [cc('max-age=60'), ['Vary', 'a']], 'vary-too-long', asked(['A', 'x'.repeat(5_000)])],
  // rules
  ['ttl', [], '9 stored-rule', ruled({ ttlMs: 9_000 })],
  ['ttl above max-age and no-cache', [cc('max-age=0, no-cache')], '9 stored-rule', ruled({ ttlMs: 9_000 })],
  ['ttl below private', [cc('private')], 'private', ruled({ ttlMs: 9_000 })],
  ['ttl below no-store', [cc('no-store')], 'no-store', ruled({ ttlMs: 9_000 })],
  ['ttl is not about failures', [], 'nothing-said', ruled({ ttlMs: 9_000 }, { status: 500 })],
  [
    'ttl is not about redirections of one moment',
    [],
    'nothing-said',
    ruled({ ttlMs: 9_000 }, { status: 302 }),
  ],
  [
    'ttl and 404 with its own freshness',
    [cc('max-age=3')],
    '3 stored-max-age',
    ruled({ ttlMs: 9_000 }, { status: 404 }),
  ],
  [
    'ttl and 400 with its own freshness',
    [cc('max-age=3')],
    'clients-fault',
    ruled({ ttlMs: 9_000 }, { status: 400 }),
  ],
  ['ttl from when it left its origin', [['Age', '4']], '5 stored-rule', ruled({ ttlMs: 9_000 })],
  ["ttl and another cache's older copy", [['Age', '40']], '9 stored-rule', ruled({ ttlMs: 9_000 })],
  ['ttl and an Age that nobody believes', [['Age', 'x']], '9 stored-rule', ruled({ ttlMs: 9_000 })],
  ['negative, exact', [], '2 stored-negative', ruled({ negativeMs: { '404': 2_000 } }, { status: 404 })],
  ['negative, class', [], '3 stored-negative', ruled({ negativeMs: { '5xx': 3_000 } }, { status: 503 })],
  [
    'negative, exact before class',
    [],
    '2 stored-negative',
    ruled({ negativeMs: { '5xx': 3_000, '503': 2_000 } }, { status: 503 }),
  ],
  [
    'negative above the origin',
    [cc('max-age=60')],
    '2 stored-negative',
    ruled({ negativeMs: { '404': 2_000 } }, { status: 404 }),
  ],
  [
    'negative below no-store',
    [cc('no-store')],
    'no-store',
    ruled({ negativeMs: { '404': 2_000 } }, { status: 404 }),
  ],
  [
    '7.1: 4xx is not 400',
    [],
    'nothing-said',
    ruled({ negativeMs: { '4xx': 2_000, '400': 2_000 } }, { status: 400 }),
  ],
  ['7.1: 4xx is not 403', [], 'nothing-said', ruled({ negativeMs: { '4xx': 2_000 } }, { status: 403 })],
  ['403 by name', [], '2 stored-negative', ruled({ negativeMs: { '403': 2_000 } }, { status: 403 })],
  ['negative is not about successes', [], 'nothing-said', ruled({ negativeMs: { '2xx': 2_000 } })],
  // heuristics
  [
    '4.2.2: a tenth',
    [
      ['Last-Modified', httpDateAt(-1_000)],
      ['Date', now],
    ],
    '100 stored-heuristic',
    ruled({ heuristics: true }),
  ],
  [
    '4.2.2: at most a day',
    [['Last-Modified', httpDateAt(-9e7)]],
    '86400 stored-heuristic',
    ruled({ heuristics: true }),
  ],
  [
    '4.2.2: 404',
    [['Last-Modified', httpDateAt(-1_000)]],
    '100 stored-heuristic',
    ruled({ heuristics: true }, { status: 404 }),
  ],
  [
    '4.2.2: not 403',
    [['Last-Modified', httpDateAt(-1_000)]],
    'nothing-said',
    ruled({ heuristics: true }, { status: 403 }),
  ],
  [
    '4.2.2: public makes it so',
    [cc('public'), ['Last-Modified', httpDateAt(-1_000)]],
    '100 stored-heuristic',
    ruled({ heuristics: true }, { status: 599 }),
  ],
  [
    '4.2.2: not in the future',
    [['Last-Modified', httpDateAt(1_000)]],
    '0 stored-to-validate',
    ruled({ heuristics: true }),
  ],
  [
    '5.4: not against Pragma',
    [
      ['Pragma', 'no-cache'],
      ['Last-Modified', httpDateAt(-1_000)],
    ],
    '0 stored-to-validate',
    ruled({ heuristics: true }),
  ],
  [
    'a guess, and a cookie',
    [['Last-Modified', httpDateAt(-1_000)]],
    'cookie-guess',
    ruled({ heuristics: true }, asked(['Cookie', 'a=b'])),
  ],
  ['nothing to guess from', [], 'nothing-said', ruled({ heuristics: true })],
  ['a tag alone', [tag], '0 stored-to-validate', ruled({ heuristics: true })],
  // age
  ['4.2.3: Age', [cc('max-age=60'), ['Age', '20']], '40 stored-max-age'],
  ['4.2.3: apparent age', [cc('max-age=60'), ['Date', httpDateAt(-50)]], '10 stored-max-age'],
  ['4.2.3: Date ahead of us', [cc('max-age=60'), ['Date', httpDateAt(50)]], '60 stored-max-age'],
  [
    '4.2.3: the larger of both',
    [cc('max-age=60'), ['Date', httpDateAt(-50)], ['Age', '55']],
    '5 stored-max-age',
  ],
  ['4.2.3: the way it took', [cc('max-age=60')], '58 stored-max-age', { responseAtUs: 3 * second }],
]

for (const [name, response, expected, more] of table) {
  test(`storage, ${name}: ${expected}`, () => assert.equal(verdict(response, more), expected))
}

test('an Age that cannot be believed counts as the oldest (RFC 9111 4.2.3, 5.1)', () => {
  const oldest = 2_147_483_648
  const ages: readonly (readonly [string | undefined, number])[] = [
    [undefined, 0],
    ['0', 0],
    ['7200', 7200],
    ['99999999999999', oldest],
    ['abc', oldest],
    ['-7200', oldest],
    ['7200.0', oldest],
    ['7200;foo=bar', oldest],
    ['', oldest],
    ['7200,0', 7200],
    ['0,7200', 0],
    ['0, 0', oldest],
    ['0, 7200', oldest],
    ['3600,3600', oldest],
  ]
  for (const [field, seconds] of ages) assert.equal(ageOf(field), seconds, `Age: ${field}`)
})

const flagsOf = (response: Pairs, more?: More): number => judgeStorage(question(response, more)).flags

test('what forbids stale answers is one flag (RFC 9111 4.2.4)', () => {
  for (const word of ['must-revalidate', 'proxy-revalidate', 's-maxage=9', 'no-cache']) {
    assert.equal(flagsOf([cc(`max-age=9, ${word}`), tag]) & Flag.strict, Flag.strict, word)
  }
  assert.equal(flagsOf([cc('max-age=9')]) & Flag.strict, 0)
})

test('under a ttl rule the words that it stands above do not forbid stale answers, must-revalidate does', () => {
  const rules = ruled({ ttlMs: 9_000 })
  assert.equal(flagsOf([cc('s-maxage=1, no-cache')], rules) & (Flag.strict | Flag.alwaysValidate), 0)
  assert.equal(flagsOf([cc('must-revalidate')], rules) & Flag.strict, Flag.strict)
})

test('flags tell what a stored answer is', () => {
  assert.equal(
    flagsOf([cc('max-age=9, immutable'), tag, ['Vary', 'a']]),
    Flag.immutable | Flag.validators | Flag.varies,
  )
  assert.equal(flagsOf([], ruled({ ttlMs: 9, immutable: true })), Flag.byRule | Flag.immutable)
  assert.equal(flagsOf([], ruled({ negativeMs: { '404': 9 } }, { status: 404 })), Flag.byRule | Flag.negative)
  const guess = flagsOf([['Last-Modified', httpDateAt(-1_000)]], ruled({ heuristics: true }))
  assert.equal(guess, Flag.heuristic | Flag.validators | Flag.varies)
  assert.equal(flagsOf([cc('public, max-age=9')], asked(['Authorization', 'x'])), Flag.authorized)
})

const windows: readonly (readonly [string, string, Partial<CacheRules>, number, number])[] = [
  ['RFC 5861: the origin', 'max-age=9, stale-while-revalidate=3, stale-if-error=4', {}, 3, 4],
  ['a rule', 'max-age=9', { staleWhileRevalidateMs: 5_000, staleIfErrorMs: 6_000 }, 5, 6],
  ['the longer of both', 'max-age=9, stale-while-revalidate=30', { staleWhileRevalidateMs: 5_000 }, 30, 0],
  [
    'must-revalidate forbids both',
    'max-age=9, stale-if-error=4, must-revalidate',
    { staleIfErrorMs: 6_000 },
    0,
    0,
  ],
  ['s-maxage forbids a rule', 's-maxage=9', { staleWhileRevalidateMs: 5_000, staleIfErrorMs: 6_000 }, 0, 0],
  ['s-maxage lets its own windows stand', 's-maxage=9, stale-while-revalidate=3', {}, 3, 0],
  ['under ttl the rule stands', 'must-revalidate', { ttlMs: 9_000, staleIfErrorMs: 6_000 }, 0, 6],
]

for (const [name, control, rules, whileRevalidate, ifError] of windows) {
  test(`windows for stale answers: ${name}`, () => {
    const meta = judgeStorage(question([cc(control), tag], { rules }))
    assert.deepEqual(
      [meta.staleWhileRevalidateUs / second, meta.staleIfErrorUs / second],
      [whileRevalidate, ifError],
    )
  })
}

test('what must not lie in the store is named: Age, stripped cookies, fields that the origin keeps for one client', () => {
  const drop = (response: Pairs, more?: More): readonly string[] =>
    judgeStorage(question(response, more)).drop
  assert.deepEqual(drop([cc('max-age=9')]), ['age'])
  assert.deepEqual(drop([cc('no-cache="a, B", private="c"')]), ['age', 'a', 'b', 'c'])
  assert.deepEqual(drop([], ruled({ stripCookies: true })), ['age', 'set-cookie'])
  assert.deepEqual(drop([], ruled({ stripCookies: true, shareCookies: true })), ['age'])
})

test('an answer for one client is called personal, so that nobody waits for it', () => {
  const personal = (response: Pairs, more?: Partial<StorageQuestion>): boolean =>
    judgeStorage(question(response, more)).personal
  assert.ok(personal([cc('private')]))
  assert.ok(personal([cc('max-age=9'), ['Set-Cookie', 'a']]))
  assert.ok(personal([cc('max-age=9'), ['Vary', '*']]))
  assert.ok(!personal([cc('max-age=9')]))
  assert.ok(!personal([]))
  assert.equal(CacheReason.none, 0)
})
