import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { KeyRules } from './contract.ts'
import { compileKey, hostPart } from './key.ts'
import { deviceOf, languageOf } from './languages.ts'
import { fields, plainKey } from './testing/fields.ts'

type Pairs = readonly (readonly [string, string])[]

const target = (rule: KeyRules['query'], query: string): string =>
  compileKey({ ...plainKey, query: rule }).pathAndQuery('/p', query)
const variant = (rules: Partial<KeyRules>, ...pairs: Pairs): string | null =>
  compileKey({ ...plainKey, ...rules }).text(false, 'a', '/p', '', fields(...pairs))

test('a key is host and target; the method is not in it', () => {
  const key = compileKey(plainKey)
  assert.equal(
    key.text(false, 'Tickets.Example', '/films/1', '?b=2&a=1', fields()),
    'tickets.example /films/1?a=1&b=2',
  )
  assert.equal(key.target(true, 'Tickets.Example:443', '/', ''), 'https:tickets.example /')
})

test('a port is part of the host where it is not the own one of its scheme', () => {
  assert.equal(hostPart(false, 'a:80'), 'a')
  assert.equal(hostPart(false, 'a:443'), 'a:443')
  assert.equal(hostPart(true, 'a:443'), 'https:a')
  assert.equal(hostPart(true, 'a:80'), 'https:a:80')
  assert.equal(hostPart(false, '[::1]:8080'), '[::1]:8080')
  assert.notEqual(hostPart(false, 'a:1337'), hostPart(false, 'a'))
})

const queries: readonly (readonly [string, KeyRules['query'], string, string])[] = [
  ['all: sorted, bytes kept', 'all', '?b=2&a=1&&x=%41&a=0', '/p?&a=1&a=0&b=2&x=%41'],
  ['all: one parameter', 'all', '?b', '/p?b'],
  ['all: cloaked, as it came', 'all', '?b=2&a=1;c=3', '/p?b=2&a=1;c=3'],
  ['none', 'none', '?b=2;c=3', '/p'],
  ['only: sorted, bytes kept', { only: ['b', 'a'] }, '?b=%32&x=1&a=1', '/p?a=1&b=%32'],
  ['only: none of them', { only: ['a'] }, '?x=1', '/p'],
  ['only: several of one name keep their order', { only: ['a'] }, '?a=2&x=1&a=1', '/p?a=2&a=1'],
  ['only: an encoded name counts', { only: ['page'] }, '?%70age=2', '/p?%70age=2'],
  ['only: brackets count', { only: ['page'] }, '?page[]=2&page%5Bx%5D=3', '/p?page%5Bx%5D=3&page[]=2'],
  ['only: another case counts', { only: ['page'] }, '?PAGE=2', '/p?PAGE=2'],
  ['only: dots and blanks as PHP reads them', { only: ['a_b'] }, '?a.b=1&+a+b=2', '/p?+a+b=2&a.b=1'],
  ['only: cloaked', { only: ['page'] }, '?x=1;page=2', '/p?x=1;page=2'],
  ['except', { except: ['utm_source'] }, '?utm_source=x&b=1&a=2', '/p?a=2&b=1'],
  [
    'except: cloaked',
    { except: ['utm_source'] },
    '?utm_source=x;callback=evil',
    '/p?utm_source=x;callback=evil',
  ],
  ['except: only by its very name', { except: ['utm_source'] }, '?utm%5Fsource=x', '/p?utm%5Fsource=x'],
  ['a bare question mark', { except: ['a'] }, '?', '/p'],
]
for (const [name, rule, query, expected] of queries) {
  test(`query, ${name}: ${query}`, () => assert.equal(target(rule, query), expected))
}

test('the order of parameters never makes another key, whatever they are', () => {
  const part = fc.stringMatching(/^[ab%=;&]{0,4}$/)
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), parts => {
      const clean = parts.map(one => one.replace(/[;&]/g, ''))
      const sorted = clean
        .map((text, index) => ({ name: text.split('=')[0] as string, text, index }))
        .sort((one, other) =>
          one.name < other.name ? -1 : one.name > other.name ? 1 : one.index - other.index,
        )
      const [given, expected] = [clean, sorted.map(one => one.text)].map(list => `?${list.join('&')}`)
      assert.equal(target('all', given as string), given === '?' ? '/p?' : `/p${expected}`)
    }),
  )
})

