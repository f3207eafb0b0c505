// What the tree of a text says by itself, whatever a database holds: the statement's own part of the judgement. Names of
// functions and relations are collected here and judged in judge.ts. Built up by one walk, then never changed.

import {
  type PinReason,
  pinBit,
  type RouterCommand,
  type SettingChange,
  type StatementInfo,
  type StatementKind,
  type TransactionEffect,
} from './contract.ts'

export interface Facts {
  kind: StatementKind
  count: number
  /** `any`: a replica may serve it, if the names in it are harmless. */
  place: 'any' | 'primary'
  /** Writes, whatever the names in it are. */
  writes: boolean
  /** The functions in it are called (false under a plain EXPLAIN and in PREPARE). */
  runs: boolean
  transaction: TransactionEffect
  pins: number
  unpins: number
  advisoryLocks: number
  readonly settings: SettingChange[]
  prepared: StatementInfo['prepared']
  copy: StatementInfo['copy']
  ownTransaction: boolean
  asynchronousCommit: boolean
  command: RouterCommand | null
  /** Names as PostgreSQL folds them; `operator(+)`, `type(t)` for what hides functions. */
  readonly functions: Set<string>
  readonly relations: Set<string>
  why: string
}

export function newFacts(kind: StatementKind): Facts {
  return {
    kind,
    count: 1,
    place: 'any',
    writes: false,
    runs: true,
    transaction: 'none',
    pins: 0,
    unpins: 0,
    advisoryLocks: 0,
    settings: [],
    prepared: null,
    copy: null,
    ownTransaction: false,
    asynchronousCommit: false,
    command: null,
    functions: new Set(),
    relations: new Set(),
    why: '',
  }
}

/** Only the primary can serve it; the first reason is kept. */
export function keepOnPrimary(facts: Facts, why: string): void {
  if (facts.place === 'any' || facts.why === '') facts.why = why
  facts.place = 'primary'
}

export function markWrite(facts: Facts, why: string): void {
  // A write is a better reason than what was found before it.
  if (!facts.writes) facts.why = why
  facts.place = 'primary'
  facts.writes = true
}

export function pin(facts: Facts, reason: PinReason): void {
  facts.pins |= pinBit(reason)
}

export function unpin(facts: Facts, ...reasons: readonly PinReason[]): void {
  for (const reason of reasons) facts.unpins |= pinBit(reason)
}

/** Several statements in one text are one implicit transaction at one place. */
export function joined(parts: readonly Facts[]): Facts {
  const [first, ...rest] = parts
  if (first === undefined) return { ...newFacts('other'), count: 0, why: 'is empty' }
  if (rest.length === 0) return first
  const changes = parts.find(part => part.kind === 'ddl') ?? parts.find(part => part.writes) ?? first
  const all = newFacts(changes.kind)
  all.count = parts.length
  all.runs = parts.some(part => part.runs)
  for (const part of parts) add(all, part)
  return all
}

function add(all: Facts, part: Facts): void {
  if (part.writes) markWrite(all, part.why)
  else if (part.place === 'primary') keepOnPrimary(all, part.why)
  // The last one counts: `BEGIN; ...; COMMIT` leaves no transaction.
  if (part.transaction !== 'none') all.transaction = part.transaction
  all.pins = (all.pins & ~part.unpins) | part.pins
  all.unpins = (all.unpins & ~part.pins) | part.unpins
  all.advisoryLocks += part.advisoryLocks
  all.settings.push(...part.settings)
  all.prepared ??= part.prepared
  all.copy ??= part.copy
  all.ownTransaction ||= part.ownTransaction
  all.asynchronousCommit ||= part.asynchronousCommit
  for (const name of part.functions) all.functions.add(name)
  for (const name of part.relations) all.relations.add(name)
}
