import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pattern } from '../matcher/pattern.ts'
import { Work } from '../matcher/work.ts'
import { compileRules, RuleBook } from '../rules.ts'
import type { WafBody, WafJudgement } from '../transaction.ts'
import { builtinRules, builtinSources } from './index.ts'
import { attackSamples, benignSamples } from './testing/samples.ts'

const set = compileRules(builtinSources())
const book = new RuleBook(set, {
  paranoia: 1,
  inboundThreshold: 5,
  outboundThreshold: 4,
  exclude: [],
  endsAtRefusal: false,
})
const headers = [
  ['Host', 'shop.example'],
  [
    'User-Agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  ],
  ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
  ['Accept-Language', 'de-DE,de;q=0.9,en;q=0.8'],
  ['Cookie', 'session=6f1d2c3b4a5968778695a4b3c2d1e0ff; theme=dark; consent={"ads":false}'],
  ['Referer', 'https://shop.example/films?q=alien&page=2'],
] as const

function judge(text: string, how: 'query' | 'json'): WafJudgement {
  const transaction = book.open()
  const target = how === 'query' ? `/search?q=${encodeURIComponent(text)}` : '/api'
  transaction.requestHead({
    method: how === 'query' ? 'GET' : 'POST',
    target,
    protocol: 'HTTP/1.1',
    address: '192.0.2.1',
    requestId: 'x',
    headers,
  })
  const bytes = Buffer.from(text).latin1Slice()
  const body: WafBody = {
    processor: 'JSON',
    bytes: bytes.length,
    text: bytes,
    args: [['json.text', bytes]],
    files: [],
    partHeaders: [],
    xmlTexts: [],
    xmlAttributes: [],
    error: '',
  }
  transaction.requestBody(how === 'query' ? null : body)
  return transaction.judgement
}

for (const [kind, samples] of Object.entries(attackSamples))
  test(`built-in rules refuse ${kind}, in a query and in JSON`, () => {
    const missed = samples.flatMap(text =>
      (['query', 'json'] as const).flatMap(how =>
        judge(text, how).refused === null ? `${how}: ${text}` : [],
      ),
    )
    assert.deepEqual(missed, [])
  })

test('built-in rules let prose, names, code of admins and foreign words pass', () => {
  const refused = benignSamples.flatMap(text =>
    (['query', 'json'] as const).flatMap(how => {
      const { refused, matches } = judge(text, how)
      return refused === null ? [] : `${matches.map(match => match.rule).join()}: ${text}`
    }),
  )
  assert.deepEqual(refused, [])
})

test('each rule has a number of its own, and none has look-around or back-references', () => {
  assert.equal(new Set(builtinRules.map(rule => rule.id)).size, builtinRules.length)
  for (const { id, operator } of builtinRules) {
    assert.ok(id > 9_000_000 && id < 9_001_000)
    assert.doesNotMatch(operator, /\(\?[=!<]|\\[1-9]/, `rule ${id}`)
  }
})

test('the work of each pattern grows with its input and no faster', () => {
  const pieces = [
    ' ',
    'x',
    '<',
    '../',
    "' or ",
    'select ',
    '${',
    '{{',
    '(',
    ';',
    '\\',
    '%',
    'QUJDREVG',
    '<a ',
    '\n',
    '/*',
    '0',
  ]
  for (const { id, operator } of builtinRules) {
    if (!operator.startsWith('@rx ')) continue
    const pattern = new Pattern(operator.slice(4), true)
    const steps = (text: string): number => {
      const max = 1_000_000_000
      const work = new Work(max)
      const bytes = Buffer.from(text, 'latin1')
      pattern.test(bytes, bytes.length, work)
      return max - work.left
    }
    for (const piece of pieces) {
      const once = steps(piece.repeat(Math.ceil(8_000 / piece.length)))
      const twice = steps(piece.repeat(Math.ceil(16_000 / piece.length)))
      assert.ok(twice <= 2.2 * once + 2_000, `rule ${id} on ${JSON.stringify(piece)}: ${once}, then ${twice}`)
    }
  }
})