test('a query of hundreds of parameters is taken as it came', () => {
  const query = `?${Array.from({ length: 300 }, (_, index) => `p${299 - index}=1`).join('&')}`
  for (const rule of ['all', { only: ['p1'] }] as const) assert.equal(target(rule, query), `/p${query}`)
})

test('headers that count are in the key, absent unlike empty', () => {
  const rules = { headers: ['x-plan'] }
  assert.equal(variant(rules), 'a /p')
  assert.equal(variant(rules, ['X-Plan', 'Gold & co']), 'a /p h.x-plan=Gold%20;%26;%20;co&')
  assert.notEqual(variant(rules, ['X-Plan', '']), variant(rules))
})

test('cookies that count are in the key, others are not', () => {
  const rules = { cookies: ['theme'] }
  const dark = variant(rules, ['Cookie', 'id=1; theme=dark'])
  assert.equal(dark, 'a /p k.theme=dark&')
  assert.equal(variant(rules, ['Cookie', 'theme=dark; id=2']), dark)
  assert.notEqual(variant(rules, ['Cookie', 'theme=light']), dark)
  assert.notEqual(variant(rules, ['Cookie', 'theme=dark; theme=light']), dark)
  assert.notEqual(
    variant(rules, ['Cookie', 'id=1'], ['Cookie', 'theme=light']),
    variant(rules, ['Cookie', 'id=1']),
  )
  assert.notEqual(variant(rules, ['Cookie', 'theme=a,1']), variant(rules, ['Cookie', 'theme=a,2']))
  assert.equal(variant(rules, ['Cookie', 'id=1']), 'a /p')
})

test('a variant that is too long makes no key', () => {
  assert.equal(variant({ headers: ['x'] }, ['X', 'y'.repeat(9_000)]), null)
})

test('device, country and language are classes', () => {
  const rules = { device: true, countryHeader: 'cf-ipcountry', languages: ['en', 'de'] }
  assert.equal(
    variant(rules, ['User-Agent', 'iPhone'], ['CF-IPCountry', 'de'], ['Accept-Language', 'de-AT, en;q=0.5']),
    'a /p d=mobile&c=DE&l=de&',
  )
  assert.equal(variant(rules, ['CF-IPCountry', '../x']), 'a /p d=desktop&c=ZZ&l=en&')
})

test('devices are told by what browsers say', () => {
  const android = 'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/124.0.0.0'
  const table: readonly (readonly [string | undefined, string | undefined, string])[] = [
    [undefined, undefined, 'desktop'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148', undefined, 'mobile'],
    ['Mozilla/5.0 (iPad; CPU OS 12_0 like Mac OS X) Mobile/15E148', undefined, 'tablet'],
    [`${android} Mobile Safari/537.36`, undefined, 'mobile'],
    [`${android} Safari/537.36`, undefined, 'tablet'],
    [`${android} Safari/537.36`, '?1', 'mobile'],
    ['Mozilla/5.0 (X11; Linux x86_64) Firefox/125.0', undefined, 'desktop'],
    ['Mozilla/5.0 (Windows NT 10.0; Win64)', '?0', 'desktop'],
    ['Mozilla/5.0 (Linux) AppleWebKit (KHTML, like Gecko) Silk/1', undefined, 'tablet'],
    ['x', '?1', 'mobile'],
  ]
  for (const [agent, hint, expected] of table) assert.equal(deviceOf(agent, hint), expected, `${agent}`)
})

test('a language is looked up as RFC 4647 3.4 has it, then the first', () => {
  const of = (field: string | undefined): string => languageOf(field, ['en', 'de', 'pt-BR'])
  assert.equal(of(undefined), 'en')
  assert.equal(of('fr'), 'en')
  assert.equal(of('*'), 'en')
  assert.equal(of('de'), 'de')
  assert.equal(of('DE-at-1996'), 'de')
  assert.equal(of('fr, pt;q=0.8, de;q=0.7'), 'pt-BR')
  assert.equal(of('de;q=0, pt-br;q=0.1'), 'pt-BR')
  assert.equal(of('de;q=x, en;q=0.1'), 'en')
  assert.equal(languageOf('de', []), '')
})
