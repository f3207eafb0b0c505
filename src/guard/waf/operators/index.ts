// The operators of rule sets by name (ModSecurity's reference manual, "Operators"). Each one: its parameter in, a test
// of one value out. `%{...}` in a parameter is filled in for each request.

import type { Value } from '../engine/value.ts'
import { detectSqli } from '../libinjection/sqli.ts'
import { detectXss } from '../libinjection/xss.ts'
import { Pattern, PatternError } from '../matcher/pattern.ts'
import { addressList } from './addresses.ts'
import { byteRange, urlEncodingIsBad, utf8IsBad } from './encodings.ts'
import { type Operator, OperatorError, type Scene } from './operator.ts'
import type { Registry } from './registry.ts'

export interface OperatorNeeds {
  readonly registry: Registry
  /** A file beside the rule's. */
  readFile(name: string): string
}

type Make = (parameter: string, needs: OperatorNeeds) => Operator

/** Steps of libinjection a byte, roughly: it may read a text five times. */
const injectionSteps = 20

function numeric(name: string, test: (left: number, right: number) => boolean): Make {
  return parameter => {
    if (parameter.includes('%{')) {
      return { name, test: (value, scene) => test(integer(value.text), integer(scene.expand(parameter))) }
    }
    const fixed = integer(parameter)
    return { name, test: value => test(integer(value.text), fixed) }
  }
}

/** As C's atoi: what is no number is 0. */
export function integer(text: string): number {
  const found = /^\s*[+-]?\d{1,15}/.exec(text.slice(0, 64))
  return found === null ? 0 : Number(found[0])
}

function textual(name: string, test: (text: string, parameter: string) => boolean): Make {
  return parameter => ({
    name,
    test: (value, scene) => {
      scene.work.spend(value.length)
      return test(value.text, scene.expand(parameter))
    },
  })
}

function groupTexts(pattern: Pattern, value: Value, scene: Scene): readonly string[] {
  const groups = pattern.groups(value.bytes, value.length, scene.work)
  if (groups === null) return []
  const texts: string[] = []
  for (let at = 0; at + 1 < groups.length && at < 20; at += 2) {
    texts.push(groups[at]! < 0 ? '' : value.text.slice(groups[at], groups[at + 1]))
  }
  return texts
}

const rx: Make = (parameter, needs) => {
  if (parameter.includes('%{')) return patternWithMacros(parameter)
  const { pattern, list } = needs.registry.pattern(parameter)
  return {
    name: 'rx',
    test: (value, scene) => {
      if (list >= 0 && !value.holds(needs.registry.phrases, list, scene.work)) return false
      return pattern.test(value.bytes, value.length, scene.work)
    },
    captures: (value, scene) => groupTexts(pattern, value, scene),
  }
}

/** Patterns made of one parameter that are kept; settings rarely give a second one. */
const madePatternsMax = 8
/** Steps that making a pattern costs a byte of it. */
const makingSteps = 500

/** The pattern is known only with the request. One that can't be used matches nothing. */
function patternWithMacros(parameter: string): Operator {
  const made = new Map<string, Pattern | null>()
  const patternFor = (scene: Scene): Pattern | null => {
    const source = scene.expand(parameter)
    const known = made.get(source)
    if (known !== undefined) return known
    scene.work.spend(source.length * makingSteps)
    if (made.size >= madePatternsMax) made.clear()
    made.set(source, usablePattern(source))
    return made.get(source)!
  }
  return {
    name: 'rx',
    test: (value, scene) => patternFor(scene)?.test(value.bytes, value.length, scene.work) ?? false,
    captures: (value, scene) => {
      const pattern = patternFor(scene)
      return pattern === null ? [] : groupTexts(pattern, value, scene)
    },
  }
}

function usablePattern(source: string): Pattern | null {
  try {
    return new Pattern(source)
  } catch (error) {
    if (error instanceof PatternError) return null
    throw error
  }
}

function phraseOperator(name: string, phrases: readonly string[], needs: OperatorNeeds): Operator {
  const wanted = phrases.filter(phrase => phrase !== '')
  const list = needs.registry.addPhrases(wanted)
  const whole = needs.registry.addWhole(wanted)
  return {
    name,
    // Most values have no beginning of a phrase; only the others are walked over for whole ones.
    test: (value, scene) => {
      if (!value.holds(needs.registry.phrases, list, scene.work)) return false
      const found = new Uint32Array(1)
      whole().scan(value.bytes, value.length, found, scene.work)
      return found[0] !== 0
    },
    captures: value => {
      const text = value.text.toLowerCase()
      const found = wanted.find(phrase => text.includes(phrase.toLowerCase()))
      return found === undefined ? [] : [found]
    },
  }
}

