// The matcher against V8's own expressions where both mean the same, and its promise: work grows with the text, not faster.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pattern, PatternError } from './pattern.ts'
import { PhraseBuilder } from './phrases.ts'
import { Work } from './work.ts'

const plenty = (): Work => new Work(1e9)
const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1')

function matches(source: string, text: string): boolean {
  return new Pattern(source).test(bytesOf(text), text.length, plenty())
}

function groupsOf(source: string, text: string): (string | undefined)[] | null {
  const groups = new Pattern(source).groups(bytesOf(text), text.length, plenty(), text.length)
  if (groups === null) return null
  return Array.from({ length: groups.length / 2 }, (_, index) =>
    groups[index * 2]! < 0 ? undefined : text.slice(groups[index * 2], groups[index * 2 + 1]),
  )
}

/** Patterns that V8 and we read alike. No `^` within: V8 takes `(?:^a){0,2}b` for anchored and finds no `b` behind. */
function patternFrom(random: () => number, depth: number): string {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const atom = (): string => {
    if (depth > 0 && random() < 0.3) return `${pick(['(', '(?:'])}${patternFrom(random, depth - 1)})`
    return pick(['a', 'b', 'c', '\\d', '\\w', '[ab]', '[^a]', '.', '\\b', '\\B', '$', ' ', '1'])
  }
  const piece = (): string => {
    const one = atom()
    if (/^(?:\^|\$|\\[bB])$/.test(one) || random() < 0.6) return one
    return one + pick(['*', '+', '?', '{2}', '{1,3}', '*?', '+?', '{0,2}?'])
  }
  const sequence = (): string => Array.from({ length: 1 + Math.floor(random() * 4) }, piece).join('')
  return random() < 0.25 ? `${sequence()}|${sequence()}` : sequence()
}

function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

test('random patterns match what V8 matches, with the same groups', () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
  const random = seeded(seed)
  for (let round = 0; round < 1500; round += 1) {
    const source = patternFrom(random, 2)
    const reference = new RegExp(source, 's')
    for (let count = 0; count < 6; count += 1) {
      const text = Array.from(
        { length: Math.floor(random() * 9) },
        () => 'abc1 _\n'[Math.floor(random() * 7)],
      ).join('')
      const wanted = reference.exec(text)
      const where = `seed ${seed}: /${source}/ on ${JSON.stringify(text)}`
      assert.equal(matches(source, text), wanted !== null, where)
      // Which of several ways through repeated groups is taken differs where one of them is empty.
      if (!/\)[*+?{]/.test(source)) assert.equal(groupsOf(source, text)?.[0], wanted?.[0], where)
    }
  }
})

test('required texts never keep a match from being found', () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
  const random = seeded(seed)
  let asked = 0
  for (let round = 0; round < 3000; round += 1) {
    const source = patternFrom(random, 2)
    const { pieces } = new Pattern(source)
    if (pieces.every(piece => piece.required.length === 0)) continue
    const text = Array.from({ length: 8 }, () => 'abc1 '[Math.floor(random() * 5)]).join('')
    const found = new RegExp(source, 's').test(text)
    if (!found) continue
    asked += 1
    assert.ok(
      pieces.some(({ required }) =>
        required.every(list => list.some(one => text.toLowerCase().includes(one))),
      ),
      `seed ${seed}: /${source}/ matches ${JSON.stringify(text)} without what it requires`,
    )
  }
  assert.ok(asked > 20)
})

