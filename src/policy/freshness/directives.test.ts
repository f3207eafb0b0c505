import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ask } from './contract.ts'
import { type Directives, readCacheControl, requestDirectives, Said } from './directives.ts'
import { spokenBy } from './targeted.ts'
import { fields, nothingAsked, plainRules } from './testing/fields.ts'

const read = (text: string): Partial<Directives> => {
  const {
    flags,
    maxAge,
    sharedMaxAge,
    staleWhileRevalidate,
    staleIfError,
    fields: names,
  } = readCacheControl(text)
  const said: Record<string, unknown> = {}
  if (flags !== 0) said.flags = flags
  if (maxAge !== -1) said.maxAge = maxAge
  if (sharedMaxAge !== -1) said.sharedMaxAge = sharedMaxAge
  if (staleWhileRevalidate !== -1) said.staleWhileRevalidate = staleWhileRevalidate
  if (staleIfError !== -1) said.staleIfError = staleIfError
  if (names.length > 0) said.fields = names
  return said
}

const table: readonly (readonly [string, Partial<Directives>, string])[] = [
  ['', {}, 'nothing said'],
  [' , ,', {}, 'RFC 9110 5.6.1: empty members mean nothing'],
  ['max-age=3600', { maxAge: 3600 }, '5.2.2.1'],
  ['MaX-aGe=3600', { maxAge: 3600 }, '5.2: names in any case'],
  ['max-age="3600"', { maxAge: 3600 }, '5.2: quoted or not'],
  ["max-age='3600'", { maxAge: 0 }, 'single quotes are no quotes'],
  ['max-age=003600', { maxAge: 3600 }, '1.2.2: leading zeros'],
  ['max-age=-5', { maxAge: 0 }, '4.2.1: malformed is stale'],
  ['max-age=3600.0', { maxAge: 0 }, '1.2.2: whole seconds'],
  ['max-age=1e3', { maxAge: 0 }, 'digits only'],
  ['max-age', { maxAge: 0 }, 'no value'],
  ['max-age=', { maxAge: 0 }, 'empty value'],
  ['max-age =3600', { maxAge: 0 }, 'no blank before ='],
  ['max-age= 3600', { maxAge: 0 }, 'no blank after ='],
  ['max-age=3600 x', { maxAge: 0 }, 'two values'],
  ['max-age=99999999999', { maxAge: 2_147_483_648 }, '1.2.2: overflow'],
  [`max-age=${'9'.repeat(5_000)}`, { maxAge: 2_147_483_648 }, 'overflow of any length'],
  ['max-age=60, max-age=60', { maxAge: 60 }, 'said twice, the same'],
  ['max-age=60, max-age=90', { maxAge: 0 }, '4.2.1: conflicting is stale'],
  ['max-age=60, max-age=90, max-age=60', { maxAge: 0 }, 'and stays so'],
  ['s-maxage=1,max-age=2', { sharedMaxAge: 1, maxAge: 2 }, '5.2.2.10'],
  ['extension="max-age=3600", max-age=1', { maxAge: 1 }, 'what is quoted is a value'],
  ['a="x, no-store", max-age=1', { maxAge: 1 }, 'commas in quotes do not part'],
  ['a="x\\", max-age=9", max-age=1', { maxAge: 1 }, 'RFC 9110 5.6.4: escaped quotes'],
  ['a="never closed, max-age=9', {}, 'what is never closed swallows the rest'],
  ['foobar, max-age=5, x=y', { maxAge: 5 }, '5.2.3: unknown directives'],
  ['No-StOrE', { flags: Said.noStore }, '5.2.2.5'],
  ['no-store=yes', { flags: Said.noStore }, 'with a value that it does not have'],
  ['private', { flags: Said.private }, '5.2.2.7'],
  ['private=x', { flags: Said.private }, 'no quoted list: the whole'],
  ['private=""', { flags: Said.private }, 'an empty list: the whole'],
  ['private="a b"', { flags: Said.private }, 'not names: the whole'],
  ['private="Set-Cookie, X-A"', { fields: ['set-cookie', 'x-a'] }, '5.2.2.7: these fields'],
  ['no-cache="A",no-cache="b"', { fields: ['a', 'b'] }, '5.2.2.4: these fields'],
  ['no-cache', { flags: Said.noCache }, '5.2.2.4'],
  [
    'public,must-revalidate,proxy-revalidate,must-understand,immutable',
    {
      flags: Said.public | Said.mustRevalidate | Said.proxyRevalidate | Said.mustUnderstand | Said.immutable,
    },
    '5.2.2, RFC 8246',
  ],
  [
    'stale-while-revalidate=30, stale-if-error=40',
    { staleWhileRevalidate: 30, staleIfError: 40 },
    'RFC 5861',
  ],
  ['stale-if-error=x', { staleIfError: 0 }, 'malformed: none'],
]

for (const [text, expected, clause] of table) {
  test(`Cache-Control reads ${JSON.stringify(text.slice(0, 60))} (${clause})`, () => {
    assert.deepEqual(read(text), expected)
  })
}

test('a hostile Cache-Control is read in linear time and with bounded results', () => {
  const names = Array.from({ length: 5_000 }, (_, index) => `f${index}`).join(',')
  const said = readCacheControl(`no-cache="${names}", ${'"'.repeat(10_000)}, ${'a='.repeat(20_000)}`)
  assert.equal(said.fields.length, 0)
  assert.equal(said.flags & Said.noCache, Said.noCache)
})

