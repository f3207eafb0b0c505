import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type BodyContents,
  type BodyProblem,
  bodyKindOf,
  bodyLimits,
  readBodyText,
  readContentType,
  readXmlText,
} from './index.ts'
import { bodiesThatAreClear, bodiesThatAreNot } from './testing/bodies.ts'

function read(contentType: string, body: string): BodyContents | BodyProblem {
  const type = readContentType([contentType])
  assert.ok(type !== null)
  if ('problem' in type) return type
  const kind = bodyKindOf(type.type)
  assert.ok(kind !== null, contentType)
  return readBodyText(kind, type, body)
}

function clear(contentType: string, body: string): BodyContents {
  const read_ = read(contentType, body)
  assert.ok(!('problem' in read_), JSON.stringify(read_))
  return read_
}

const bytes = (text: string): string => Buffer.from(text).latin1Slice()
const form = 'application/x-www-form-urlencoded'

test('each malformed body of the table is a problem, and the one that it is there for', () => {
  assert.ok(bodiesThatAreNot.length >= 60, `${bodiesThatAreNot.length} bodies`)
  for (const [what, problem, contentType, body] of bodiesThatAreNot) {
    const found = read(contentType, body)
    assert.ok('problem' in found, `${what} is taken`)
    assert.equal(found.problem, problem, what)
    assert.ok(found.at >= 0 && found.at <= body.length, what)
  }
})

test('bodies that clients really send are clear', () => {
  for (const [what, contentType, body] of bodiesThatAreClear)
    assert.ok(!('problem' in read(contentType, body)), `${what}: ${JSON.stringify(read(contentType, body))}`)
})

test('a form gives its fields decoded, in order, names twice too', () => {
  assert.deepEqual(clear(form, 'a=1&b=%3Cx%3E+y&a=2&&c&%C3%A9=').args, [
    ['a', '1'],
    ['b', '<x> y'],
    ['a', '2'],
    ['c', ''],
    [bytes('é'), ''],
  ])
})

test('JSON gives its values by path, escapes undone, and no numbers of lists', () => {
  const body = bytes('{"a":{"b":"é\\u00e9\\ud83d\\ude00\\n"},"list":[1,"x",{"k":2}],"t":true,"n":null}')
  assert.deepEqual(clear('application/json', body).args, [
    ['json.a.b', bytes('éé😀\n')],
    ['json.list.1', 'x'],
    ['json.list.2.k', '2'],
    ['json.t', 'true'],
    ['json.n', 'null'],
  ])
  assert.deepEqual(clear('application/json', ' "x" ').args, [['json', 'x']])
})

test('text that looks like JSON is looked at as both', () => {
  assert.deepEqual(clear('text/plain', '{"a":"\\u0041"}').args, [
    ['body', '{"a":"\\u0041"}'],
    ['json.a', 'A'],
  ])
  assert.deepEqual(clear('text/plain', '[note] hello').args, [['body', '[note] hello']])
})

test('a multipart body gives fields, files by their place, and part headers', () => {
  const body = [
    '--B',
    'Content-Disposition: form-data; name="a"',
    '',
    'one\r\ntwo',
    '--B',
    'Content-Disposition: form-data; name="f"; filename="x.png"',
    'Content-Type: image/png',
    '',
    '\x89PNG\r\n\x1a\n\xff\xfe',
    '--B',
    'Content-Disposition: form-data; name="j"; filename="blob"',
    'Content-Type: application/json',
    '',
    '{"k":"v"}',
    '--B--',
    '',
  ].join('\r\n')
  const { args, files, partHeaders } = clear('multipart/form-data; boundary=B', body)
  assert.deepEqual(args, [
    ['a', 'one\r\ntwo'],
    ['j.k', 'v'],
  ])
  assert.deepEqual(
    files.map(({ field, name, type, from, to }) => [field, name, type, body.slice(from, to)]),
    [
      ['f', 'x.png', 'image/png', '\x89PNG\r\n\x1a\n\xff\xfe'],
      ['j', 'blob', 'application/json', '{"k":"v"}'],
    ],
  )
  assert.deepEqual(partHeaders[2], ['f', 'Content-Type: image/png'])
})

