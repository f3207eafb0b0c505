// The primary key (RFC 9111 2): `host SP target [SP variant]`, of what a route says that its answers depend on. Whatever
// could make an origin read a request differently than the key does (cloaked or encoded parameters) counts as part of it.

import type { Fields, KeyRules } from './contract.ts'
import { deviceOf, languageOf } from './languages.ts'
import { keyPart } from './vary.ts'

export interface KeyMaker {
  /**
   * `authority`: Host as the client sent it. `path`: normalised. `query`: with its `?`, '' where there is none. Null:
   * there can be no key for it (the parts that count are too long).
   */
  text(secure: boolean, authority: string, path: string, query: string, request: Fields): string | null
  /** Host and target alone, as `text` writes them: for purges and invalidation. */
  target(secure: boolean, authority: string, path: string, query: string): string
  /** Of the target: path and the parameters that count. */
  pathAndQuery(path: string, query: string): string
}

/** Of all that stands after the target. */
const variantMax = 8_192
const parametersMax = 256
/** Browsers keep 180 or less of a site. */
const cookiesMax = 1_024

export function compileKey(rules: KeyRules): KeyMaker {
  const query = compileQuery(rules.query)
  const hasVariant =
    rules.headers.length > 0 ||
    rules.cookies.length > 0 ||
    rules.device ||
    rules.countryHeader !== undefined ||
    rules.languages.length > 0
  const target = (secure: boolean, authority: string, path: string, asked: string): string =>
    `${hostPart(secure, authority)} ${path}${query(asked)}`
  return {
    target,
    pathAndQuery: (path, asked) => `${path}${query(asked)}`,
    text: (secure, authority, path, asked, request) => {
      const own = target(secure, authority, path, asked)
      if (!hasVariant) return own
      const variant = variantText(rules, request)
      if (variant.length > variantMax) return null
      return variant === '' ? own : `${own} ${variant}`
    },
  }
}

/** Lower case; the port where it is not the scheme's own; the scheme where instances are told of it. */
export function hostPart(secure: boolean, authority: string): string {
  const host = authority.toLowerCase()
  const plain = host.endsWith(secure ? ':443' : ':80') ? host.slice(0, secure ? -4 : -3) : host
  return secure ? `https:${plain}` : plain
}

function variantText(rules: KeyRules, request: Fields): string {
  let text = ''
  for (const name of rules.headers) {
    const value = request.find(name)
    if (value !== undefined) text += `h.${keyPart(name)}=${keyPart(value)}&`
  }
  const cookies = rules.cookies.length === 0 ? undefined : request.find('cookie')
  if (cookies !== undefined) text += cookiesText(rules.cookies, cookies)
  if (rules.device) text += `d=${deviceOf(request.find('user-agent'), request.find('sec-ch-ua-mobile'))}&`
  if (rules.countryHeader !== undefined) text += `c=${countryOf(request.find(rules.countryHeader))}&`
  if (rules.languages.length > 0) {
    text += `l=${keyPart(languageOf(request.find('accept-language'), rules.languages))}&`
  }
  return text
}

/** All values of each name that counts, in the order of the rule: origins differ in whether the first or the last stands. */
function cookiesText(names: readonly string[], field: string): string {
  const pairs = cookiePairs(field)
  let text = ''
  for (const name of names) {
    const wanted = foldedName(name)
    for (const [one, value] of pairs) {
      if (foldedName(one) === wanted) text += `k.${keyPart(one)}=${keyPart(value)}&`
    }
  }
  return text
}

/**
 * Parts at `;`. Several Cookie lines come joined by commas, and some origins read each by itself: what stands after a
 * comma is looked at as a pair too. At worst a key says too much.
 */
function cookiePairs(field: string): [string, string][] {
  const pairs: [string, string][] = []
  for (const part of field.split(';', cookiesMax)) {
    addPair(pairs, part)
    for (const piece of part.split(',', cookiesMax).slice(1)) addPair(pairs, piece)
  }
  return pairs
}

function addPair(pairs: [string, string][], text: string): void {
  const equals = text.indexOf('=')
  if (equals >= 0) pairs.push([text.slice(0, equals).trim(), text.slice(equals + 1).trim()])
}

/** ISO 3166 alpha-2 in capitals; `ZZ`: unknown. */
function countryOf(value: string | undefined): string {
  return value !== undefined && /^[A-Za-z]{2}$/.test(value) ? value.toUpperCase() : 'ZZ'
}

type Query = (asked: string) => string

function compileQuery(rule: KeyRules['query']): Query {
  if (rule === 'all') return sorted
  if (rule === 'none') return () => ''
  if ('only' in rule) {
    const names = new Set(rule.only.map(foldedName))
    return asked => chosen(asked, name => !names.has(foldedName(name)))
  }
  const names = new Set(rule.except)
  return asked => chosen(asked, name => names.has(name))
}

/** Every byte counts, the order of parameters with different names does not. With a `;` it is left to the origin what parts them. */
function sorted(asked: string): string {
  if (!asked.includes('&') || asked.includes(';') || isSorted(asked)) return asked
  return chosen(asked, dropsNothing)
}

/** Most are: found out without making anything. */
function isSorted(asked: string): boolean {
  let before = 1
  for (let at = asked.indexOf('&'); at >= 0; at = asked.indexOf('&', at + 1)) {
    if (!namesInOrder(asked, before, at + 1)) return false
    before = at + 1
  }
  return true
}

/** Whether the name of the parameter that begins at `one` does not come after that at `other`. */
function namesInOrder(asked: string, one: number, other: number): boolean {
  for (let i = 0; ; i++) {
    const left = nameCode(asked, one + i)
    const right = nameCode(asked, other + i)
    if (left !== right) return left < right
    if (left < 0) return true
  }
}

/** -1 where the name has ended. */
function nameCode(asked: string, at: number): number {
  const code = at < asked.length ? asked.charCodeAt(at) : 38
  return code === 38 || code === 61 ? -1 : code
}

const dropsNothing = (): boolean => false

/**
 * The parameters that count, each with its bytes as they came, sorted by name; equal names keep their order. One that
 * has a `;` always counts, because some origins part parameters there.
 */
function chosen(asked: string, mayDrop: (name: string) => boolean): string {
  if (asked.length < 2) return ''
  const parameters = asked.slice(1).split('&')
  // Nobody needs as many; which of them count is then not looked into.
  if (parameters.length > parametersMax) return asked
  const kept: { name: string; text: string }[] = []
  for (const text of parameters) {
    const equals = text.indexOf('=')
    const name = equals < 0 ? text : text.slice(0, equals)
    if (text.includes(';') || !mayDrop(name)) kept.push({ name, text })
  }
  if (kept.length === 0) return ''
  kept.sort((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0))
  return `?${kept.map(one => one.text).join('&')}`
}

/**
 * A name as the most lenient origin reads it: percent-decoded, without its brackets (`page[]`), blanks before it, in
 * lower case, `.` and blanks as `_`. For `only`: what some origin may take for a parameter that counts must count.
 */
function foldedName(name: string): string {
  let decoded = name.replaceAll('+', ' ')
  if (decoded.includes('%')) {
    decoded = decoded.replace(/%[0-9a-fA-F]{2}/g, hex =>
      String.fromCharCode(Number.parseInt(hex.slice(1), 16)),
    )
  }
  const bracket = decoded.indexOf('[')
  const base = bracket > 0 ? decoded.slice(0, bracket) : decoded
  return base.trimStart().replace(/[. ]/g, '_').toLowerCase()
}
