// One limit of a policy, ready to decide: what a request counts by, what it costs, which rule it falls under. Made with each
// snapshot; what clients have used lies in the tables, under keys that a reload does not change.

import type { CheckedLimit, CheckedSource } from '../../file/checked-guard.ts'
import {
  adaptiveShare,
  type HashStart,
  hashKey,
  hashStart,
  type KeyHash,
  type LimitNumbers,
  type LimitRule,
  limitItemStart,
  limitRule,
  policyItem,
  type QuotaUnit,
  sharedNumbers,
} from '../../policy/limit/index.ts'
import type { Passage } from '../passage.ts'
import { sourceValue } from '../sources.ts'
import type { GuardVisit } from '../visit.ts'
import type { TableRule } from './limit-table.ts'

/** A rule with where its keys begin. `whole`: all parts of the key were there; else the address counts, with less. */
export interface CountedRule extends TableRule {
  readonly start: HashStart
  /** Hashes of the keys that were asked for lately. */
  readonly known: KnownKeys
  /** How many `known` holds, parts counted. */
  kept: number
  /** Of the key in Redis, before the hash. */
  readonly sharedName: string
  /** For RateLimit-Policy. */
  readonly policyItem: string
  readonly limitItemStart: string
  readonly amount: number
}

/** By the text of the next part; the last part's texts have the hash. */
interface KnownKeys {
  readonly parts: Map<string, KnownKeys>
  readonly hashes: Map<string, KeyHash>
}

export interface CountedLimit {
  readonly checked: CheckedLimit
  /** `limit:login` */
  readonly finding: string
  readonly whole: CountedRule
  readonly missing: CountedRule
  /** Refusals in a row; null: nobody is banned for them. */
  readonly strikes: CountedRule | null
  /** Who is on the allow list is not counted: the key is an address, or falls back to one. */
  readonly byAddress: boolean
  /** Decided by all edges together. */
  readonly shared: boolean
  /** Only records: its refusal keeps nothing from passing. */
  readonly soft: boolean
}

const unitOf: Readonly<Record<CheckedLimit['kind'], QuotaUnit>> = {
  rate: 'requests',
  bytes: 'content-bytes',
  concurrency: 'concurrent-requests',
}
const strikesPerMs = 60_000
/** Of one rule. */
const keptMax = 2_048

export type HashSecret = readonly [number, number]

/** @param place `share` of each amount that is this edge's own, of what can't be counted together; `detects`: the policy's limits all only record */
export function countedLimit(
  policy: string,
  checked: CheckedLimit,
  secret: HashSecret,
  place: { readonly shared: boolean; readonly share: number; readonly detects: boolean },
): CountedLimit {
  const { shared, share, detects } = place
  const { kind, amount, perMs, burst, name, missingShare, banAfter } = checked
  const algorithm = kind === 'concurrency' ? 'concurrency' : checked.algorithm
  const own = kind === 'concurrency' ? share : 1
  const numbers = sharedNumbers({ algorithm, amount, perMs, burst }, own)
  const ruleOf = (purpose: string, of: LimitNumbers): CountedRule =>
    countedRule(secret, `${policy}\0${name}\0${purpose}`, name, unitOf[kind], of)
  return {
    checked,
    finding: `limit:${name}`,
    whole: ruleOf('', numbers),
    missing: ruleOf('missing', sharedNumbers(numbers, missingShare)),
    strikes:
      banAfter === 0
        ? null
        : ruleOf('strikes', {
            algorithm: 'sliding',
            amount: banAfter,
            perMs: strikesPerMs,
            burst: 1,
          }),
    byAddress: isByAddress(checked.by),
    shared: shared && !checked.local && kind !== 'concurrency',
    soft: detects || checked.detectOnly,
  }
}

/** An account or key is limited wherever it comes from; the rest of a key's parts say nothing of who it is. */
function isByAddress(by: readonly CheckedSource[]): boolean {
  const owned = by.some(
    ({ by: what }) => what === 'account' || what === 'session' || what === 'key' || what === 'jwt',
  )
  return !owned && by.some(({ by: what }) => what === 'ip')
}