test('groups, case, look-around and back-references are those of PCRE', () => {
  assert.deepEqual(groupsOf('(\\d+)-(\\d+)', 'bytes=12-345,'), ['12-345', '12', '345'])
  assert.deepEqual(groupsOf('(?i)(SeLect)\\s+(.*?)from', 'x select  * FROM t'), [
    'select  * FROM',
    'select',
    '* ',
  ])
  assert.equal(matches('(?i:union)X', 'UNIONX'), true)
  assert.equal(matches('(?i:union)X', 'UNIONx'), false)
  assert.equal(matches('<\\?(?!xml)', '<?xml version'), false)
  assert.equal(matches('<\\?(?!xml)', '<?php'), true)
  assert.equal(matches('(?<!&amp|&lt);', 'a&lt;'), false)
  assert.equal(matches('(?<!&amp|&lt);', 'a&gt;'), true)
  assert.equal(matches('\\b(\\w+)=\\1\\b', 'x abc=abc'), true)
  assert.equal(matches('\\b(\\w+)=\\1\\b', 'x abc=abd'), false)
  assert.equal(matches('^\\s*+;\\s*+x$', '  ;  x'), true)
  assert.equal(matches('a.b', 'a\nb'), true)
  assert.equal(matches('a$', 'a\n'), false)
  assert.equal(matches('(?m)^b$', 'a\nb\nc'), true)
  assert.equal(matches('[\\x00-\\x08\\xff]', 'a\xff'), true)
  assert.equal(matches('[[:alpha:]]{3}', '12abc'), true)
  assert.equal(matches('\\x{ff}|\\x5c', '\\'), true)
})

test('what is not understood is refused, never guessed', () => {
  for (const source of [
    'a(',
    'a)',
    '[a',
    'a{2,1}',
    '*a',
    '\\p{L}',
    '(?<=a*)b',
    'a{2000}',
    '(?&name)',
    '\\2(a)',
  ]) {
    assert.throws(() => new Pattern(source).warm(), PatternError, source)
  }
})

test('work grows with the length of the text and no faster, whatever the pattern', () => {
  const sources = [
    '(a+)+$',
    '(?:a|a)*b',
    '(\\w+\\s*)+:',
    '(?i)<[^>]*>(.*?)</[^>]*>',
    '(?:x+x+)+y',
    '^(?:.*?,){11}P',
    '(.*)(.*)(.*)=',
  ]
  for (const source of sources) {
    const pattern = new Pattern(source)
    for (const unit of ['a', ' ', 'x', 'x,', '<']) {
      const steps = [4000, 16000].map(length => {
        const text = unit.repeat(length)
        const work = plenty()
        pattern.test(bytesOf(text), text.length, work)
        return work.most - work.left
      })
      assert.ok(steps[1]! < steps[0]! * 5 + 20_000, `/${source}/ on '${unit}': ${steps}`)
    }
  }
})

test('a table that is full is begun anew and says the same', () => {
  // Each state remembers which of the last 14 bytes were `a`: 2^14 states.
  const pattern = new Pattern('a.{14}z')
  const random = seeded(7)
  const text = Array.from({ length: 60_000 }, () => (random() < 0.5 ? 'a' : 'b')).join('')
  assert.equal(pattern.test(bytesOf(text), text.length, plenty()), false)
  const hit = `${text}a${'b'.repeat(14)}z`
  assert.equal(pattern.test(bytesOf(hit), hit.length, plenty()), true)
})

test('spent work is no verdict: it says that nothing is left', () => {
  const work = new Work(100)
  assert.equal(new Pattern('a+b').test(bytesOf('a'.repeat(1000)), 1000, work), false)
  assert.equal(work.exhausted, true)
})

test('a pattern with a back-reference gives up by steps, not by time', () => {
  const work = plenty()
  const text = 'a'.repeat(3000)
  new Pattern('(a+)(a+)(a+)x\\1b').test(bytesOf(`${text}x`), text.length + 1, work)
  assert.ok(work.exhausted || work.most - work.left < 1_000_000)
})

test('phrases are found whatever their case, each list by itself, overlapping ones too', () => {
  const builder = new PhraseBuilder()
  builder.add('he', 0)
  builder.add('She', 1)
  builder.add('hers', 2)
  builder.add('x\0y', 40)
  const phrases = builder.build(41)
  const listsIn = (text: string): number[] => {
    const found = new Uint32Array(phrases.words)
    phrases.scan(bytesOf(text), text.length, found, plenty())
    return Array.from({ length: 41 }, (_, id) => id).filter(id => (found[id >>> 5]! & (1 << (id & 31))) !== 0)
  }
  assert.deepEqual(listsIn('uSHErs'), [0, 1, 2])
  assert.deepEqual(listsIn('hi X\0Y'), [40])
  assert.deepEqual(listsIn('h e'), [])
})