/** Snort's spelling: `A|42|C` is `ABC`. */
const pm: Make = (parameter, needs) => {
  const plain = parameter.replace(/\|([0-9A-Fa-f ]+)\|/g, (_, digits: string) =>
    Buffer.from(digits.replaceAll(' ', ''), 'hex').latin1Slice(),
  )
  return phraseOperator('pm', plain.split(/[ \t]+/), needs)
}

const pmFromFile: Make = (parameter, needs) => {
  const phrases = parameter
    .split(/\s+/)
    .filter(Boolean)
    .flatMap(name => needs.readFile(name).split('\n'))
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
  return phraseOperator('pmFromFile', phrases, needs)
}

function addresses(name: string, list: readonly string[]): Operator {
  const holds = addressList(list)
  return { name, test: value => holds(value.text) }
}

function never(name: string): Make {
  return () => ({ name, never: true, test: () => false })
}

const operators: Readonly<Record<string, Make>> = {
  beginswith: textual('beginsWith', (text, parameter) => text.startsWith(parameter)),
  contains: textual('contains', (text, parameter) => text.includes(parameter)),
  containsword: textual('containsWord', containsWord),
  detectsqli: () => ({
    name: 'detectSQLi',
    test: (value, scene) => scene.work.spend(value.length * injectionSteps) && detectSqli(value.text) !== '',
    captures: value => [detectSqli(value.text)],
  }),
  detectxss: () => ({
    name: 'detectXSS',
    test: (value, scene) => scene.work.spend(value.length * injectionSteps) && detectXss(value.text),
  }),
  endswith: textual('endsWith', (text, parameter) => text.endsWith(parameter)),
  eq: numeric('eq', (left, right) => left === right),
  ge: numeric('ge', (left, right) => left >= right),
  gt: numeric('gt', (left, right) => left > right),
  le: numeric('le', (left, right) => left <= right),
  lt: numeric('lt', (left, right) => left < right),
  geolookup: never('geoLookup'),
  rbl: never('rbl'),
  gsblookup: never('gsbLookup'),
  inspectfile: never('inspectFile'),
  ipmatch: parameter => addresses('ipMatch', parameter.split(',')),
  ipmatchf: (parameter, needs) => addresses('ipMatchFromFile', needs.readFile(parameter).split('\n')),
  ipmatchfromfile: (parameter, needs) => addresses('ipMatchFromFile', needs.readFile(parameter).split('\n')),
  nomatch: never('noMatch'),
  pm,
  pmf: pmFromFile,
  pmfromfile: pmFromFile,
  rx,
  rxglobal: rx,
  streq: textual('streq', (text, parameter) => text === parameter),
  strmatch: textual('strmatch', (text, parameter) => text.includes(parameter)),
  unconditionalmatch: () => ({ name: 'unconditionalMatch', test: () => true }),
  validatebyterange: parameter => {
    const allowed = byteRange(parameter)
    return { name: 'validateByteRange', test: value => value.bytes.some(byte => allowed[byte] === 0) }
  },
  validateurlencoding: () => ({ name: 'validateUrlEncoding', test: value => urlEncodingIsBad(value.text) }),
  validateutf8encoding: () => ({ name: 'validateUtf8Encoding', test: value => utf8IsBad(value.text) }),
  within: textual('within', (text, parameter) => parameter.includes(text)),
}

/** Operators that CRS has and that never match here, by choice. */
export const neverMatching: ReadonlySet<string> = new Set(['geoLookup', 'rbl', 'gsbLookup', 'inspectFile'])

export function compileOperator(name: string, parameter: string, needs: OperatorNeeds): Operator {
  const make = operators[name.toLowerCase()]
  if (make === undefined) throw new OperatorError(`the operator @${name} is not supported`)
  try {
    return make(parameter, needs)
  } catch (error) {
    if (error instanceof PatternError) throw new OperatorError(`the pattern can't be used: ${error.message}`)
    throw error
  }
}

function containsWord(text: string, word: string): boolean {
  if (word === '') return true
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (!isWord(text[at - 1]) && !isWord(text[at + word.length])) return true
  }
  return false
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /^[A-Za-z0-9_]$/.test(character)
}