const targeted: readonly (readonly [string, Partial<Directives> | null, string])[] = [
  ['max-age=60', { maxAge: 60 }, '2.1'],
  ['max-age=60, foo, bar="x", baz=(1 2)', { maxAge: 60 }, 'unknown directives are kept and say nothing'],
  ['max-age=60;x=1; y', { maxAge: 60 }, 'parameters say nothing'],
  ['max-age=60,  no-store', { maxAge: 60, flags: Said.noStore }, 'blanks between members'],
  ['max-age=10, max-age=20', { maxAge: 20 }, 'RFC 8941 3.2: the last one stands'],
  ['max-age="60"', {}, 'a value of another type: that directive is ignored'],
  ['max-age=60.5', {}, 'a decimal is no number of seconds'],
  ['max-age', {}, 'a boolean neither'],
  ['no-store=?0', {}, 'false: not said'],
  ['private', { flags: Said.private }, 'a bare key is true'],
  ['', null, '2.1: an empty field is ignored'],
  ['  ', null, '2.1: blank'],
  ['max-age=60,', null, 'RFC 8941 4.2.2: a trailing comma'],
  ['max-age=60,,no-store', null, 'an empty member'],
  ['MaX-aGe=60', null, 'keys are lower case'],
  ['max-age=60, &&&&', null, 'no key'],
  ['max-age= 60', null, 'a blank in a member'],
  ['max-age=60 no-store', null, 'no comma'],
  ['a="open, max-age=60', null, 'a string that never closes'],
]

for (const [text, expected, clause] of targeted) {
  test(`CDN-Cache-Control ${JSON.stringify(text)} ${expected === null ? 'is ignored' : 'stands'} (RFC 9213: ${clause})`, () => {
    const { directives, targeted: is } = spokenBy(
      fields(['CDN-Cache-Control', text], ['Cache-Control', 'max-age=7']),
    )
    assert.equal(is, expected !== null)
    const { flags, maxAge } = directives
    assert.deepEqual({ flags, maxAge }, { flags: 0, maxAge: -1, ...(expected ?? { maxAge: 7 }) })
  })
}

test('Surrogate-Control stands in for Cache-Control where it is for us and says something about storing', () => {
  const seen = (text: string): string => {
    const { directives, targeted: is } = spokenBy(
      fields(['Surrogate-Control', text], ['Cache-Control', 'no-store']),
    )
    return is ? `${directives.maxAge} ${directives.flags} ${directives.staleWhileRevalidate}` : 'not for us'
  }
  assert.equal(seen('max-age=60'), '60 0 -1')
  assert.equal(seen('max-age=60;tenfold'), '60 0 -1')
  assert.equal(seen('max-age=60+30'), '60 0 30')
  assert.equal(seen('max-age=60;another'), 'not for us')
  assert.equal(seen('max-age=60;another, no-store'), `-1 ${Said.noStore} -1`)
  assert.equal(seen('content="ESI/1.0"'), 'not for us')
  assert.equal(seen('MaX-aGe=60'), '60 0 -1')
  assert.equal(seen('max-age =60'), 'not for us')
})

test('CDN-Cache-Control goes before Surrogate-Control', () => {
  const { directives } = spokenBy(
    fields(['Surrogate-Control', 'max-age=1'], ['CDN-Cache-Control', 'max-age=2']),
  )
  assert.equal(directives.maxAge, 2)
})

test('a client without Cache-Control and Pragma asks for nothing, and no object is made for it', () => {
  assert.deepEqual(requestDirectives(fields(), plainRules), nothingAsked)
  assert.equal(requestDirectives(fields(), plainRules), requestDirectives(fields(), plainRules))
})

test("clients' directives are read (RFC 9111 5.2.1)", () => {
  const asked = (text: string) => requestDirectives(fields(['Cache-Control', text]), plainRules)
  assert.deepEqual(asked('no-cache'), { ...nothingAsked, flags: Ask.noCache })
  assert.deepEqual(asked('no-store, only-if-cached'), {
    ...nothingAsked,
    flags: Ask.noStore | Ask.onlyIfCached,
  })
  assert.deepEqual(asked('max-age=5, min-fresh=6, max-stale=7'), {
    flags: 0,
    maxAgeSeconds: 5,
    minFreshSeconds: 6,
    maxStaleSeconds: 7,
  })
  assert.equal(asked('max-stale').maxStaleSeconds, 2_147_483_648)
  assert.equal(asked('max-age=x').maxAgeSeconds, 0)
})

test('Pragma: no-cache counts only without Cache-Control (RFC 9111 5.4)', () => {
  assert.equal(requestDirectives(fields(['Pragma', 'no-cache']), plainRules).flags, Ask.noCache)
  assert.equal(requestDirectives(fields(['Pragma', 'x']), plainRules).flags, 0)
  assert.equal(
    requestDirectives(fields(['Pragma', 'no-cache'], ['Cache-Control', 'max-age=9']), plainRules).flags,
    0,
  )
})

test('where a rule says how long, clients have no say', () => {
  const asked = requestDirectives(fields(['Cache-Control', 'no-cache']), { ...plainRules, ttlMs: 1_000 })
  assert.deepEqual(asked, nothingAsked)
})