test('XML gives its texts and attributes with references undone', () => {
  const body = bytes(
    '<?xml version="1.0" encoding="UTF-8"?><!-- c --><a b="1 &lt; 2"><c>x &#x41;&amp;</c><![CDATA[<y>]]></a>',
  )
  const found = clear('text/xml', body)
  assert.deepEqual([found.xmlTexts, found.xmlAttributes], [['x A&', '<y>'], ['1 < 2']])
})

test('several Content-Type fields, or none, are told apart from one', () => {
  const twice = readContentType(['text/plain', 'text/plain'])
  assert.ok(twice !== null && 'problem' in twice && twice.problem === 'content-type-twice')
  assert.equal(readContentType([]), null)
})

test('whatever JSON.stringify writes is clear, and its strings come back', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), value => {
      const text = JSON.stringify(value)
      const found = readBodyText('json', { type: 'application/json', parameters: new Map() }, bytes(text))
      if ('problem' in found) {
        // Lone surrogates and controls in keys are possible values, and refused.
        assert.match(found.problem, /^(?:json-surrogate|name-control|prototype-key)$/)
        return
      }
      if (typeof value === 'string') assert.equal(Buffer.from(found.args[0]![1], 'latin1').toString(), value)
    }),
    { numRuns: 300 },
  )
})

test('what is clear as JSON is what JSON.parse takes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...'{}[]",:\\u01eE+-.tn fals'.split('')), { maxLength: 24 }),
      chars => {
        const text = chars.join('')
        const found = readBodyText('json', { type: 'application/json', parameters: new Map() }, text)
        if (!('problem' in found)) assert.doesNotThrow(() => JSON.parse(text), text)
      },
    ),
    { numRuns: 20_000 },
  )
})

test('whatever URLSearchParams writes is clear, and comes back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }))),
      pairs => {
        const text = new URLSearchParams(pairs.map(([name, value]) => [`n${name}`, value])).toString()
        const found = readBodyText('urlencoded', { type: form, parameters: new Map() }, text)
        if ('problem' in found) {
          assert.match(found.problem, /^name-control$/)
          return
        }
        assert.deepEqual(
          found.args.map(([name, value]) => [
            Buffer.from(name, 'latin1').toString(),
            Buffer.from(value, 'latin1').toString(),
          ]),
          pairs.map(([name, value]) => [`n${name}`, value]),
        )
      },
    ),
    { numRuns: 300 },
  )
})

test('rubbish is never taken for an error of ours, by any reader', () => {
  const kinds = ['urlencoded', 'multipart', 'json', 'xml', 'text'] as const
  const type = { type: 'x/y', parameters: new Map([['boundary', 'B']]) }
  for (let round = 0; round < 2_000; round++) {
    const junk = randomBytes(64).latin1Slice()
    const seeds = ['', '{"a":', '<a b="', '--B\r\nContent-Disposition: form-data; name="', 'a=%']
    for (const kind of kinds) readBodyText(kind, type, seeds[round % seeds.length] + junk)
  }
})

test('many keys, deep nesting and long names end at their bounds', () => {
  const keys = Array.from({ length: 100_000 }, (_, i) => `"k${i}":1`).join()
  const problemOf = (kind: 'json' | 'urlencoded' | 'xml', text: string): string => {
    const found = readBodyText(kind, { type: 'x/y', parameters: new Map() }, text)
    return 'problem' in found ? `${found.problem} ${found.at < 200_000}` : 'taken'
  }
  assert.equal(problemOf('json', `{${keys}}`), 'too-many-arguments true')
  assert.equal(
    problemOf('urlencoded', keys.replaceAll('"', '').replaceAll(':1,', '=1&')),
    'too-many-arguments true',
  )
  assert.equal(problemOf('json', '['.repeat(100_000)), 'too-deep true')
  assert.equal(problemOf('xml', '<a>'.repeat(100_000)), 'too-deep true')
  assert.equal(problemOf('json', `{"${'k'.repeat(2_000)}":1}`), 'name-too-long true')
  assert.equal(problemOf('json', `[${'1,'.repeat(30_000)}1]`), 'taken')
  const wide = `<a>${'<b/>'.repeat(bodyLimits.argsMax)}</a>`
  assert.ok('problem' in readXmlText(wide))
})
