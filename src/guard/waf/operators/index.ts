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

function groupTexts(pattern: Pattern, value: Value, scene: Scene, end: number): readonly string[] {
  const groups = pattern.groups(value.bytes, value.length, scene.work, end)
  if (groups === null) return []
  const texts: string[] = []
  for (let at = 0; at + 1 < groups.length && at < 20; at += 2) {
    texts.push(groups[at]! < 0 ? '' : value.text.slice(groups[at], groups[at + 1]))
  }
  return texts
}

const rx: Make = (parameter, needs) => {
  if (parameter.includes('%{')) return patternWithMacros(parameter)
  const { registry } = needs
  const { pattern, lists } = registry.pattern(parameter)
  // Of the last match: what is captured is asked for right after it.
  let end = 0
  return {
    name: 'rx',
    test: (value, scene) => {
      for (let index = 0; index < lists.length; index += 1) {
        if (!value.holdsAll(registry.phrases, lists[index]!, scene.work)) continue
        end = pattern.endOf(pattern.pieces[index]!, value.bytes, value.length, scene.work)
        if (end >= 0) return true
      }
      return false
    },
    captures: (value, scene) => groupTexts(pattern, value, scene, end),
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
      return pattern === null ? [] : groupTexts(pattern, value, scene, value.length)
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
  const { registry } = needs
  const list = registry.addPhrases(phrases.filter(phrase => phrase !== ''))
  return {
    name,
    test: (value, scene) => value.holds(registry.phrases, list, scene.work),
    captures: (value, scene) => {
      scene.work.spend(value.length * 2)
      const found = registry.phrases.first(value.bytes, value.length, list)
      return found === null ? [] : [value.text.slice(...found)]
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

function injection(name: string, detect: (text: string) => string): Operator {
  const answer = (value: Value, scene: Scene): string =>
    value.remembered(name, text => (scene.work.spend(text.length * injectionSteps) ? detect(text) : ''))
  return {
    name,
    test: (value, scene) => answer(value, scene) !== '',
    captures: (value, scene) => [answer(value, scene)],
  }
}

function never(name: string): Make {
  return () => ({ name, never: true, test: () => false })
}

const operators: Readonly<Record<string, Make>> = {
  beginswith: textual('beginsWith', (text, parameter) => text.startsWith(parameter)),
  contains: textual('contains', (text, parameter) => text.includes(parameter)),
  containsword: textual('containsWord', containsWord),
  detectsqli: () => injection('detectSQLi', detectSqli),
  detectxss: () => injection('detectXSS', text => (detectXss(text) ? 'xss' : '')),
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
    return { name: 'validateByteRange', test: (value, scene) => hasOther(value, allowed, scene) }
  },
  validateurlencoding: () => ({ name: 'validateUrlEncoding', test: value => urlEncodingIsBad(value.text) }),
  validateutf8encoding: () => ({ name: 'validateUtf8Encoding', test: value => utf8IsBad(value.text) }),
  within: textual('within', (text, parameter) => parameter.includes(text)),
}

function hasOther(value: Value, allowed: Uint8Array, scene: Scene): boolean {
  scene.work.spend(value.length)
  const { bytes, length } = value
  for (let at = 0; at < length; at += 1) if (allowed[bytes[at]!] === 0) return true
  return false
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