function countedRule(
  secret: HashSecret,
  prefix: string,
  name: string,
  unit: QuotaUnit,
  numbers: LimitNumbers,
): CountedRule {
  const rule = limitRule(numbers)
  const whole = `${prefix}\0${meaningOf(rule)}`
  const overflow: KeyHash = { low: 0, high: 0 }
  hashKey(hashStart(secret, `${whole}\0overflow`), '', overflow)
  return {
    rule,
    overflow,
    start: hashStart(secret, whole),
    known: { parts: new Map(), hashes: new Map() },
    kept: 0,
    sharedName: whole.replaceAll('\0', ':'),
    policyItem: policyItem(name, numbers.amount, numbers.perMs, unit),
    limitItemStart: limitItemStart(name),
    amount: numbers.amount,
  }
}

/** States of another meaning are another key's: where a change of numbers keeps the meaning, it keeps the counts. */
function meaningOf({ algorithm, ticks, perTicks, perUs, unit }: LimitRule): string {
  if (algorithm === 'gcra') return ticks === perTicks ? 'gcra' : `gcra ${ticks}/${perTicks}`
  return `${algorithm} ${perUs} ${unit}`
}

/** Which rule a request falls under; `key` is filled in. */
export function ruleFor(limit: CountedLimit, passage: Passage, visit: GuardVisit, key: KeyHash): CountedRule {
  const known = knownKey(limit, passage, visit)
  if (known === null) {
    hashKey(limit.missing.start, visit.addressKey, key)
    return limit.missing
  }
  key.low = known.low
  key.high = known.high
  return limit.whole
}

/** The key's hash, remembered by its parts: no text is put together for a client who was here before. Null: a part is missing. */
function knownKey({ checked, whole }: CountedLimit, passage: Passage, visit: GuardVisit): KeyHash | null {
  const { by } = checked
  const last = by.length - 1
  let at = whole.known
  for (let i = 0; i < last; i++) {
    const value = sourceValue(by[i]!, passage, visit)
    if (value === undefined) return null
    at = at.parts.get(value) ?? newPart(whole, at, value)
  }
  const value = sourceValue(by[last]!, passage, visit)
  if (value === undefined) return null
  return at.hashes.get(value) ?? newHash(whole, by, at, value, passage, visit)
}

function newPart(rule: CountedRule, at: KnownKeys, value: string): KnownKeys {
  const next: KnownKeys = { parts: new Map(), hashes: new Map() }
  if (mayKeep(rule)) at.parts.set(copyOf(value), next)
  return next
}

function newHash(
  rule: CountedRule,
  by: readonly CheckedSource[],
  at: KnownKeys,
  value: string,
  passage: Passage,
  visit: GuardVisit,
): KeyHash {
  const hash: KeyHash = { low: 0, high: 0 }
  hashKey(rule.start, by.length === 1 ? value : keyText(by, passage, visit), hash)
  if (mayKeep(rule)) at.hashes.set(copyOf(value), hash)
  return hash
}

/** Beyond the bound the memory begins anew. */
function mayKeep(rule: CountedRule): boolean {
  rule.kept++
  if (rule.kept <= keptMax) return true
  rule.known.parts.clear()
  rule.known.hashes.clear()
  rule.kept = 0
  return false
}

/** A slice would keep the whole head that it was cut from alive. */
function copyOf(value: string): string {
  return ` ${value}`.slice(1)
}

/** All parts with their lengths, so that no two keys read alike. None is missing. */
function keyText(by: readonly CheckedSource[], passage: Passage, visit: GuardVisit): string {
  let text = ''
  for (const source of by) {
    const value = sourceValue(source, passage, visit) ?? ''
    text += `${value.length}:${value}`
  }
  return text
}

export function costOf({ cost }: CheckedLimit, method: string): number {
  return cost === undefined ? 1 : (cost[method] ?? cost['*'] ?? 1)
}

export function shareOf({ adaptiveShare: share }: CheckedLimit, risk: number, load: number): number {
  return share >= 1 ? 1 : adaptiveShare(share, risk, load)
}
